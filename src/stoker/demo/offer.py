"""What the demo's page searches for its visitors."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from stoker.demo.corpus import Corpus


class Offer(Struct, frozen=True):
    """The same as in the terminal, but for the phrase."""

    phrase: str
    """what the form begins with"""
    folders: Sequence[str]
    corpus: Corpus
    limit: int
    at_least: float
