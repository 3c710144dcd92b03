"""The jobs of the examples: one task that takes its time. The three applications beside this file share it."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stoker import Context, Stoker

# One file is the whole store. `Stoker("postgresql://…")` or `Stoker("redis://…")` is all that changes later.
stoker = Stoker("sqlite:///searches.db")

LIBRARY = Path(sysconfig.get_path("stdlib"))  # a lot of text that is on every machine with Python


@dataclass
class Hit:
    """A file that has the phrase. A task may return anything that can be told as JSON: dataclasses as well."""

    file: str
    matches: int
    line: str


# A search keeps a processor busy, so it runs in a thread and not on the event loop that answers requests. After a crash
# of its worker it begins again, and so it does after an error, twice at most.
@stoker.task(executor="thread", max_attempts=3)
def search(ctx: Context, phrase: str) -> list[Hit]:
    """Search the sources of Python's library, and tell the ten files with the most matches."""
    files = sorted(LIBRARY.rglob("*.py"))
    hits: list[Hit] = []
    for number, file in enumerate(files, 1):
        ctx.raise_if_cancelled()
        ctx.progress(number, len(files), f"{file.parent.name}/{file.name}")  # as often as you like: it never blocks
        if hit := look(file, phrase):
            hits.append(hit)
    return sorted(hits, key=lambda hit: -hit.matches)[:10]


def look(file: Path, phrase: str) -> Hit | None:
    """What there is of the phrase in one file."""
    lines = [line.strip() for line in file.read_text("utf-8", "replace").splitlines()]
    found = [line for line in lines if phrase.lower() in line.lower()]
    return Hit(str(file.relative_to(LIBRARY)), len(found), found[0][:200]) if found else None
