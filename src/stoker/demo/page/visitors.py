"""Who looks at the demo's page: each browser is a visitor with a name, by a signed cookie."""

from __future__ import annotations

from typing import Final

from itsdangerous import BadData, URLSafeSerializer
from msgspec import Struct
from starlette.requests import HTTPConnection
from starlette.responses import Response

from stoker import clock
from stoker.web import Identity

_COOKIE: Final = "stoker-demo"
_BITS: Final = 24


class Visitor(Struct, frozen=True):
    """One browser."""

    name: str
    on_call: bool = False
    """whether it has opened the dashboard: there it may see and do everything"""


class Visitors:
    """Knows visitors by their cookies."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeSerializer(secret, salt="stoker.demo")

    def of(self, connection: HTTPConnection) -> Visitor:
        """Who asks; somebody new where there is no cookie, or one that was made up."""
        return self._known(connection) or Visitor(f"visitor-{clock.chance().getrandbits(_BITS):06x}")

    def remember(self, visitor: Visitor, response: Response) -> None:
        """Have the browser say the next time who it is."""
        value = self._signer.dumps([visitor.name, visitor.on_call])
        response.set_cookie(_COOKIE, str(value), httponly=True, samesite="lax")

    def identify(self, connection: HTTPConnection) -> Identity | None:
        """For the API and the dashboard: a visitor reaches its own jobs, and whoever is on call all of them."""
        visitor = self._known(connection)
        return None if visitor is None else Identity(visitor.name, admin=visitor.on_call)

    def _known(self, connection: HTTPConnection) -> Visitor | None:
        try:
            name, on_call = self._signer.loads(connection.cookies.get(_COOKIE, ""))
        except (BadData, ValueError, TypeError):
            return None
        return Visitor(str(name), bool(on_call))
