from stoker.testing.conformance.transitions import *  # noqa: F403
