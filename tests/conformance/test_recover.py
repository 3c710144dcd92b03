from stoker.testing.conformance.recover import *  # noqa: F403
