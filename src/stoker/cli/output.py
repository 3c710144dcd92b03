"""What a command prints: tables and colours on a terminal, plain aligned text into a pipe, JSON where asked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stoker.cli.text import line
from stoker.printable import clean, clean_json

STYLES: Final[Mapping[str, str]] = {
    "waiting": "dim",
    "scheduled": "cyan",
    "queued": "blue",
    "processing": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "ok": "green",
    "note": "yellow",
    "problem": "bold red",
    "alive": "green",
    "dead": "red",
    "quiet": "yellow",
    "stopping": "yellow",
    "paused": "yellow",
}
"""How words that mean something look."""


def console(*, err: bool = False) -> Console:
    """A console that takes no text for markup."""
    return Console(stderr=err, markup=False, highlight=False, emoji=False, soft_wrap=True)


def complain(message: str) -> None:
    """Say on standard error what went wrong, in red."""
    console(err=True).print(Text(f"stoker: {clean(message)}", style="red"))


def note(message: str) -> None:
    """Say something on standard error that is no part of what was asked for."""
    console(err=True).print(Text(clean(message), style="dim"))


@dataclass(frozen=True)
class Output:
    """Standard output, in the form that was asked for."""

    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False

    @property
    def plain(self) -> bool:
        """Whether it goes to a program and not to a person's terminal."""
        return not console().is_terminal

    def say(self, message: str, style: str = "") -> None:
        """A sentence for people; where JSON was asked for, nothing."""
        if not self.json:
            console().print(Text(clean(message), style=style))

    def data(self, value: Any) -> None:
        """A value as JSON."""
        encoded = msgspec.json.encode(value)
        if not self.plain:
            encoded = msgspec.json.format(encoded, indent=2)
        sys.stdout.write(clean_json(encoded.decode()) + "\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
        """Rows under their columns; the first column is never cut. Without rows: the sentence `empty`."""
        texts = [[line(cell) for cell in row] for row in rows]
        if not texts:
            (note if self.plain else self.say)(empty)
        elif self.plain:
            self._aligned(columns, texts)
        else:
            console().print(rich_table(columns, texts), soft_wrap=False)

    def _aligned(self, columns: Sequence[str], rows: list[list[str]]) -> None:
        lines = [[column.upper() for column in columns], *rows]
        widths = [max(len(cells[index]) for cells in lines) for index in range(len(columns))]
        for cells in lines:
            text = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            sys.stdout.write(text.rstrip() + "\n")

    def facts(self, facts: Sequence[tuple[str, object]]) -> None:
        """Names and values, one a line; values that are None or empty are left out."""
        width = max(len(name) for name, _ in facts)
        for name, value in facts:
            if value is None or value == "":
                continue
            text = Text(f"{name.ljust(width)}  ", style="dim")
            shown = clean(str(value)).replace("\n", "\n" + " " * (width + 2))
            console().print(text.append(shown, style=STYLES.get(shown, "default not dim")))


def rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows for a terminal, the meaningful words in their colours. The texts must be clean."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        first = index == 0
        table.add_column(column, no_wrap=True, overflow="fold" if first else "ellipsis", min_width=_least(first, rows))
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    return table


def _least(first: bool, rows: Sequence[Sequence[str]]) -> int | None:
    return max((len(row[0]) for row in rows), default=0) if first else None
