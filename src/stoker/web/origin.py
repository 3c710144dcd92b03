"""Origins of pages, as browsers name them: `https://shop.example`."""

from __future__ import annotations

from typing import Final

_PORTS: Final = {"http": ":80", "https": ":443"}
"""Ports that browsers leave out, because the scheme says as much."""


def origin_of(text: str) -> str:
    """The same as a browser writes it: in lower case, without a slash at its end and without its scheme's own port."""
    origin = text.lower().rstrip("/")
    return origin.removesuffix(_PORTS.get(scheme_of(origin), ""))


def scheme_of(origin: str) -> str:
    """`https`; '' of what is no origin, as `null`."""
    scheme, found, _ = origin.partition("://")
    return scheme if found else ""
