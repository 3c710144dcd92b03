"""Runs plans on the standard library's `sqlite3`.

One connection writes; whoever holds its lock commits everything that waits for it, in one transaction (group commit).
Reads have connections of their own and never wait for the writer. The database file is never opened other than by
SQLite: closing any other handle of it would drop the locks that SQLite holds.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from stoker import clock
from stoker.drivers.aside import Aside, Errand
from stoker.drivers.driver import Finding, Hint
from stoker.drivers.gate import Gate
from stoker.drivers.sqlite_asking import Asking
from stoker.drivers.sqlite_health import examine
from stoker.drivers.sqlite_refusal import is_busy, translated
from stoker.errors import AppClosed, ConfigError
from stoker.forking import mind
from stoker.plan import Plan, Reply, Statement, Steps, Violation, pump

T = TypeVar("T")

_PAUSE: Final = 0.0005
"""Seconds between two tries for the write lock. Constant, because with a growing pause the old waiters starve."""

_FORK_WAITS: Final = 5.0
"""Seconds that a fork waits for the threads that use the file."""

_CHECKPOINT: Final = 4000
"""Pages (16 MB) in the log before they are copied into the file. Every job writes its pages three times, and those that
meet in the log are copied once. Much more than this is slower under `full`, while the log's file still grows."""

_LOOKS: Final = ((0, 0.001), (1.0, 0.002), (4.0, 0.004), (12.0, 0.010))
"""How often other processes' commits are looked for: after so many quiet seconds, every so many seconds. A look costs
microseconds, but waking up for it costs ten times that."""


_STEPS: Final = 10_000
"""Steps of SQLite's machine, some of which take a tenth of a millisecond, between two looks whether to give up."""


