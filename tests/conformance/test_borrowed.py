from stoker.testing.conformance.borrowed import *  # noqa: F403
from stoker.testing.conformance.borrowed import _borrows  # noqa: F401 - an autouse fixture
