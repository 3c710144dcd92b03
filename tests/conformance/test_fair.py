from stoker.testing.conformance.fair import *  # noqa: F403
