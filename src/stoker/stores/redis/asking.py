"""How the parts of the Redis store ask for their scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from stoker.plan import Statement


class Ask(Protocol):
    """The statement that runs a verb's script."""

    def __call__(
        self, name: str, ask: Mapping[str, Any] | None = None, attached: Sequence[bytes] = (), *, alone: bool = False
    ) -> Statement:
        """`attached`: bytes that no script looks into. `alone`: the plan's only statement."""
        ...
