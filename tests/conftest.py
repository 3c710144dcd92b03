"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

import places

_patient = [HealthCheck.too_slow, HealthCheck.data_too_large]  # a busy machine is not a broken test

settings.register_profile("default", deadline=None, max_examples=200, suppress_health_check=_patient)
settings.register_profile("deep", settings.get_profile("default"), max_examples=3000, stateful_step_count=100)
settings.load_profile("default")


def pytest_unconfigure() -> None:
    places.close_all()
