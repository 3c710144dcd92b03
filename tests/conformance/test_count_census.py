from stoker.testing.conformance.count_census import *  # noqa: F403
