"""The phrase that is looked for, and what it is to be found in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

_LOOKED_AT: Final = 200
"""matches of a file among which the best line is chosen; a phrase of one letter has very many"""
_BEFORE: Final = 28
_AFTER: Final = 90
"""characters of a line that are shown around a match"""


class Hit(Struct, frozen=True):
    """A file that holds the phrase."""

    path: str
    matches: int
    density: float
    """matches per 1,000 words"""
    line: int
    """the number of the line that is quoted, from 1"""
    excerpt: str
    """that line, or the part of it around the match; printable characters only"""

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts the best hits first: most matches, then the densest."""
        return -self.matches, -self.density, self.path


class Phrase:
    """Words to be found one after the other, in upper or lower case, with any white space between them.

    Raises `ValueError` if there are no words in the text.
    """

    def __init__(self, text: str) -> None:
        words = text.split()
        if not words:
            raise ValueError("there is no word in the phrase")
        self.pattern = re.compile(r"\s+".join(map(re.escape, words)), re.IGNORECASE)

    def look(self, path: str, text: str, words: int) -> Hit | None:
        """What there is of the phrase in a text of so many words."""
        matches = len(self.pattern.findall(text))
        if matches == 0:
            return None
        quotes = islice(self._quotes(text), _LOOKED_AT)
        start, excerpt = max(quotes, key=lambda quote: self._worth(quote[1]))
        density = round(1000 * matches / words, 2)
        return Hit(printable(path), matches, density, text.count("\n", 0, start) + 1, excerpt)

    def _quotes(self, text: str) -> Iterator[tuple[int, str]]:
        for match in self.pattern.finditer(text):
            yield match.start(), _quote(text, match.start(), match.end())

    def _worth(self, excerpt: str) -> tuple[int, int]:
        return len(self.pattern.findall(excerpt)), len(excerpt)


def _quote(text: str, start: int, end: int) -> str:
    """The line around a match, or as much of it as is worth showing, cut between words."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last == -1 else last
    before, after = text[max(first, start - _BEFORE) : start], text[end : min(last, end + _AFTER)]
    if first < start - _BEFORE:
        before = "…" + before[before.find(" ") + 1 :]
    if last > end + _AFTER:
        after = after[: after.rfind(" ") + 1].rstrip() + "…"
    return printable(" ".join(f"{before}{text[start:end]}{after}".split()))


def printable(text: str) -> str:
    """The text without control characters, which could do things to a terminal."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "�" for sign in text)
