from stoker.testing.conformance.schedules import *  # noqa: F403
