from stoker.testing.conformance.flows import *  # noqa: F403
