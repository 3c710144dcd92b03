from stoker.testing.conformance.restore import *  # noqa: F403
