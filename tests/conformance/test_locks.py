from stoker.testing.conformance.locks import *  # noqa: F403
