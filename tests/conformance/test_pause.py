from stoker.testing.conformance.pause import *  # noqa: F403
