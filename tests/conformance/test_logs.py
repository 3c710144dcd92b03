from stoker.testing.conformance.logs import *  # noqa: F403
