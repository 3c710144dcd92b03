"""The schedules that an app declares: in its code, and in its configuration file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from stoker.errors import InvalidOption, UnknownTask
from stoker.timing.definition import Definition


class Declarations:
    """Schedules by name, as they were declared up to now. They may be declared from any thread."""

    def __init__(self, module: str) -> None:
        self.code = f"code:{module}"
        self.file = f"file:{module}"
        self._made: dict[str, Definition | Callable[[], Definition]] = {}
        self._lock = threading.Lock()
        self.version = 0
        """grows with every declaration"""

    @property
    def origins(self) -> frozenset[str]:
        """Where the declarations of this app come from."""
        return frozenset({self.code, self.file})

    def add(self, name: str, make: Callable[[], Definition], *, late: bool = False) -> None:
        """Declare. What `make` raises, it raises now; but for a type hint that names what is not defined yet, and,
        `late`, for a task that is not declared yet.
        """
        with self._lock:
            if name in self._made:
                raise InvalidOption(f"there is a schedule {name!r} already: give one of the two another name=")
            self._made[name] = make
        try:
            with suppress(NameError):
                self._made[name] = make()
        except UnknownTask:
            if not late:
                self.forget(name)
                raise
        except BaseException:
            self.forget(name)
            raise
        self.version += 1

    def forget(self, name: str) -> None:
        """Declare it no more."""
        with self._lock:
            self._made.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._made

    def __len__(self) -> int:
        return len(self._made)

    def get(self, name: str) -> Definition | None:
        """The definition of that name, if it is declared."""
        made = self._made.get(name)
        if callable(made):
            made = self._made[name] = made()
        return made

    def all(self) -> dict[str, Definition | Exception]:
        """All definitions, by name; in place of one that cannot be made, why."""
        found: dict[str, Definition | Exception] = {}
        for name in list(self._made):
            try:
                definition = self.get(name)
            except Exception as error:  # noqa: BLE001 - the others are as good as before
                found[name] = error
            else:
                if definition is not None:
                    found[name] = definition
        return found
