"""What this machine is: its addresses and names, and whether a request comes from it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.requests import HTTPConnection

_FORWARDED: Final = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
    *("cf-connecting-ip", "true-client-ip"),
)
"""What proxies add."""


def is_from_here(connection: HTTPConnection) -> bool:
    """Whether it comes from this machine, and directly: a proxy here would let in everybody whom it serves.

    Not every proxy says that it is one; nginx as it comes asks in HTTP/1.0, as no browser does. And by a name of this
    machine: a name of somebody else's that was made to point here (DNS rebinding) has a dot.
    """
    client = connection.client.host if connection.client is not None else _of_wsgi(connection)
    host = connection.headers.get("host", "").rsplit("]")[0].lstrip("[")
    host = host.partition(":")[0] if host.count(":") == 1 else host
    direct = not any(name in connection.headers for name in _FORWARDED) and connection.scope["http_version"] != "1.0"
    return direct and _is_near(client) and (is_loopback(host) or _is_local_name(host))


def is_loopback(text: str) -> bool:
    """Whether it is an address at which only this machine is reached; of what is no address: no."""
    return _loops(text, otherwise=False)


def _of_wsgi(connection: HTTPConnection) -> str:
    """The address that a WSGI server told, where what stands between left it out; '' under ASGI servers."""
    environ = connection.scope.get("wsgi_environ") or {}
    return str(environ.get("REMOTE_ADDR", ""))


def _is_near(client: str) -> bool:
    """Whether it is on this machine. Without an address it is in this process, or at a socket of this machine."""
    return _loops(client, otherwise=True)


def _loops(text: str, *, otherwise: bool) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return otherwise
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None  # before 3.13 it is none by itself
    return (mapped or address).is_loopback


def _is_local_name(host: str) -> bool:
    return host.endswith(".localhost") or not any(sign in host for sign in ".:")
