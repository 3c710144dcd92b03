"""Locks across all processes of an app, with a token that tells a late holder from the present one."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any, Final

from stoker import clock
from stoker.drivers.aside import in_thread
from stoker.engine import Engine
from stoker.errors import InvalidOption, LockLost, LockTaken, StokerError
from stoker.lock_store import Grant

_PAUSES: Final = (0.01, 0.25)
"""Seconds between two asks for a lock that somebody else has: at first, and at most."""
_SHORTEST: Final = 0.05
"""Seconds: a shorter ttl could not be renewed in time."""
_BEATS: Final = 3
"""Renewals within a ttl."""


class Locks:
    """The locks of an app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def acquire(
        self, name: str, ttl: float | timedelta = 60, *, blocking: bool = True, timeout: float | None = None
    ) -> Lock:
        """A lock that one holder at a time has, to be entered: `with app.locks.acquire("nightly", ttl=60) as lock:`,
        or `async with`.

        While it is held it is renewed, from a thread of its own; whoever dies frees it after `ttl` (seconds or a
        timedelta). Entering waits for it, `timeout` seconds at most (None: without end); with `blocking=False` not at
        all. Raises `LockTaken` where it was not had.

        A process that stands still for longer than the ttl loses the lock without knowing: give `lock.token`, a
        number that grows with every holder, to whatever the lock protects, and have it refuse a smaller one.
        """
        if not isinstance(name, str) or len(name) > 255 or "\x00" in name:
            raise InvalidOption(f"a lock's name must be a text of up to 255 characters, not {name!r}")
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else float(ttl)
        if not _SHORTEST <= seconds <= 10**8:
            raise InvalidOption(f"ttl must be {_SHORTEST:g} or more seconds (or a timedelta), not {ttl!r}")
        if not blocking and timeout is not None:
            raise InvalidOption("give either blocking=False or a timeout, not both")
        return Lock(self._engine, name, seconds, 0.0 if not blocking else timeout)


class Lock:
    """One wish for a lock, and the lock once it is held. Not for several threads at once."""

    def __init__(self, engine: Engine, name: str, ttl: float, timeout: float | None) -> None:
        self.name = name
        self.ttl = ttl
        self._engine = engine
        self._timeout = timeout
        self._chance = clock.chance()
        self._holder = ""
        self._token: int | None = None
        self._until = 0.0
        self._released = threading.Event()
        self._renewing: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Lock {self.name!r}, {'held' if self.held else 'not held'}>"

    @property
    def token(self) -> int:
        """Grows with every holder of any lock. Raises `LockLost` where it is not held (any more)."""
        if self._token is None:
            raise LockLost(f"the lock {self.name!r} is not held")
        return self._token

    @property
    def held(self) -> bool:
        """Whether it is held, as far as this process knows."""
        return self._token is not None and clock.monotonic() < self._until

    def check(self) -> None:
        """Raises `LockLost` unless it is held, as far as this process knows."""
        if not self.held:
            raise LockLost(f"the lock {self.name!r} ran out before it was renewed; somebody else may have it now")

    # --- entering and leaving ---------------------------------------------------------------------------------------

    def __enter__(self) -> Lock:
        self._begin()
        wait = _Waiting(self._timeout)
        while True:
            pause = wait.next(self, self._asked(self._engine.run(self._ask())))
            if pause is None:
                return self._kept()
            clock.sleep(pause * (0.5 + self._chance.random()))

    def __exit__(self, *exc: object) -> None:
        self._stop_renewing()
        token, self._token = self._token, None
        if token is not None:
            self._engine.run(self._engine.connection.store.locks.release(self.name, token))

    async def __aenter__(self) -> Lock:
        self._begin()
        wait = _Waiting(self._timeout)
        while True:
            pause = wait.next(self, self._asked(await self._engine.arun(self._ask())))
            if pause is None:
                return self._kept()
            await asyncio.sleep(pause * (0.5 + self._chance.random()))

    async def __aexit__(self, *exc: object) -> None:
        await in_thread(self._stop_renewing)
        token, self._token = self._token, None
        if token is not None:
            await self._engine.arun(self._engine.connection.store.locks.release(self.name, token))

    def _begin(self) -> None:
        if self._token is not None:
            raise StokerError(f"this lock {self.name!r} is held already; acquire another one")
        self._holder = f"{self._chance.getrandbits(128):032x}"
        self._released = threading.Event()

    def _ask(self) -> Any:
        self._asked_at = clock.monotonic()
        return self._engine.connection.store.locks.acquire(self.name, self._holder, clock.to_span(self.ttl))

    def _asked(self, grant: Grant) -> Grant:
        if grant.token is not None:
            self._token = grant.token
            self._until = self._asked_at + self.ttl
        return grant

    # --- keeping ----------------------------------------------------------------------------------------------------

    def _kept(self) -> Lock:
        self._renewing = threading.Thread(target=self._renew, name=f"stoker-lock-{self.name}", daemon=True)
        self._renewing.start()
        return self

    def _stop_renewing(self) -> None:
        self._released.set()
        if self._renewing is not None:
            self._renewing.join()

    def _renew(self) -> None:
        token = self._token
        assert token is not None
        while not self._released.wait(self.ttl / _BEATS):
            began = clock.monotonic()
            try:
                kept = self._engine.run(
                    self._engine.connection.store.locks.renew(self.name, token, clock.to_span(self.ttl))
                )
            except StokerError:
                if not self.held:
                    return
                continue  # the store is away: tried again while there is time
            if not kept:
                self._until = 0.0
                return
            self._until = began + self.ttl


class _Waiting:
    """How long to wait before the next ask."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._deadline = None if timeout is None else clock.monotonic() + timeout
        self._pause = _PAUSES[0]

    def next(self, lock: Lock, grant: Grant) -> float | None:
        """Seconds; None: the lock was given. Raises `LockTaken` when the time is over."""
        if grant.token is not None:
            return None
        left = self._pause if self._deadline is None else self._deadline - clock.monotonic()
        if left <= 0:
            waited = f" after {self._timeout:g} s" if self._timeout else ""
            free_in = grant.free_in / clock.SECOND
            raise LockTaken(
                f"the lock {lock.name!r} is held by somebody else{waited}; "
                f"unless it is renewed it is free in {free_in:.1f} s"
            )
        pause, self._pause = min(self._pause, left), min(_PAUSES[1], self._pause * 1.5)
        return pause
