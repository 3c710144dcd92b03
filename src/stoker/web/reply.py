"""Replies in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from stoker.web.present import encoded

JSON: Final = "application/json"


def reply(value: Any, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    """The value as JSON; what one identity sees is for no cache."""
    return Response(encoded(value), status, {"cache-control": "no-store", **headers}, JSON)
