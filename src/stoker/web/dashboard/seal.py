"""Signs small values that travel through a browser and come back."""

from __future__ import annotations

from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from stoker import clock
from stoker.engine import Engine
from stoker.web.identity import Identity

HOUR: Final = 3600


class Seal:
    """Signs for one purpose, one identity and a while, with the secret of the app."""

    def __init__(self, engine: Engine, purpose: str) -> None:
        self._engine = engine
        self._purpose = purpose
        self._known: URLSafeSerializer | None = None

    async def close(self, value: Any, identity: Identity, period: int = 1) -> str:
        """The value, signed. Within a period (seconds) of the clock it is always the same text."""
        at = clock.now() // clock.SECOND // period * period
        text: str = (await self._serializer()).dumps([value, identity.owner, identity.admin, at])
        return text

    async def open(self, text: str, identity: Identity, age: int) -> Any:
        """The value; None where it was not signed for this identity in the last `age` seconds."""
        try:
            value, owner, admin, at = (await self._serializer()).loads(text)
        except (BadData, ValueError, TypeError):
            return None
        fresh = 0 <= clock.now() // clock.SECOND - at <= age
        return value if fresh and (owner, admin) == (identity.owner, identity.admin) else None

    async def _serializer(self) -> URLSafeSerializer:
        if self._known is None:
            secret = await self._engine.aplay(self._engine.secret())
            self._known = URLSafeSerializer(secret, salt=f"stoker.{self._purpose}")
        return self._known
