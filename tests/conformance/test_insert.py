from stoker.testing.conformance.insert import *  # noqa: F403
