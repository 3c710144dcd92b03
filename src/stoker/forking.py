"""What must be in order at the instant at which this process forks.

A child is a copy of its parent with one thread only: a lock that another thread held is locked in it for ever, and what
was half done stays so. Whoever has such things is asked to rest before a fork, and may go on after it.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that a fork concerns."""

    def before_fork(self) -> None:
        """Let nothing be under way; from any thread."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Go on; in a child, begin anew."""
        ...


_known: WeakSet[Forkable] = WeakSet()
_resting: list[Forkable] = []
_lock = threading.Lock()


def mind(one: Forkable) -> None:
    """Have it asked at every fork, as long as it exists."""
    with _lock:
        _known.add(one)


def _before() -> None:
    _lock.acquire()
    _resting.extend(_known)
    for one in _resting:
        one.before_fork()


def _after(*, child: bool) -> None:
    for one in reversed(_resting):
        one.after_fork(child=child)
    _resting.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(child=False),
        after_in_child=lambda: _after(child=True),
    )
