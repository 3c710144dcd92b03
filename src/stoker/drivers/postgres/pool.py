"""Connections that are open and idle, lent to one call at a time: a pool for threads, and one for an event loop.

They need no threads or tasks of their own, open nothing before it is asked for, and can be given up in a forked child.
"""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg import AsyncConnection, Connection
from psycopg.pq import TransactionStatus

from stoker.errors import AppClosed, StoreUnavailable

_CLOSING: Final = 10.0
"""Seconds that closing waits for calls under way in other threads."""


class Terms(Struct, frozen=True):
    """How to connect, and how often at once."""

    conninfo: str
    size: int
    timeout: float
    """seconds to wait for one of them"""
    prepares: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """What `connect` of both colours takes."""
        return {"conninfo": self.conninfo, "autocommit": True, "prepare_threshold": 5 if self.prepares else None}

    def exhausted(self) -> StoreUnavailable:
        """Nobody gave one back in time."""
        return StoreUnavailable(
            f"all {self.size} connections of this process were in use for {self.timeout:g} s; "
            "set pool_size= in the URL higher, or look for what holds them"
        )


class Pool:
    """Connections for threads."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._idle: list[Connection] = []
        self._lent = 0
        self._closed = False
        self._turn = threading.Condition(threading.Lock())

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection for the time of the `with`."""
        self._enter()
        connection = None
        try:
            connection = self._take()
            yield connection
        finally:
            self._leave(connection)

    def _enter(self) -> None:
        with self._turn:
            if not self._turn.wait_for(lambda: self._lent < self._terms.size or self._closed, self._terms.timeout):
                raise self._terms.exhausted()
            if self._closed:
                raise AppClosed("this connection to the store was closed")
            self._lent += 1

    def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            connection.close()
        return Connection.connect(**self._terms.arguments)

    def _leave(self, connection: Connection | None) -> None:
        with self._turn:
            self._lent -= 1
            if connection is not None:
                if self._closed or not _is_idle(connection):
                    connection.close()
                else:
                    self._idle.append(connection)
            self._turn.notify_all()

    def close(self) -> None:
        """Close what is idle; what is lent follows, and is waited for."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: not self._lent, _CLOSING)
            while self._idle:
                self._idle.pop().close()


class AsyncPool:
    """Connections for one event loop."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._idle: list[AsyncConnection] = []
        self._room = asyncio.Semaphore(terms.size)
        self._closed = False

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[AsyncConnection]:
        """A connection for the time of the `async with`."""
        try:
            async with asyncio.timeout(self._terms.timeout):
                await self._room.acquire()
        except TimeoutError:
            raise self._terms.exhausted() from None
        connection = None
        try:
            connection = await self._take()
            yield connection
        finally:
            self._leave(connection)

    async def _take(self) -> AsyncConnection:
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            connection.pgconn.finish()
        return await AsyncConnection.connect(**self._terms.arguments)

    def _leave(self, connection: AsyncConnection | None) -> None:
        self._room.release()
        if connection is not None:
            if self._closed or not _is_idle(connection):
                connection.pgconn.finish()
            else:
                self._idle.append(connection)

    @property
    def abandoned(self) -> bool:
        """Whether its loop is closed, so that nobody can use it any more."""
        return self._loop.is_closed()

    def close(self) -> None:
        """Close what is idle; what is lent follows. From any thread: an idle connection needs no loop for that."""
        self._closed = True
        while self._idle:
            connection = self._idle.pop()
            connection.pgconn.finish()


def _is_idle(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    return connection.pgconn.transaction_status == TransactionStatus.IDLE


def _is_quiet(connection: psycopg.Connection | psycopg.AsyncConnection) -> bool:
    """Whether the server said nothing since: what it says to an idle connection is, nearly always, that it goes."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)
