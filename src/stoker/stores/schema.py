"""How far a store's schema is behind the code."""

from __future__ import annotations

from collections.abc import Iterable

from stoker.errors import StoreBroken


def unapplied(names: Iterable[str], version: int, place: str) -> list[str]:
    """The migrations that are still to be applied, in order; `version` of them were.

    Raises `StoreBroken` where the place (as a sentence begins with it) was written by a newer version.
    """
    known = list(names)
    if version > len(known):
        raise StoreBroken(
            f"{place} by a newer version of Stoker (schema {version}, this version knows {len(known)}); "
            "upgrade Stoker, nothing was changed"
        )
    return known[version:]
