"""A gate that counts who is inside, and can be closed until nobody is."""

from __future__ import annotations

import threading

from stoker import clock


class Gate:
    """`with gate:` passes unless it is closed, and then waits."""

    def __init__(self) -> None:
        self._turn = threading.Condition(threading.Lock())
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        with self._turn:
            while self._closed:
                self._turn.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._inside -= 1
            if self._closed and not self._inside:
                self._turn.notify_all()

    def close(self, timeout: float) -> bool:
        """Let nobody in, and wait for those inside. False: they stay for longer than that, and it is open again."""
        deadline = clock.monotonic() + timeout
        with self._turn:
            self._closed = True
            while self._inside:
                if not self._turn.wait(deadline - clock.monotonic()) and self._inside:
                    self._closed = False
                    self._turn.notify_all()
                    return False
            return True

    def open(self) -> None:
        """Let them in again."""
        with self._turn:
            self._closed = False
            self._turn.notify_all()
