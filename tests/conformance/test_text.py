from stoker.testing.conformance.text import *  # noqa: F403
