"""What is let through a queue, as people write it and say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stoker.options import Rate, rate_text
from stoker.store import Fair, QueueLimit

_FAIR: Final[Mapping[Fair | None, str | None]] = {
    None: None,
    Fair.OWNER: "fair by owner",
    Fair.SHARE: "fair by argument",
}


def rate_in(limit: QueueLimit) -> str | None:
    """Its rate: `100/m`; None: it has none."""
    return None if limit.rate is None or limit.period is None else rate_text(Rate(limit.rate, limit.period))


def limit_words(limit: QueueLimit) -> list[str]:
    """Part by part: `5 at once`, `100/m`, `fair by owner`; without a limit, nothing."""
    at_once = None if limit.concurrency is None else f"{limit.concurrency:,} at once"
    return [part for part in (at_once, rate_in(limit), _FAIR[limit.fair]) if part is not None]
