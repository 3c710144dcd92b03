"""What a task says through `ctx.log`, as lines on their way to the job's record, and the logger that writes them."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stoker import clock
from stoker.job import LONGEST_LOG, storable

LONGEST_ENTRY: Final = 10_000
"""Characters that are kept of one call of the logger. A longer text loses its middle; even if every character of it
has to be written as six, it fits into a log."""

_FORMAT: Final = logging.Formatter("%(levelname)s %(message)s")


class Logbook:
    """Lines that a task has logged and that are not on their way yet: `LONGEST_LOG` characters of them at most.

    From any thread; nobody waits for another for longer than it takes to move some lines.
    """

    __slots__ = ("_left_out", "_lines", "_lock", "_size", "_taken")

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a garbage collector that runs here may log something, too
        self._lines: deque[str] = deque()
        self._size = 0
        self._left_out = 0
        self._taken: tuple[list[str], int] = ([], 0)

    def add(self, text: str) -> None:
        """Append whole lines. Where there are too many, the oldest make room."""
        with self._lock:
            self._append(_lines(text))

    def take(self) -> str | None:
        """All that is there, to be sent away; None where there is nothing. It says how many lines had to make room."""
        with self._lock:
            if not self._lines:
                return None
            self._taken = (list(self._lines), self._left_out)
            note = f"… {self._left_out:,} lines left out …\n" if self._left_out else ""
            text = note + "".join(self._lines)
            self._clear()
            return text

    def put_back(self) -> None:
        """What was taken last did not arrive: it stands first again."""
        with self._lock:
            since, left_out = list(self._lines), self._left_out
            (lines, before), self._taken = self._taken, ([], 0)
            self._clear()
            self._left_out = before + left_out
            self._append(lines)
            self._append(since)

    def _append(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines.append(line)
            self._size += len(line)
        while self._size > LONGEST_LOG:
            self._size -= len(self._lines.popleft())
            self._left_out += 1

    def _clear(self) -> None:
        self._lines.clear()
        self._size = self._left_out = 0


def _lines(text: str) -> list[str]:
    return [line + "\n" for line in text.removesuffix("\n").split("\n")]


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """An ordinary logger whose lines are kept with the job as well: from INFO up, whoever listens, and below where the
    logger is enabled for it.
    """

    def __init__(self, logger: logging.Logger, facts: Mapping[str, object], keep: Callable[[str], None]) -> None:
        super().__init__(logger, facts)
        self._keep = keep

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - its name in `logging`
        """Whether something of that level goes anywhere."""
        return level >= logging.INFO or super().isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, as every logger does, and keep it with the job."""
        if self.isEnabledFor(level):
            self._keep(entry(level, msg, args, kwargs.get("exc_info")))
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1  # the caller is who called this
            super().log(level, msg, *args, **kwargs)


def entry(level: int, msg: object, args: tuple[object, ...], exc_info: object = None) -> str:
    """One call of a logger as it is kept: `2026-11-28T13:55:02.123Z INFO message`, and the traceback below."""
    moment = clock.to_datetime(clock.now()).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        record = logging.LogRecord("", level, "", 0, msg, args, _exception(exc_info))
        text = _FORMAT.format(record)
    except Exception as broken:  # noqa: BLE001 - as in `logging`: a message that cannot be made must not stop the task
        text = f"{logging.getLevelName(level)} <its text could not be made: {type(broken).__name__}>"
    return f"{moment} {storable(text, LONGEST_ENTRY)}\n"


def _exception(exc_info: object) -> Any:
    """What `logging` takes for an exception, as a record wants it."""
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    if not exc_info or isinstance(exc_info, tuple):
        return exc_info or None
    return sys.exc_info()
