"""Runs plans on a Redis or Valkey server. Every statement is a script, and so a transaction by itself.

A call whose reply is lost is never repeated here: it raises `StoreUnavailable`, and the caller, who knows that every
verb may be repeated, decides. Only what was surely not done is: a script that the server does not know any more, or a
call to a node of a cluster that does not have the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from hashlib import sha1
from typing import Any, Final, TypeVar

import hiredis

from stoker.drivers.aside import in_thread
from stoker.drivers.driver import Finding, Hint
from stoker.drivers.redis.address import Address, Node, Reply
from stoker.drivers.redis.ear import Ear
from stoker.drivers.redis.faults import breakdown, refusal
from stoker.drivers.redis.health import examine, objection
from stoker.drivers.redis.locator import Locator
from stoker.drivers.redis.pool import Pool
from stoker.drivers.redis.wire import Wire, packed
from stoker.errors import AppClosed, ConfigError, StokerError
from stoker.forking import mind
from stoker.plan import Plan, Statement, apump, pump
from stoker.plan import Reply as Rows

T = TypeVar("T")

Talk = Generator[bytes, Reply, Rows]
"""What is said for one statement: commands out, replies in, whatever the colour."""

_MOVES: Final = 3
"""How often one call is sent on to another node of the cluster."""


class RedisDriver:
    """Runs plans on one server, or on the node of a cluster that has the prefix's keys."""

    def __init__(
        self, address: Address, *, prefix: str = "stoker", pool_size: int = 20, allow_eviction: bool = False
    ) -> None:
        self._address = address
        self._prefix = prefix
        self._pool_size = pool_size
        self._allow_eviction = allow_eviction
        self._digests: dict[str, str] = {}
        self._abandoned: list[Any] = []
        self._closed = False
        self._begin()
        mind(self)

    def _begin(self) -> None:
        self._locator = Locator(self._address, f"{{{self._prefix}}}")
        self._pool = Pool(self._locator, self._pool_size)
        self._ears: set[Ear] = set()
        self._vetted = False

    @property
    def durability(self) -> str:
        """See `Driver.durability`."""
        return (
            "as the server is set: with appendonly=yes and appendfsync=always a job is on disk before its enqueue "
            "returns; with less, a crash of the server or a failover may take the last moments; stoker doctor tells"
        )

    @property
    def place(self) -> str:
        """See `Driver.place`."""
        return f"{self._address}, prefix {self._prefix}"

    def run(self, plan: Plan[T]) -> T:
        """See `Driver.run`."""
        self._check()
        return pump(plan, lambda statement: self._execute(statement, writes=plan.writes))

    async def arun(self, plan: Plan[T]) -> T:
        """See `Driver.arun`."""
        self._check()
        return await apump(plan, lambda statement: self._aexecute(statement, writes=plan.writes))

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """See `Driver.listen`. Scripts that make jobs due publish; a subscriber of its own hears them."""
        ear = Ear(self._locator, f"{{{self._prefix}}}:wake", loop, hint)
        self._ears.add(ear)

        def stop() -> None:
            self._ears.discard(ear)
            ear.stop()

        return stop

    def recognise(self) -> Plan[None]:
        """See `Driver.recognise`: a server of its own takes part in nobody's transaction."""
        raise ConfigError(f"connection= needs a store in the caller's own database; {self.place} is not one")

    def exists(self) -> bool:
        """See `Driver.exists`: there is a server, or every call says that there is none."""
        return True

    def examine(self) -> Sequence[Finding]:
        """See `Driver.examine`."""
        return examine(self._locator, self.place, self._prefix)

    def sibling(self, *, patient: bool = True) -> RedisDriver:
        """See `Driver.sibling`. No call here waits for a lock, so the impatient one is like the others."""
        return RedisDriver(
            self._address, prefix=self._prefix, pool_size=self._pool_size, allow_eviction=self._allow_eviction
        )

    def close(self) -> None:
        """See `Driver.close`."""
        self._closed = True
        for ear in list(self._ears):
            ear.stop()
        self._pool.close()

    def _check(self) -> None:
        if self._closed:
            raise AppClosed("this connection to the store was closed")

    # --- forks ------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """See `forking`: nothing here is locked for longer than a moment, and a child begins anew."""

    def after_fork(self, *, child: bool) -> None:
        """See `forking`: a wire that two processes use would mix up their replies."""
        if child:
            # Kept, because some are in use by threads that are not in this process, and none may be used or ended here.
            self._abandoned += [self._pool, self._ears]
            self._begin()

    # --- statements -------------------------------------------------------------------------------------------------

    def _execute(self, statement: Statement, *, writes: bool) -> Rows:
        if not self._pool.turn.acquire(timeout=self._address.timeout):
            raise breakdown(TimeoutError(f"all {self._pool_size} connections are in use; see ?pool_size="), self.place)
        try:
            return self._converse(self._talk(statement, writes=writes))
        finally:
            self._pool.turn.release()

    def _converse(self, talk: Talk) -> Rows:
        wire: Wire | None = None
        try:
            command = next(talk)
            while True:
                wire = self._fit(wire) or self._pool.open()
                reply = wire.call(command, self._address.timeout)
                command = talk.send(reply)
        except StopIteration as done:
            return self._finished(wire, done)
        except BaseException as error:
            raise self._failed(wire, error) from error

    async def _aexecute(self, statement: Statement, *, writes: bool) -> Rows:
        async with self._pool.loop_turn():
            talk = self._talk(statement, writes=writes)
            wire: Wire | None = None
            try:
                command = next(talk)
                while True:
                    fit = self._fit(wire)
                    wire = fit if fit is not None else await in_thread(self._pool.open)
                    reply = await wire.acall(command, self._address.timeout)
                    command = talk.send(reply)
            except StopIteration as done:
                return self._finished(wire, done)
            except BaseException as error:
                raise self._failed(wire, error) from error

    def _fit(self, wire: Wire | None) -> Wire | None:
        """The wire if it leads to the server, else an idle one that does; None: one must be opened."""
        if wire is not None:
            if wire.term == self._locator.term:
                return wire
            self._pool.drop(wire)
        return self._pool.take()

    def _finished(self, wire: Wire | None, done: StopIteration) -> Rows:
        if wire is not None:
            self._pool.give_back(wire)
        rows: Rows = done.value
        return rows

    def _failed(self, wire: Wire | None, error: BaseException) -> BaseException:
        """The error as one of ours. The wire of a call that did not end is of no more use."""
        if isinstance(error, StokerError):  # the server answered, and refused
            if wire is not None:
                self._pool.give_back(wire)
            return error
        if wire is not None:
            self._pool.drop(wire)
        if isinstance(error, hiredis.ReplyError):  # while a wire was opened
            return refusal(error, self.place)
        if isinstance(error, OSError):
            self._locator.forget()
            return breakdown(error, self.place)
        return error

    def _talk(self, statement: Statement, *, writes: bool) -> Talk:
        """Run a script by its digest, and by its text where the server does not know it."""
        if writes and not self._vetted:
            self._vet((yield packed("INFO")))
        text, params = statement.text, statement.params
        digest = self._digests.get(text)
        if digest is None:
            digest = self._digests[text] = sha1(text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so
        known = packed("EVALSHA", digest, 1, *params)
        reply = yield known
        for _ in range(_MOVES):
            if not isinstance(reply, hiredis.ReplyError):
                return Rows([(reply,)], 0)
            kind, _, rest = str(reply).partition(" ")
            if kind == "NOSCRIPT":
                reply = yield packed("EVAL", text, 1, *params)
            elif kind == "MOVED":
                self._locator.moved(_node(rest))
                reply = yield known
            else:
                break
        if isinstance(reply, hiredis.ReplyError):
            if str(reply).startswith(("READONLY", "CLUSTERDOWN", "ASK", "MOVED")):
                self._locator.forget()
            raise refusal(reply, self.place)
        return Rows([(reply,)], 0)

    def _vet(self, info: Reply) -> None:
        """Before the first write: would this server lose jobs? Where it may not be asked, it is not held against it."""
        if isinstance(info, bytes):
            problem = objection(info, allow_eviction=self._allow_eviction)
            if problem is not None:
                raise ConfigError(f"{self.place}: {problem}")
        self._vetted = True


def _node(rest: str) -> Node:
    """The node in `SLOT HOST:PORT`."""
    host, _, port = rest.partition(" ")[2].rpartition(":")
    return Node(host, int(port))
