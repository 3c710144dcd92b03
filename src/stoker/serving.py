"""What a process serves over HTTP, and where. Free of web libraries, so that it can be told to other processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from stoker.app import Stoker
from stoker.errors import ConfigError, MissingExtra
from stoker.target import load_callable

if TYPE_CHECKING:
    from stoker.web.server import Server

HOST: Final = "127.0.0.1"
PORT: Final = 8440


class Serving(Struct, frozen=True, kw_only=True):
    """The HTTP API and the dashboard, or an application of the user's, at an address."""

    host: str = HOST
    port: int = PORT
    """0: any that is free"""
    prefix: str = ""
    """the path under which its visitors reach it"""
    read_only: bool = False
    identify: str | None = None
    """`module:function` that says who asks; None: the app's setting"""
    web: str | None = None
    """`module:attribute` of the user's own ASGI application, which is served instead"""
    fd: int | None = None
    """a socket that listens already, of the process that started this one"""


def listener(serving: Serving, app: Stoker) -> socket.socket:
    """A socket that listens there.

    Raises `ConfigError`, also where the address is open to all and nothing says who asks.
    """
    if serving.fd is not None:
        return socket.socket(fileno=serving.fd)
    with importing_web():
        from stoker.web.server import listen
    return listen(serving.host, serving.port, identified=_identify(serving, app) is not None or serving.web is not None)


def application(serving: Serving, app: Stoker) -> Any:
    """The ASGI application. Raises `ConfigError`, `MissingExtra`."""
    with importing_web():
        from stoker.web import create
        from stoker.web.prefix import Prefix
        from stoker.web.server import is_wsgi
    if serving.web is None:
        return Prefix(create(app, _identify(serving, app), read_only=serving.read_only), serving.prefix)
    web = load_callable(serving.web, "--web")
    if is_wsgi(web):
        raise ConfigError(f"--web {serving.web} is a WSGI application; put it into a2wsgi.WSGIMiddleware(…)")
    return Prefix(web, serving.prefix)


def server(serving: Serving, app: Stoker, announce: Callable[[str], object]) -> Server:
    """A server, which listens already. `announce` is called with its URL once it answers."""
    web = application(serving, app)
    with importing_web():
        from stoker.web.server import Server, url_of
    there = listener(serving, app)
    url = url_of(there, serving.prefix.rstrip("/"))
    return Server(web, there, part=app.engine.part, announce=lambda: announce(url))


@contextmanager
def importing_web() -> Iterator[None]:
    """Import modules in here that need web libraries. Raises `MissingExtra` that names what is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "stoker").partition(".")[0]
        if package == "stoker":
            raise
        raise MissingExtra(f"the server needs the package {package}: pip install 'stoker[web]'") from None


def _identify(serving: Serving, app: Stoker) -> Callable[..., Any] | None:
    target = serving.identify or app.settings.identify
    return None if target is None else load_callable(target, "identify")
