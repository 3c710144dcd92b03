from stoker.testing.conformance.totals import *  # noqa: F403
