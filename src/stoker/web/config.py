"""What can be said of the web application when it is created."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from stoker.errors import ConfigError
from stoker.options import Rate, rate_of
from stoker.web.identity import Identify
from stoker.web.origin import origin_of

OPTIONS: Final = frozenset({"queue", "priority", "delay", "run_at", "key", "tags", "meta"})
"""Options of a job that others than admins may give over HTTP, unless `create` is told otherwise."""

REDACT: Final = frozenset(
    {"password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credentials"}
)
"""Names of arguments whose values are never shown, unless `create` is told otherwise."""


class Config(Struct, frozen=True, kw_only=True):
    """How the web application behaves."""

    identify: Identify | None
    """None: only this machine is answered, and may do everything"""
    read_only: bool
    """nothing can be changed, by nobody"""
    redact: frozenset[str]
    """names, in lower case, of arguments and keys whose values are not shown"""
    options: frozenset[str]
    """options of a job that others than admins may give"""
    origins: frozenset[str]
    """other origins whose pages may change things in the name of their visitors"""
    max_body: int
    """bytes of a request's body"""
    rate: Rate | None
    """requests that change something, for each identity; None: without limit"""
    max_streams: int
    """streams open at once, of jobs and of pages together"""


def config(
    identify: Identify | None,
    read_only: bool,
    redact: Iterable[str],
    options: Iterable[str],
    origins: Iterable[str],
    max_body: int,
    rate: str | None,
    max_streams: int,
) -> Config:
    """The configuration that these arguments make. Raises `ConfigError` that names the argument."""
    if identify is not None and not callable(identify):
        raise ConfigError(f"identify must be a function of the request, not {identify!r}")
    for name, number in (("max_body", max_body), ("max_streams", max_streams)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ConfigError(f"{name} must be a whole number, 1 or more, not {number!r}")
    return Config(
        identify=identify,
        read_only=read_only,
        redact=frozenset(name.lower() for name in _names("redact", redact)),
        options=frozenset(_names("options", options)),
        origins=frozenset(origin_of(origin) for origin in _names("origins", origins)),
        max_body=max_body,
        rate=rate_of("rate", rate),
        max_streams=max_streams,
    )


def _names(name: str, values: Iterable[str]) -> Iterable[str]:
    if isinstance(values, str):
        raise ConfigError(f"{name} takes a list of texts, not one text: write [{values!r}]")
    return values
