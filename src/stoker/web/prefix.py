"""A path under which an application is reached."""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from stoker.errors import ConfigError


class Prefix:
    """ASGI middleware: the application's addresses begin with that path, as its visitors see them.

    It does not matter whether a proxy in front takes the prefix off or leaves it on. Raises `ConfigError`.
    """

    def __init__(self, inner: ASGIApp, path: str) -> None:
        path = path.rstrip("/")
        if path and (not path.startswith("/") or not path.isascii() or any(sign in path for sign in "?#% ")):
            raise ConfigError(f"a prefix is a path as /stoker, not {path!r}")
        self._inner = inner
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request to the application."""
        if self._path and scope["type"] != "lifespan":
            scope = {**scope, **self._whole(scope), "root_path": self._path}
        await self._inner(scope, receive, send)

    def _whole(self, scope: Scope) -> dict[str, Any]:
        """The paths of the request as they are with the prefix: both, since links are made of the quoted one."""
        path: str = scope["path"]
        if path == self._path or path.startswith(f"{self._path}/"):
            return {}
        raw: bytes | None = scope.get("raw_path")  # servers may leave it out
        return {"path": self._path + path} | ({"raw_path": self._path.encode() + raw} if raw else {})
