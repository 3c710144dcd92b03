"""What an act has done, told by the page that the browser is sent to.

The sentence travels in the URL, signed: nobody can make a link that has the dashboard say something.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import QueryParams

from stoker.engine import Engine
from stoker.web.dashboard.seal import Seal
from stoker.web.identity import Identity

PARAMETER: Final = "notice"
_AGE: Final = 60
"""Seconds for which a reload shows it again."""


class Notices:
    """Writes and reads notices."""

    def __init__(self, engine: Engine) -> None:
        self._seal = Seal(engine, "notice")

    async def write(self, text: str, identity: Identity) -> str:
        """The value of the parameter."""
        return await self._seal.close(text, identity)

    async def read(self, query: QueryParams, identity: Identity) -> str | None:
        """The sentence, if there is one that is ours."""
        sealed = query.get(PARAMETER)
        text: str | None = await self._seal.open(sealed, identity, _AGE) if sealed else None
        return text
