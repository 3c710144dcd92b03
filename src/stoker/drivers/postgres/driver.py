"""Runs plans on psycopg 3: from threads on a pool of sync connections, from event loops on a pool for each.

A statement that is a plan's only one is a transaction by itself and is sent as it is: one round trip. A plan that met
somebody else's transaction (a deadlock) is run again. A write whose answer was lost is never repeated here: whoever
asked knows what may be repeated, and how.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

import psycopg
from msgspec.structs import replace
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stoker import clock
from stoker.drivers.driver import GIVEN_UP, Finding, Hint
from stoker.drivers.postgres.ear import Ear
from stoker.drivers.postgres.health import examine
from stoker.drivers.postgres.pool import AsyncPool, Pool, Terms
from stoker.drivers.postgres.refusal import is_passing, translated
from stoker.errors import AppClosed, ConfigError, TookTooLong
from stoker.forking import mind
from stoker.plan import Plan, Reply, Statement, Steps, apump, pump

T = TypeVar("T")

_Pools = WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncPool]

_TRIES: Final = 10
_PAUSE: Final = 0.01
"""Seconds before a plan that met another's transaction is run again, at first; it doubles, and varies by chance."""

_ASKED_AT_ONCE: Final = 4
"""Questions that one event loop asks at once, on connections of their own: workers never wait for one of these."""
_GRACE: Final = 1.0
"""Seconds more that are left to the server to give a question up by itself."""
_READING: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
_WRITING: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_DEFAULTS: Final = {
    "connect_timeout": "10",
    "application_name": "stoker",
    "client_encoding": "utf8",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Of libpq's parameters: a server that is gone without a word must not be waited for by the hour."""

_WHERE: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
        to_regclass(%(jobs)s::text)::oid::bigint, current_database()::text
"""
_RING: Final = "SELECT pg_notify(%(channel)s::text, '')"


class PostgresDriver:
    """Runs plans on one database."""

    def __init__(
        self,
        url: str,
        *,
        schema: str = "stoker",
        pool_size: int = 10,
        timeout: float = 30.0,
        listen: bool = True,
        prepare: bool = True,
        patient: bool = True,
    ) -> None:
        """`url`: libpq's own. Raises `ConfigError` where libpq does not understand it."""
        try:
            facts = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"the URL is not understood: {_without(str(error), url)}") from None
        self._facts = {**_DEFAULTS, **facts}
        self._schema = schema
        self._listens = listen
        self._patient = patient
        self._terms = Terms(make_conninfo(**cast(Any, self._facts)), pool_size, timeout, prepare)
        self._asking_terms = replace(self._terms, size=min(_ASKED_AT_ONCE, pool_size))
        self._abandoned: list[Any] = []
        self._closed = False
        self._identity: tuple[Any, ...] | None = None
        self._chance = clock.chance()
        self._begin()
        mind(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool = Pool(self._terms)
        self._async_pools: _Pools = WeakKeyDictionary()
        self._asking_pools: _Pools = WeakKeyDictionary()

    @property
    def durability(self) -> str:
        """See `Driver.durability`."""
        return (
            "as durable as the server's settings fsync and synchronous_commit say: with both on, their default, a job "
            "is on disk before its enqueue returns (`stoker doctor` shows them)"
        )

    @property
    def place(self) -> str:
        """See `Driver.place`."""
        facts = self._facts
        host = str(facts.get("host") or facts.get("hostaddr") or facts.get("service") or "localhost")
        port = f":{facts['port']}" if facts.get("port") else ""
        database = facts.get("dbname") or facts.get("user") or ""
        return f"PostgreSQL {host}{port}/{database}, schema {self._schema}"

    def run(self, plan: Plan[T]) -> T:
        """See `Driver.run`."""
        self._check()
        for pause in self._pauses():
            try:
                with self._pool.lent() as connection:
                    return self._run_on(connection, plan)
            except (psycopg.Error, OSError) as error:
                if pause is None or not is_passing(error):
                    raise self._translated(error) from error.__cause__
            clock.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def arun(self, plan: Plan[T]) -> T:
        """See `Driver.arun`."""
        self._check()
        pool = self._pool_of_loop(self._async_pools, self._terms)
        for pause in self._pauses():
            try:
                async with pool.lent() as connection:
                    return await self._arun_on(connection, plan)
            except (psycopg.Error, OSError) as error:
                if pause is None or not is_passing(error):
                    raise self._translated(error) from error.__cause__
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def ask(self, plan: Plan[T], within: float) -> T:
        """See `Driver.ask`. The server counts the time, within a transaction: so it does behind a pooler as well."""
        self._check()
        pool = self._pool_of_loop(self._asking_pools, self._asking_terms)
        deadline = clock.monotonic() + within
        try:
            async with asyncio.timeout(within) as limit, pool.lent() as connection:
                limit.reschedule((limit.when() or 0.0) + _GRACE)
                left = max(1, int(1000 * (deadline - clock.monotonic())))
                beginning = f"{_READING}; SET LOCAL statement_timeout = {left}"
                return await self._arun_on(connection, plan, beginning.encode())
        except (psycopg.errors.QueryCanceled, TimeoutError):
            raise TookTooLong(GIVEN_UP) from None
        except (psycopg.Error, OSError) as error:
            raise self._translated(error) from error.__cause__

    def _pauses(self) -> Iterator[float | None]:
        """What to wait after each try that met another's transaction; None after the last."""
        for tries in range(_TRIES - 1):
            yield min(0.5, _PAUSE * 2.0**tries) * (0.5 + self._chance.random())
        yield None

    def _translated(self, error: Exception) -> BaseException:
        return translated(error, self.place, self._schema)

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """See `Driver.listen`."""
        return Ear(self._terms, self._schema, loop, hint, listens=self._listens).stop

    def recognise(self) -> Plan[None]:
        """See `Driver.recognise`. It rings with the caller's commit: nobody knows now who will sleep then."""

        def steps() -> Steps[None]:
            try:
                theirs = yield self._where()
            except Exception as error:
                raise ConfigError(f"connection= must be one to the database of {self.place} ({error})") from error
            mine = self._identity = self._identity or self.run(self._look())
            if tuple(theirs.rows[0])[:3] != mine[:3]:
                raise ConfigError(
                    f"connection= is one to the database {theirs.rows[0][3]} where this app's tables are not; its jobs "
                    f"are in {self.place}; a job elsewhere would never be seen"
                )
            yield Statement(_RING, {"channel": self._schema})

        return Plan(steps, name="recognise", writes=False, wakes=False)

    def _where(self) -> Statement:
        return Statement(_WHERE, {"jobs": f'"{self._schema}".jobs'}, alone=True)

    def _look(self) -> Plan[tuple[Any, ...]]:
        def steps() -> Steps[tuple[Any, ...]]:
            return (yield self._where()).rows[0]

        return Plan(steps, name="look", writes=False, wakes=False)

    def exists(self) -> bool:
        """See `Driver.exists`: a server is taken to be there until a call says otherwise."""
        return True

    def examine(self) -> Sequence[Finding]:
        """See `Driver.examine`."""
        return examine(self._terms, self._schema, self._translated, listens=self._listens)

    def sibling(self, *, patient: bool = True) -> PostgresDriver:
        """See `Driver.sibling`."""
        return PostgresDriver(
            self._terms.conninfo,
            schema=self._schema,
            pool_size=self._terms.size,
            timeout=self._terms.timeout,
            listen=self._listens,
            prepare=self._terms.prepares,
            patient=patient,
        )

    def close(self) -> None:
        """See `Driver.close`."""
        if self._closed:
            return
        self._closed = True
        if self._pid == os.getpid():
            self._pool.close()
            for pool in self._loop_pools():
                pool.close()

    # --- forks ------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """See `forking`: sockets may be shared as long as the child never uses them."""

    def after_fork(self, *, child: bool) -> None:
        """See `forking`."""
        if child:
            self._begin_anew()

    def _check(self) -> None:
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        if self._pid != os.getpid():
            self._begin_anew()

    def _begin_anew(self) -> None:
        # To close a connection is to say goodbye to the server, in the parent's name: keep them out of reach.
        self._abandoned += [self._pool, *self._loop_pools()]
        self._begin()

    # --- connections ------------------------------------------------------------------------------------------------

    def _pool_of_loop(self, pools: _Pools, terms: Terms) -> AsyncPool:
        loop = asyncio.get_running_loop()
        pool = pools.get(loop)
        if pool is None:
            for other, left in list(pools.items()):
                if left.abandoned:
                    left.close()
                    del pools[other]  # it holds its loop, so nobody else would let go of both
            pool = pools[loop] = AsyncPool(terms)
        return pool

    def _loop_pools(self) -> list[AsyncPool]:
        return [*self._async_pools.values(), *self._asking_pools.values()]

    def _run_on(self, connection: Connection, plan: Plan[T]) -> T:
        begun = False

        def execute(statement: Statement) -> Reply:
            nonlocal begun
            if not begun and not statement.alone:
                connection.execute(self._beginning(plan))
                begun = True
            return _reply(connection.execute(statement.text.encode(), statement.params or None))

        try:
            result = pump(plan, execute)
            if begun:
                connection.execute("COMMIT")
        except BaseException:
            if begun and not connection.broken:
                connection.execute("ROLLBACK")
            raise
        return result

    async def _arun_on(self, connection: AsyncConnection, plan: Plan[T], beginning: bytes | None = None) -> T:
        """`beginning`: puts a transaction around every plan, and says how it begins."""
        begun = False

        async def execute(statement: Statement) -> Reply:
            nonlocal begun
            if not begun and (beginning is not None or not statement.alone):
                await connection.execute(beginning or self._beginning(plan))
                begun = True
            cursor = await connection.execute(statement.text.encode(), statement.params or None)
            return Reply(await cursor.fetchall() if cursor.description else [], cursor.rowcount)

        try:
            result = await apump(plan, execute)
            if begun:
                await connection.execute("COMMIT")
        except BaseException:
            if begun and not connection.broken:
                await connection.execute("ROLLBACK")
            raise
        return result

    def _beginning(self, plan: Plan[Any]) -> bytes:
        begin = _WRITING if plan.writes else _READING
        return (begin if self._patient else f"{begin}; SET LOCAL lock_timeout = '200ms'").encode()


def _reply(cursor: psycopg.Cursor[Any]) -> Reply:
    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)


def _without(message: str, url: str) -> str:
    """What libpq says of a URL, without the URL: it may hold a password."""
    return message.replace(url, "it").strip()
