from stoker.testing.conformance.command import *  # noqa: F403
