"""The wish to stop: Ctrl-C, or a signal to end."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """While this is open, the first signal is only noted, so that everything can be put away; the second one raises."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def wanted(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a command that a signal ended."""
        return 128 + (self.number or 0)

    def __enter__(self) -> Interrupt:
        for name in _SIGNALS:
            self._before[name] = signal.signal(name, self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.number = number
