from stoker.testing.conformance.tallies import *  # noqa: F403