class SqliteDriver:
    """Runs plans on one database file."""

    def __init__(self, path: str, *, synchronous: str = "full", timeout: float = 30.0) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
        self._synchronous = synchronous
        self._timeout = timeout
        self._abandoned: list[Any] = []
        self._closed = False
        self._begin()
        mind(self)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._hints: dict[_Ear, Callable[[], None]] = {}
        self._gate = Gate()
        self._resting = False
        self._lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._pending: deque[_Ticket[Any]] = deque()
        self._write_aside: Aside[_Ticket[Any]] = Aside("stoker-sqlite-write", self._write_errands)
        self._read_aside: Aside[Plan[Any]] = Aside("stoker-sqlite-read", self._read_errands)
        self._asking = Asking(self._read)

    @property
    def durability(self) -> str:
        """See `Driver.durability`."""
        if self._synchronous == "full":
            return "synchronous=full: a job is on disk before its enqueue returns, and survives a power failure"
        return "synchronous=normal: a job survives the end of any process; a power failure may take the last moments"

    @property
    def place(self) -> str:
        """See `Driver.place`."""
        return self._path

    def run(self, plan: Plan[T]) -> T:
        """See `Driver.run`."""
        self._check()
        if not plan.writes:
            return self._read(plan)
        ticket = _Ticket(plan)
        self._pending.append(ticket)
        with self._lock:
            if not ticket.done:
                self._commit_pending(wait=True)
        return ticket.take()

    async def arun(self, plan: Plan[T]) -> T:
        """See `Driver.arun`.

        With `synchronous=normal` a commit costs microseconds, less than a trip to another thread: it is done right
        here, unless somebody else is writing. With `full` it waits for the disk, so it is done aside.
        """
        self._check()
        if not plan.writes:
            result: T = await self._read_aside.submit(plan)
            return result
        ticket = _Ticket(plan)
        if self._synchronous != "normal" or not self._try_now(ticket):
            await self._write_aside.submit(ticket)
        return ticket.take()

    async def ask(self, plan: Plan[T], within: float) -> T:
        """See `Driver.ask`. In a thread of its own, so that nobody else waits for the answer."""
        self._check()
        return await self._asking.ask(plan, within)

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """See `Driver.listen`. Other processes' commits are seen by the version that SQLite keeps of its file."""
        return _Ear(self, loop, hint).stop

    def recognise(self) -> Plan[None]:
        """See `Driver.recognise`."""

        def steps() -> Steps[None]:
            try:
                reply = yield Statement("PRAGMA database_list")
            except Exception as error:
                raise ConfigError(f"connection= must be one to the SQLite database {self._path}") from error
            theirs = next((row[2] for row in reply.rows if row[1] == "main"), "")
            if not theirs or os.path.realpath(theirs) != os.path.realpath(self._path):
                raise ConfigError(
                    f"connection= is one to the database {theirs or 'in memory'}, but this app's jobs are in "
                    f"{self._path}; a job there would never be seen"
                )

        return Plan(steps, name="recognise", writes=False, wakes=False)

    def exists(self) -> bool:
        """See `Driver.exists`."""
        return os.path.exists(self._path)  # noqa: PTH110 - the path is a text everywhere here

    def examine(self) -> Sequence[Finding]:
        """See `Driver.examine`."""
        return examine(self._path)

    def sibling(self, *, patient: bool = True) -> SqliteDriver:
        """See `Driver.sibling`."""
        timeout = self._timeout if patient else 0.0
        return SqliteDriver(self._path, synchronous=self._synchronous, timeout=timeout)

    def close(self) -> None:
        """See `Driver.close`."""
        if self._closed:
            return
        self._closed = True
        self._write_aside.stop()
        self._read_aside.stop()
        self._asking.stop()
        with self._lock:
            self._close_connections()

    def _close_connections(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        while self._readers:
            self._readers.pop().close()

    # --- forks ------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """See `forking`: what SQLite knows of its locks is copied into the child, and the locks are not.

        So the child would think that it has locks on the file which it does not have, and be overlooked by whoever
        closes the file last and removes its log; or would wait for a lock that nobody there gives back.
        """
        if not self._lock.acquire(timeout=_FORK_WAITS):
            return
        self._resting = self._gate.close(_FORK_WAITS)
        if not self._resting:
            self._lock.release()
            return
        self._close_connections()
        for ear in self._hints:
            ear.rest()

    def after_fork(self, *, child: bool) -> None:
        """See `forking`."""
        if child:
            self._begin_anew()
        elif self._resting:
            self._resting = False
            self._gate.open()
            self._lock.release()

    # --- hints ------------------------------------------------------------------------------------------------------

    def add_hint(self, token: _Ear, hint: Callable[[], None]) -> None:
        """Have `hint` called after a commit of this driver that may make jobs due."""
        self._hints[token] = hint

    def drop_hint(self, token: _Ear) -> None:
        """Undo `add_hint`."""
        self._hints.pop(token, None)

    def look(self, connection: sqlite3.Connection | None) -> tuple[sqlite3.Connection | None, int]:
        """The file's version, as this connection sees it; a new one begins to count anew."""
        with self._gate:
            try:
                connection = connection or self._open()
                version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error:
                version = -1  # busy or worse: a change, so that the worker asks and learns what it is
            return connection, version

    # --- writing ----------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        if self._pid != os.getpid():
            self._begin_anew()

    def _begin_anew(self) -> None:
        # A SQLite connection must not be used, nor even closed, in a forked child: keep it out of reach.
        self._abandoned += [self._writer, self._readers, self._lock, self._pending, self._hints, self._asking]
        self._begin()

    def _try_now(self, ticket: _Ticket[Any]) -> bool:
        """Commit at once if nobody else is writing."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._pending.append(ticket)
            self._commit_pending(wait=False)
            if not ticket.done:
                self._pending.remove(ticket)
            return ticket.done
        finally:
            self._lock.release()

    def _write_errands(self, errands: list[Errand[_Ticket[Any]]]) -> None:
        self._pending.extend(errand.what for errand in errands)
        with self._lock:
            if not all(errand.what.done for errand in errands):
                self._commit_pending(wait=True)

    def _commit_pending(self, *, wait: bool) -> None:
        """Under the lock: run every ticket that waits, in one transaction. Without `wait`, only if that is at once."""
        tickets = list(self._pending)
        try:
            connection = self._writing_connection()
            if not self._begin_immediate(connection, wait=wait):
                return
        except BaseException as error:  # noqa: BLE001 - whatever it is, every ticket's owner hears of it
            self._settle(tickets, translated(error, self._path))
            return
        try:
            for ticket in tickets:
                _run_ticket(connection, ticket, alone=len(tickets) == 1)
            connection.execute("COMMIT")
        except BaseException as error:
            _roll_back(connection)
            self._settle(tickets, translated(error, self._path))
            if not isinstance(error, Exception):
                raise
            return
        self._settle(tickets, None)
        if any(ticket.plan.wakes and ticket.error is None for ticket in tickets):
            for hint in list(self._hints.values()):
                hint()

    def _settle(self, tickets: list[_Ticket[Any]], error: Exception | None) -> None:
        for ticket in tickets:
            ticket.error = ticket.error or error
            if ticket.error is not None:
                ticket.error = translated(ticket.error, self._path)
            ticket.done = True
            self._pending.popleft()

    def _begin_immediate(self, connection: sqlite3.Connection, *, wait: bool) -> bool:
        deadline = clock.monotonic() + self._timeout
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if not wait:
                    return False
                if clock.monotonic() >= deadline:
                    raise
                clock.sleep(_PAUSE)
            else:
                return True

    # --- reading ----------------------------------------------------------------------------------------------------

    def _read_errands(self, errands: list[Errand[Plan[Any]]]) -> None:
        for errand in errands:
            try:
                errand.result = self._read(errand.what)
            except BaseException as error:  # noqa: BLE001 - it is raised where the errand came from
                errand.error = error

    def _read(self, plan: Plan[T], is_over: Callable[[], bool] | None = None) -> T:
        """Run it on a connection of its own; `is_over`: asked every so often whether to give it up.

        Readers seldom meet a lock: while another process opens the file first, or closes it last. As they changed
        nothing, they begin afresh.
        """
        deadline = clock.monotonic() + self._timeout
        while True:
            try:
                with self._gate:
                    return self._read_inside(plan, is_over)
            except sqlite3.Error as error:
                given_up = clock.monotonic() >= deadline or (is_over is not None and is_over())
                if given_up or not is_busy(error):
                    raise translated(error, self._path) from error
            clock.sleep(_PAUSE)

    def _read_inside(self, plan: Plan[T], is_over: Callable[[], bool] | None) -> T:
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
        try:
            connection.set_progress_handler(is_over, _STEPS)
            connection.execute("BEGIN")
            try:
                return pump(plan, lambda statement: _execute(connection, statement))
            finally:
                _roll_back(connection)
        finally:
            self._readers.append(connection)

    # --- connections ------------------------------------------------------------------------------------------------

    def _writing_connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _connect(self) -> sqlite3.Connection:
        deadline = clock.monotonic() + self._timeout
        while True:
            try:
                return self._open()
            except sqlite3.Error as error:
                if not is_busy(error) or clock.monotonic() >= deadline:
                    raise translated(error, self._path) from error
                clock.sleep(_PAUSE)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._synchronous == 'full' else 'NORMAL'}")
            connection.execute("PRAGMA fullfsync = ON")
            connection.execute("PRAGMA cache_size = -32000")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        except BaseException:
            connection.close()
            raise
        return connection


class _Ticket(Generic[T]):
    """A plan that waits for its turn to be written, and what came of it."""

    __slots__ = ("done", "error", "plan", "result")

    def __init__(self, plan: Plan[T]) -> None:
        self.plan = plan
        self.result: T | None = None
        self.error: Exception | None = None
        self.done = False

    def take(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # done without an error: it is a T


class _Ear:
    """Looks at the file's version every few milliseconds, on the event loop, and calls `hint` when it changed."""

    def __init__(self, driver: SqliteDriver, loop: asyncio.AbstractEventLoop, hint: Hint) -> None:
        self._driver = driver
        self._loop = loop
        self._hint = hint
        self._connection: sqlite3.Connection | None = None
        self._seen = self._look()
        self._quiet = 0.0
        self._pause = _LOOKS[0][1]
        driver.add_hint(self, self._from_inside)
        self._timer = loop.call_later(self._pause, self._tick)

    def stop(self) -> None:
        self._timer.cancel()
        self._driver.drop_hint(self)
        self.rest()

    def rest(self) -> None:
        """Close the connection; the next look opens another, and counts as a change."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._seen = None, -1

    def _from_inside(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hint)

    def _tick(self) -> None:
        version = self._look()
        if version != self._seen:
            self._seen = version
            self._quiet = 0.0
            self._hint()
        else:
            self._quiet += self._pause
        self._pause = max(pause for quiet, pause in _LOOKS if quiet <= self._quiet)
        self._timer = self._loop.call_later(self._pause, self._tick)

    def _look(self) -> int:
        self._connection, version = self._driver.look(self._connection)
        return version


def _run_ticket(connection: sqlite3.Connection, ticket: _Ticket[Any], *, alone: bool) -> None:
    """Run one plan of a group. Its failure undoes its own writes and nobody else's."""
    if alone:
        ticket.result = pump(ticket.plan, lambda statement: _execute(connection, statement))
        return
    connection.execute("SAVEPOINT one")
    try:
        ticket.result = pump(ticket.plan, lambda statement: _execute(connection, statement))
    except Exception as error:
        if not connection.in_transaction:  # SQLite itself rolled everything back: disk full, I/O error
            raise
        connection.execute("ROLLBACK TO one")
        ticket.error = error
    connection.execute("RELEASE one")


def _execute(connection: sqlite3.Connection, statement: Statement) -> Reply:
    run = connection.executemany if statement.many else connection.execute
    try:
        cursor = run(statement.text, statement.params)
    except sqlite3.IntegrityError as error:
        raise Violation(str(error)) from error
    return Reply(cursor.fetchall() if cursor.description else [], cursor.rowcount)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            return  # it was rolled back by SQLite
