from stoker.testing.conformance.keys import *  # noqa: F403
