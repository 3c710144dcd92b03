"""Forms carry a token, so that only our own pages can post in somebody's name.

It is signed, and bound to the identity that the page was made for: there is no cookie that could be set or stolen. It
stays the same for an hour, so that a page that is rendered again is the same text.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from stoker.engine import Engine
from stoker.web.dashboard.form import Form
from stoker.web.dashboard.seal import HOUR, Seal
from stoker.web.identity import Identity
from stoker.web.problem import Problem

FIELD: Final = "csrf"
HEADER: Final = "x-csrf-token"
_AGE: Final = 24 * HOUR


class Csrf:
    """Makes and checks the tokens of forms."""

    def __init__(self, engine: Engine) -> None:
        self._seal = Seal(engine, "csrf")

    async def token(self, identity: Identity) -> str:
        """For a page that is made for this identity."""
        return await self._seal.close("form", identity, HOUR)

    async def check(self, request: Request, form: Form, identity: Identity) -> None:
        """Raises a 403 where the form does not come from a page that was made for this identity."""
        token = form.text(FIELD) or request.headers.get(HEADER, "")
        if await self._seal.open(token, identity, _AGE) != "form":
            raise Problem(
                403,
                "invalid-csrf-token",
                "this form is too old, or comes from elsewhere; reload the page and try again",
            )
