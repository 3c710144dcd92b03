from stoker.testing.conformance.parents import *  # noqa: F403
