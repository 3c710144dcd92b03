from stoker.testing.conformance.keep import *  # noqa: F403
