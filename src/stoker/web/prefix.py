"""A path under which an application is reached."""

from __future__ import annotations

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
            path: str = scope["path"]
            whole = path if path == self._path or path.startswith(f"{self._path}/") else self._path + path
            scope = {**scope, "path": whole, "root_path": self._path}
        await self._inner(scope, receive, send)
