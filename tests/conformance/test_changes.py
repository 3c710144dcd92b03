from stoker.testing.conformance.changes import *  # noqa: F403
