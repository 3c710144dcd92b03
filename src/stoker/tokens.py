"""Tokens of jobs: signed texts that let whoever has one follow one job, until they expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from stoker import clock
from stoker.errors import InvalidOption, InvalidToken, MissingExtra

_SALT: Final = "stoker.job"
_LONGEST: Final = 366 * 24 * 3600
"""Seconds."""


def sign(secret: str, job: str, expires: float | timedelta) -> str:
    """A token for that job, good for so many seconds, and up to one more.

    Raises `InvalidOption`, and `MissingExtra` without the extra `web`.
    """
    seconds = expires.total_seconds() if isinstance(expires, timedelta) else expires
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        raise InvalidOption(f"expires must be more than zero seconds (or a timedelta), up to a year, not {expires!r}")
    until = -(-(clock.now() + clock.to_span(seconds)) // clock.SECOND)  # rounded up: no shorter than was said
    token: str = _serializer(secret).dumps([job, until])
    return token


def read(secret: str, token: str) -> str:
    """The job that the token is for. Raises `InvalidToken` that says whether it expired or was never ours."""
    serializer = _serializer(secret)
    from itsdangerous import BadData

    try:
        job, until = serializer.loads(token)
    except (BadData, ValueError, TypeError):
        raise _not_ours() from None
    if not isinstance(job, str) or not isinstance(until, int):
        raise _not_ours()
    if clock.now() >= until * clock.SECOND:
        raise InvalidToken("the token has expired; ask for another")
    return job


def _not_ours() -> InvalidToken:
    return InvalidToken("the token is not one of this app's, or was changed; ask for another")


def _serializer(secret: str) -> Any:
    try:
        from itsdangerous import URLSafeSerializer
    except ImportError:
        raise MissingExtra("tokens need the package itsdangerous: pip install 'stoker[web]'") from None
    return URLSafeSerializer(secret, salt=_SALT)
