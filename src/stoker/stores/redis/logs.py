"""What attempts logged, on its way to a Redis server and back."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct as Layout
from typing import Final

from stoker.job import LONGEST_LOG, Log

_PIECE: Final = Layout(">qiq")
"""How a piece begins, as `parts/logs.lua` packs it: where it ends, in characters, the attempt and the fence. The text
follows."""


def logged(text: str | None) -> tuple[str, int] | None:
    """What an attempt logged, as it is appended: the text and its length. None: nothing."""
    if not text:
        return None
    kept = text[-LONGEST_LOG:]
    return kept, len(kept)


def logs_of(flat: Sequence[bytes]) -> list[Log]:
    """The logs of a job, from its pieces in their order."""
    attempts: dict[int, int] = {}
    texts: dict[int, list[bytes]] = {}
    for piece in flat:
        _, attempt, fence = _PIECE.unpack_from(piece)
        attempts[fence] = attempt
        texts.setdefault(fence, []).append(piece[_PIECE.size :])
    return [
        Log(attempt=attempts[fence], fence=fence, text=b"".join(texts[fence]).decode()[-LONGEST_LOG:])
        for fence in texts
    ]
