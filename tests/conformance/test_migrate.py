from stoker.testing.conformance.migrate import *  # noqa: F403
