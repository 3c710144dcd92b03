"""A store and the driver that runs its plans."""

from __future__ import annotations

from typing import NamedTuple

from stoker.drivers.driver import Driver
from stoker.store import Store


class Connection(NamedTuple):
    """A store, and a driver for it."""

    store: Store
    driver: Driver
