from stoker.testing.conformance.audit import *  # noqa: F403
