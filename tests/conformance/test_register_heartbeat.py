from stoker.testing.conformance.register_heartbeat import *  # noqa: F403
