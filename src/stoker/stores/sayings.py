"""What attempts logged, as databases take it in: for each claim one text, no longer than is kept."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from stoker.job import LONGEST_LOG, Outcome, Progress

Saying = tuple[int, int, str]
"""A claim `(ref, fence)`, and what it logged."""

_log = attrgetter("log")


def last_words(outcomes: Sequence[Outcome]) -> list[Saying]:
    """What outcomes say; of two of one claim the first counts."""
    if not any(map(_log, outcomes)):
        return []
    first: dict[tuple[int, int], str | None] = {}
    for outcome in outcomes:
        first.setdefault((outcome.ref, outcome.fence), outcome.log)
    return [(*claim, log[-LONGEST_LOG:]) for claim, log in first.items() if log]


def reports(progress: Sequence[Progress]) -> list[Saying]:
    """What reports say, one after the other."""
    texts: dict[tuple[int, int], str] = {}
    for report in progress:
        if report.log:
            claim = (report.ref, report.fence)
            texts[claim] = texts.get(claim, "") + report.log
    return [(*claim, text[-LONGEST_LOG:]) for claim, text in texts.items()]
