from stoker.testing.conformance.find import *  # noqa: F403
