"""What a search has found up to a place in the list of files. It is the job's checkpoint, and makes its result."""

from __future__ import annotations

from msgspec import Struct, field

from stoker.demo.phrase import Hit


class Start(Struct, frozen=True):
    """Where an attempt began."""

    attempt: int
    position: int
    """files that were done before it"""


class Findings(Struct):
    """A tally of the first `position` files. Whoever takes it up goes on with the next file, and counts none twice."""

    position: int = 0
    last: str = ""
    """the path of the last file that is done"""
    bytes: int = 0
    """of the files that were searched"""
    words: int = 0
    matches: int = 0
    matching: int = 0
    """files that hold the phrase"""
    undecodable: int = 0
    """files left out because they are not UTF-8"""
    unreadable: int = 0
    """files left out because they could not be read"""
    best: list[Hit] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)

    def add(self, hit: Hit, limit: int) -> None:
        """Count a hit, and keep it if it is among the best."""
        self.matches += hit.matches
        self.matching += 1
        self.best.append(hit)
        self.best.sort(key=lambda one: one.rank)
        del self.best[limit:]


class Report(Struct, frozen=True, kw_only=True):
    """The result of a search."""

    phrase: str
    folders: list[str]
    files: int
    """all that were listed; those searched are fewer by the undecodable and the unreadable"""
    searched: int
    bytes: int
    words: int
    matches: int
    matching: int
    undecodable: int
    unreadable: int
    too_large: int
    beyond: int
    attempts: int
    starts: list[Start]
    """where each attempt began, the first one first"""
    best: list[Hit]
    """the best files, by number of matches and then by density"""
