from stoker.testing.conformance.exchange_claim import *  # noqa: F403
