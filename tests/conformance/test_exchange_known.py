from stoker.testing.conformance.exchange_known import *  # noqa: F403
