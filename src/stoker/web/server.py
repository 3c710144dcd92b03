"""A web application on a port of this process, by uvicorn, on the loop of whoever runs it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from stoker.errors import ConfigError, StokerError
from stoker.web.nearby import is_loopback

PATIENCE: Final = 10
"""Seconds that requests under way get to end once the server is told to stop."""
_BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """Serves an application until it is told to stop: `await server.serve()`. Signals are left to whoever runs it.

    No request is logged, because a query may hold a token. `announce` is called once it answers, and `part` when no
    more connections come in: there streams are to be ended, which would never end by themselves. What else is under
    way gets its time, and is cut off then. Raises `StokerError` where the application's lifespan cannot begin.
    """

    def __init__(
        self,
        web: ASGIApp,
        listener: socket.socket,
        *,
        part: Callable[[], object] = lambda: None,
        announce: Callable[[], object] = lambda: None,
    ) -> None:
        config = uvicorn.Config(
            web,
            log_config=None,  # its words go where this process's words go
            log_level="warning",  # below that it says the addresses of WebSockets, with their queries
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
        super().__init__(config)
        self._listener = listener
        self._part = part
        self._announce = announce

    def stop(self) -> None:
        """Accept no more, and end. A second time: without waiting for what is under way."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `stop`."""
        try:
            await super().serve([self._listener])
        finally:
            self._listener.close()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None of them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's lifespan up to its first yield, and listen."""
        try:
            await super().startup(sockets)
        except SystemExit:  # it would take the whole loop with it
            raise StokerError("the web application could not start; the log says why") from None
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end the streams, wait for the rest, and end the lifespan."""
        for server in self.servers:
            server.close()
        self._part()
        await super().shutdown(sockets)


def listen(host: str, port: int, *, identified: bool) -> socket.socket:
    """A socket that listens at that address; port 0: a free one. Raises `ConfigError` that says what to do.

    `identified`: whether something says who asks. Without that only addresses of this machine alone are listened at.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"there is no host {host!r}; give a name or an address of this machine") from None
    if not identified and not is_loopback(str(address[0]).partition("%")[0]):
        raise ConfigError(
            f"at {host} everybody could see and change all jobs, because nothing says who asks: set identify "
            "(--identify MODULE:FUNCTION), or listen at 127.0.0.1"
        )
    try:
        return socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise ConfigError(_refusal(host, port, error)) from None


def _refusal(host: str, port: int, error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return f"port {port} of {host} is taken; stop who has it, or give another one (0: any that is free)"
        case errno.EACCES:
            return f"this user may not listen at port {port}; give one from 1024 on"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine"
        case _:
            return f"nothing can listen at port {port} of {host}: {error}"


def url_of(listener: socket.socket, path: str = "") -> str:
    """Where a browser finds what listens there."""
    host, port, *_ = listener.getsockname()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}/"


def is_wsgi(web: Any) -> bool:
    """Whether it looks like an application for the older protocol, as Flask's: `web(environ, start_response)`."""
    call = web if hasattr(web, "__code__") else type(web).__call__
    code = getattr(call, "__code__", None)
    return code is not None and "start_response" in code.co_varnames[: code.co_argcount]
