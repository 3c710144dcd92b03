"""What the URLs of all stores have in common: options after the ?, and secrets that are not shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from stoker.errors import ConfigError

_PASSWORD: Final = re.compile(r"(?<=://)([^/?#@]*?):[^/?#]*@")
_SECRET_OPTION: Final = re.compile(r"(?i)([?&](?:password|sslpassword)=)[^&#]*")


def shown(url: str) -> str:
    """The URL without its passwords, for people."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def options_of(url: str, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """The options after the `?`, each read by its function. Raises `ConfigError` for others.

    A function raises `ValueError` with what the option must be.
    """
    options: dict[str, Any] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in known:
            names = sorted(known)
            listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
            raise ConfigError(f"{shown(url)}: there is no option {name!r}; the options are {listed}")
        try:
            options[name] = known[name](value)
        except ValueError as error:
            raise ConfigError(f"{shown(url)}: {name} must be {error}, not {value!r}") from None
    return options


def seconds(value: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError("a number of seconds")
    return number
