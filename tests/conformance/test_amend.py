from stoker.testing.conformance.amend import *  # noqa: F403
