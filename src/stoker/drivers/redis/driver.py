"""Runs plans on a Redis or Valkey server. Every statement is a script, and so a transaction by itself.

redis-py's clients talk to it, in threads: an exchange of hundreds of jobs costs one trip to another thread, and nothing
here belongs to an event loop. A call whose reply is lost is never repeated: it raises `StoreUnavailable`, and the
caller, who knows that every verb may be repeated, decides.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError

from stoker.drivers.aside import Aside, Errand, in_thread
from stoker.drivers.driver import Finding, Hint
from stoker.drivers.redis.address import Address
from stoker.drivers.redis.ear import Ear
from stoker.drivers.redis.faults import problem
from stoker.drivers.redis.health import examine, objection
from stoker.drivers.redis.server import BROKEN, Server
from stoker.errors import AppClosed, ConfigError, StoreUnavailable, TookTooLong
from stoker.forking import mind
from stoker.plan import Plan, Reply, Statement, pump

T = TypeVar("T")

_POOL_SIZE: Final = 20


class RedisDriver:
    """Runs plans on one server, or on the node of a cluster that has the prefix's keys."""

    def __init__(
        self, address: Address, *, prefix: str = "stoker", pool_size: int = _POOL_SIZE, allow_eviction: bool = False
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
        self._server = Server(self._address, f"{{{self._prefix}}}")
        self._turn = threading.BoundedSemaphore(self._pool_size)
        self._ears: set[Ear] = set()
        self._vetted = False
        self._write_aside: Aside[Plan[Any]] = Aside("stoker-redis-write", self._run_errands)
        self._read_aside: Aside[Plan[Any]] = Aside("stoker-redis-read", self._run_errands)

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
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        return pump(plan, lambda statement: self._execute(statement, writes=plan.writes))

    async def arun(self, plan: Plan[T]) -> T:
        """See `Driver.arun`. Reads have a thread of their own, so that a long listing keeps no exchange waiting."""
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        aside = self._write_aside if plan.writes else self._read_aside
        result: T = await aside.submit(plan)
        return result

    async def ask(self, plan: Plan[T], within: float) -> T:
        """See `Driver.ask`. In a thread of its own, which asks nothing more of the server once it was given up.

        A script is never cut short, but each looks at a stretch only, which takes milliseconds.
        """
        if self._closed:
            raise AppClosed("this connection to the store was closed")
        given_up = threading.Event()
        advice = (
            f"{self.place} did not answer within {within:g} seconds; narrow the question: ids, an owner, a workflow or "
            "states other than completed are found by an index, all else is looked for in every job"
        )

        def execute(statement: Statement) -> Reply:
            if given_up.is_set():
                raise TookTooLong(advice)
            return self._execute(statement, writes=False)

        try:
            async with asyncio.timeout(within):
                return await in_thread(lambda: pump(plan, execute))
        except TimeoutError:
            raise TookTooLong(advice) from None
        finally:
            given_up.set()

    def listen(self, loop: asyncio.AbstractEventLoop, hint: Hint) -> Callable[[], None]:
        """See `Driver.listen`. Scripts that make jobs due publish; a subscriber of its own hears them."""
        ear = Ear(self._server, f"{{{self._prefix}}}:wake", loop, hint)
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
        return examine(self._server, self.place)

    def sibling(self, *, patient: bool = True) -> RedisDriver:
        """See `Driver.sibling`. No call here waits for a lock, so the impatient one is like the others."""
        return RedisDriver(
            self._address, prefix=self._prefix, pool_size=self._pool_size, allow_eviction=self._allow_eviction
        )

    def close(self) -> None:
        """See `Driver.close`."""
        if self._closed:
            return
        self._closed = True
        for ear in list(self._ears):
            ear.stop()
        self._write_aside.stop()
        self._read_aside.stop()
        self._server.close()

    # --- forks ------------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """See `forking`: nothing here is locked for longer than a moment, and a child begins anew."""

    def after_fork(self, *, child: bool) -> None:
        """See `forking`: a connection that two processes use would mix up their replies."""
        if child:
            # Kept, because some are in use by threads that are not in this process, and none may be used or ended here.
            self._abandoned += [self._server, self._ears, self._write_aside, self._read_aside]
            self._begin()

    # --- statements -------------------------------------------------------------------------------------------------

    def _run_errands(self, errands: list[Errand[Plan[Any]]]) -> None:
        for errand in errands:
            try:
                errand.result = self.run(errand.what)
            except BaseException as error:  # noqa: BLE001 - it is raised where the errand came from
                errand.error = error

    def _execute(self, statement: Statement, *, writes: bool) -> Reply:
        if not self._turn.acquire(timeout=self._address.timeout):
            raise StoreUnavailable(f"{self.place}: all {self._pool_size} connections are in use; see ?pool_size=")
        try:
            if writes and not self._vetted:
                self._vet()
            return Reply([(self._run(statement),)], 0)
        except BROKEN as error:
            raise problem(error, self.place) from error
        finally:
            self._turn.release()

    def _run(self, statement: Statement) -> Any:
        """Run a script by its digest, and by its text where the server does not know it."""
        text, params = statement.text, statement.params
        digest = self._digests.get(text)
        if digest is None:
            digest = self._digests[text] = sha1(text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so
        try:
            return self._server.run("EVALSHA", digest, *params)
        except NoScriptError:
            return self._server.run("EVAL", text, *params)

    def _vet(self) -> None:
        """Before the first write: would this server lose jobs? Where it may not be asked, it is not held against it."""
        found = objection(self._server, allow_eviction=self._allow_eviction)
        if found is not None:
            raise ConfigError(f"{self.place}: {found}")
        self._vetted = True
