from stoker.testing.conformance.atomic import *  # noqa: F403
from stoker.testing.conformance.atomic import _durable  # noqa: F401 - an autouse fixture
