"""Who is who: a signed cookie gives each visitor a name of their own, without any sign-up.

An application with real accounts has this already. What Stoker needs of it is `identify`, at the end.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import HTTPConnection

from stoker.web import Identity

COOKIE = "visitor"

# With a new key at every start, visitors are strangers after a restart. Set SECRET_KEY where that matters, and wherever
# the application has more than one process.
_signer = URLSafeSerializer(os.environ.get("SECRET_KEY") or secrets.token_hex(), salt="visitor")


def visitor_of(cookies: Mapping[str, str]) -> str:
    """The visitor whom the cookie names; a new one where there is none, or where somebody made it up."""
    return _named(cookies) or secrets.token_hex(8)


def signed(visitor: str) -> str:
    """The cookie's value."""
    text: str = _signer.dumps(visitor)
    return text


def identify(request: HTTPConnection) -> Identity | None:
    """Tell Stoker's routes who asks: they show a visitor their own jobs, and to nobody else that these exist."""
    visitor = _named(request.cookies)
    return Identity(owner=visitor) if visitor else None


def _named(cookies: Mapping[str, str]) -> str | None:
    try:
        visitor: str = _signer.loads(cookies.get(COOKIE, ""))
    except BadSignature:
        return None
    return visitor
