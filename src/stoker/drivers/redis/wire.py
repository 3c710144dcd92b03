"""One connection to a server, for blocking calls and for calls on any event loop.

A call on an event loop watches the socket only while it waits. So an idle wire belongs to no loop: one pool serves all
threads and loops, and a loop that is closed leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

import hiredis

from stoker.drivers.redis.address import Address, Node, Reply

_BLOCKED: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ: Final = 65536


class WireBroken(ConnectionError):
    """The connection ended, or its other end said what nobody can understand."""


class Wire:
    """A connection. One call at a time; after an error, or a call that did not end, it is of no more use."""

    __slots__ = ("_reader", "_socket", "node", "term")

    def __init__(self, opened: socket.socket, node: Node) -> None:
        self._socket = opened
        self._reader = hiredis.Reader()
        self.node = node
        self.term = 0
        """counts the times that the server was looked for before this was opened"""

    def close(self) -> None:
        """Close it; twice does no harm."""
        self._socket.close()

    def is_stale(self) -> bool:
        """Whether the other end closed it (or talks unasked) while it was idle."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except _BLOCKED:
            return False
        except (OSError, ValueError):
            return True
        return True

    # --- blocking ---------------------------------------------------------------------------------------------------

    def call(self, command: bytes, timeout: float) -> Reply:
        """Send a command and wait for its reply. An error that the server answers with is returned, not raised."""
        self._socket.settimeout(timeout)
        self._socket.sendall(command)
        while (reply := self._next()) is False:
            self._feed(self._socket.recv(_READ))
        return reply

    # --- on an event loop -------------------------------------------------------------------------------------------

    async def acall(self, command: bytes, timeout: float) -> Reply:
        """The same without blocking the loop."""
        self._socket.settimeout(0)
        rest = self._send(memoryview(command))
        return await self._wait(rest, timeout)

    async def ahear(self, timeout: float) -> Reply:
        """The next thing that the server says unasked."""
        reply = self._next()
        if reply is not False:
            return reply
        self._socket.settimeout(0)
        return await self._wait(memoryview(b""), timeout)

    async def _wait(self, rest: memoryview, timeout: float) -> Reply:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Reply] = loop.create_future()

        def write() -> None:
            nonlocal rest
            try:
                rest = self._send(rest)
            except OSError as error:
                _fail(answered, error)
            if not rest or answered.done():
                loop.remove_writer(self._socket)

        def read() -> None:
            try:
                reply = self._read()
            except (OSError, hiredis.ProtocolError) as error:
                _fail(answered, error)
            else:
                if reply is not False and not answered.done():
                    answered.set_result(reply)

        timer = loop.call_later(timeout, _fail, answered, TimeoutError(f"no reply within {timeout:g} s"))
        loop.add_reader(self._socket, read)
        if rest:
            loop.add_writer(self._socket, write)
        try:
            return await answered
        finally:
            timer.cancel()
            loop.remove_reader(self._socket)
            if rest:
                loop.remove_writer(self._socket)

    def _send(self, data: memoryview) -> memoryview:
        """Send as much as there is room for; what is left."""
        try:
            return data[self._socket.send(data) :]
        except _BLOCKED:
            return data

    def _read(self) -> Reply:
        """Read all that is there; a reply, or False while it is not complete."""
        while True:
            try:
                data = self._socket.recv(_READ)
            except _BLOCKED:
                return False
            self._feed(data)
            reply = self._next()
            if reply is not False:
                return reply

    # --- both -------------------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        if not data:
            raise WireBroken("the server closed the connection")
        self._reader.feed(data)

    def _next(self) -> Reply:
        try:
            return self._reader.gets()
        except hiredis.ProtocolError as error:
            raise WireBroken(f"this is no Redis server: {error}") from error


def packed(*parts: str | bytes | int) -> bytes:
    """A command as it is sent."""
    command: Any = parts  # hiredis says that it takes tuples of one
    sent: bytes = hiredis.pack_command(command)
    return sent


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def open_wire(address: Address, node: Node) -> Wire:
    """Connect, encrypt and log in. Blocks; raises `OSError`, and `hiredis.ReplyError` where the server refuses."""
    opened = _connect(address, node)
    wire = Wire(opened, node)
    try:
        if address.credentials:
            expect(wire, address, "AUTH", *address.credentials)
        if address.database:
            expect(wire, address, "SELECT", str(address.database))
    except BaseException:
        wire.close()
        raise
    return wire


def expect(wire: Wire, address: Address, *command: str) -> Reply:
    """The reply to a command; raises `hiredis.ReplyError` if it is an error."""
    reply = wire.call(packed(*command), address.timeout)
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    return reply


def _connect(address: Address, node: Node) -> socket.socket:
    if not node.port:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            local.settimeout(address.timeout)
            local.connect(node.host)
        except BaseException:
            local.close()
            raise
        return local
    opened = socket.create_connection(node, address.timeout)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if address.tls is not None:
            return address.tls().wrap_socket(opened, server_hostname=node.host)
    except BaseException:
        opened.close()
        raise
    return opened
