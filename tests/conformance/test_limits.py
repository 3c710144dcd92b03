from stoker.testing.conformance.limits import *  # noqa: F403
