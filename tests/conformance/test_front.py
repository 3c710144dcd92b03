from stoker.testing.conformance.front import *  # noqa: F403
