from stoker.testing.conformance.ask import *  # noqa: F403
