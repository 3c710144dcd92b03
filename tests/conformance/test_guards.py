from stoker.testing.conformance.guards import *  # noqa: F403
