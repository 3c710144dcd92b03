from stoker.testing.conformance.exchange_settle import *  # noqa: F403
