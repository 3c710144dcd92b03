from stoker.testing.conformance.prune import *  # noqa: F403
