"""The SQLite store: every verb as a plan of statements. It opens and commits nothing; its drivers do.

One writer at a time is SQLite's rule, so a plan that writes sees nobody else's half-done work and needs no locks of
its own. Statements stand in the `.sql` files; what several verbs share stands in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from stoker.clock import SECOND, Clock, now
from stoker.job import Inserted, Job, Log, NewJob, Outcome, Progress
from stoker.plan import Statement, Steps, reading, waking, writing
from stoker.store import (
    Census,
    Change,
    Command,
    Exchanged,
    Facet,
    Filter,
    Flow,
    Orders,
    Page,
    QueueLimit,
    Recovered,
    Routing,
    Traits,
    Want,
    Worker,
)
from stoker.stores.record import strings
from stoker.stores.sayings import last_words, reports
from stoker.stores.schema import unapplied
from stoker.stores.sqlite.amending import Amending
from stoker.stores.sqlite.audit import SqliteAudit
from stoker.stores.sqlite.claiming import Claiming, Glance
from stoker.stores.sqlite.family import Family
from stoker.stores.sqlite.guards import Guards
from stoker.stores.sqlite.inserting import Inserting
from stoker.stores.sqlite.limits import Limits
from stoker.stores.sqlite.locks import SqliteLocks
from stoker.stores.sqlite.logs import Logs
from stoker.stores.sqlite.schedules import SqliteSchedules
from stoker.stores.sqlite.settling import Settling
from stoker.stores.sqlite.tallies import SqliteTallies
from stoker.stores.sqlite.texts import PACKAGE, Texts
from stoker.stores.sqlite.turns import Turns
from stoker.stores.sqlite.views import Views
from stoker.stores.statements import load_migrations, split_statements
from stoker.views import Changes, Totals

_REMEMBERED: Final = 90 * 24 * 3600 * SECOND
"""How long the name of a worker that is gone is kept for the records of its jobs, and a limit that no job has."""

_pairs = msgspec.json.Decoder(list[tuple[int, int]])


class SqliteStore:
    """Jobs in the tables `stoker_…` of one SQLite database."""

    traits = Traits(durable=True, borrows=True, shared=True)

    def __init__(self, clock: Clock = now) -> None:
        self._now = clock
        self._migrations = load_migrations(PACKAGE)
        self._sql = texts = Texts()
        self._ask = texts.ask
        self._family = Family(texts)
        self._limits = Limits(texts)
        self._turns = Turns(texts)
        self._inserting = Inserting(texts, self._family, self._limits, Guards(texts, self._limits))
        self._settling = Settling(texts)
        self._claiming = Claiming(texts, self._limits)
        self._logs = Logs(texts)
        self._amending = Amending(texts, self._settling, self._family, self._limits, self._logs)
        self._views = Views(texts)
        self.schedules = SqliteSchedules(clock, texts, self._inserting.insert)
        self.locks = SqliteLocks(clock, texts)
        self.tallies = SqliteTallies(clock, texts)
        self.audit = SqliteAudit(clock, texts)

    # --- a job's life -----------------------------------------------------------------------------------------------

    @waking
    def insert(self, jobs: Sequence[NewJob]) -> Steps[list[Inserted]]:
        """See `Store.insert`."""
        return (yield from self._inserting.insert(jobs, self._now()))

    @writing
    def exchange(
        self,
        worker: str,
        outcomes: Sequence[Outcome] = (),
        wants: Sequence[Want] = (),
        routing: Routing = Routing(tasks=frozenset()),
        limit: int = 0,
        turn: int = 0,
        known: Sequence[int] | None = None,
    ) -> Steps[Exchanged]:
        """See `Store.exchange`."""
        now = self._now()
        refused: list[int] = []
        settled: list[int] = []
        if outcomes:
            said = last_words(outcomes)
            if said:
                yield from self._logs.append(said)
            refused = yield from self._settling.settle(outcomes, now)
            settled = [outcome.ref for outcome in outcomes]
        if known is not None:
            settled += yield from self._settling.release_unknown(worker, known, now)
        glance = yield from self._claiming.look(worker, now)
        if settled and glance.has_edges:
            released = yield from self._family.settled(settled, now)
            if released:
                settled += released
                glance = yield from self._claiming.look(worker, now)
        if glance.has_limits or glance.lines or (glance.due is not None and glance.due <= now):
            glance = yield from self._line_up(glance, worker, settled, now)
        claims = yield from self._claiming.claim(glance, wants, routing, limit, turn, now)
        due_in = None if glance.due is None else max(0, glance.due - now)
        if glance.has_limits or glance.lines:
            spans = yield from self._claiming.tokens_in(glance, now)
            due_in = min(spans if due_in is None else [due_in, *spans], default=None)
        return Exchanged(claims, refused, due_in, glance.holder is not None)

    def _line_up(self, glance: Glance, worker: str, settled: Sequence[int], now: int) -> Steps[Glance]:
        """Queue what is due, and let in what limits let through."""
        keys = (yield from self._limits.stirred(settled, now)) if glance.has_limits else ()
        if glance.due is not None and glance.due <= now:
            yield self._ask("promote", now=now)
            glance = yield from self._claiming.look(worker, now)
        if glance.lines:
            yield from self._claiming.mend(glance, now)
        yield from self._limits.readmit(keys, now)
        return glance

    @writing
    def register(self, worker: Worker, lease: int) -> Steps[None]:
        """See `Store.register`."""
        yield self._ask(
            "register",
            id=worker.id,
            host=worker.host,
            pid=worker.pid,
            version=worker.version,
            queues=strings(worker.queues),
            tags=strings(worker.tags),
            concurrency=worker.concurrency,
            now=self._now(),
            lease=lease,
        )

    @writing
    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Steps[Orders]:
        """See `Store.heartbeat`."""
        now = self._now()
        if progress:
            rows = [(p.progress, p.message, p.checkpoint, now, p.ref, p.fence) for p in progress]
            yield self._sql.for_each("report", rows)
            said = reports(progress)
            if said:
                yield from self._logs.append(said)
        if lease is not None:
            yield self._ask("renew", worker=worker, now=now, lease=lease)
        return (yield from self._orders(worker, now))

    @reading
    def hear(self, worker: str) -> Steps[Orders]:
        """See `Store.hear`."""
        return (yield from self._orders(worker, self._now()))

    def _orders(self, worker: str, now: int) -> Steps[Orders]:
        reply = yield self._ask("orders", worker=worker, now=now)
        alive, asked, command = reply.rows[0]
        return Orders(bool(alive), _pairs.decode(asked), None if command is None else Command(command))

    @writing
    def command(self, worker: str, command: Command | None) -> Steps[bool]:
        """See `Store.command`."""
        told = None if command is None else command.value
        reply = yield self._ask("command", worker=worker, command=told, now=self._now())
        return reply.changed == 1

    @writing
    def retire(self, worker: str) -> Steps[None]:
        """See `Store.retire`."""
        yield self._ask("retire", worker=worker)

    @waking
    def recover(self, limit: int = 1000) -> Steps[Recovered]:
        """See `Store.recover`."""
        now = self._now()
        refs = yield from self._settling.lost(limit, now)
        recovered = Recovered()
        if refs:
            recovered = yield from self._settling.recover(refs, now)
            released = yield from self._family.settled(refs, now)
            yield from self._limits.readmit((yield from self._limits.keys_of(refs + released)), now)
        yield self._ask("forget", now=now)
        return recovered

    @writing
    def prune(self, limit: int = 1000) -> Steps[int]:
        """See `Store.prune`."""
        now = self._now()
        yield self._ask("forget_guards", now=now)
        yield self._ask("forget_locks", now=now)
        yield from self.tallies.forget(now)
        yield from self.audit.forget(now)
        refs = yield from self._amending.expired(limit, now)
        if refs:
            released = yield from self._amending.delete(refs, now)
            yield from self._limits.readmit((yield from self._limits.keys_of(released)), now)
        yield self._ask("forget_limits", now=now, before=now - _REMEMBERED)
        yield self._ask("prune_workers", before=now - _REMEMBERED)
        return len(refs)

    # --- the schema -------------------------------------------------------------------------------------------------

    @writing
    def migrate(self) -> Steps[list[str]]:
        """See `Store.migrate`."""
        names = yield from self._pending()
        for name in names:
            for text in split_statements(self._migrations[name]):
                yield Statement(text)
        if names:
            yield self._ask("set_version", version=str(len(self._migrations)))
        return names

    @reading
    def pending(self) -> Steps[list[str]]:
        """See `Store.pending`."""
        return (yield from self._pending())

    def _pending(self) -> Steps[list[str]]:
        version = 0
        if (yield self._ask("has_schema")).rows:
            reply = yield self._ask("version")
            version = int(reply.rows[0][0])
        return unapplied(self._migrations, version, "the database was written")

    def migrations(self) -> Mapping[str, str]:
        """See `Store.migrations`."""
        return self._migrations

    # --- operators --------------------------------------------------------------------------------------------------

    @waking
    def amend(self, which: Filter, change: Change, limit: int | None = None) -> Steps[int]:
        """See `Store.amend`."""
        return (yield from self._amending.amend(which, change, limit, self._now()))

    @reading
    def eligible(self, which: Filter, change: Change) -> Steps[int]:
        """See `Store.eligible`."""
        return (yield from self._amending.eligible(which, change, self._now()))

    @waking
    def pause(self, queue: str, paused: bool) -> Steps[None]:
        """See `Store.pause`."""
        yield self._ask("pause", queue=queue, paused=paused)

    @waking
    def limit(self, queue: str, limit: QueueLimit) -> Steps[None]:
        """See `Store.limit`."""
        if (yield from self._turns.limit(queue, limit)):
            yield from self._limits.readmit((yield from self._limits.keys_in(queue)), self._now())

    @waking
    def restore(self, jobs: Sequence[Job]) -> Steps[int]:
        """See `Store.restore`."""
        return (yield from self._inserting.restore(jobs, self._now()))

    # --- readers ----------------------------------------------------------------------------------------------------

    @reading
    def find(self, which: Filter = Filter(), page: Page = Page()) -> Steps[list[Job]]:
        """See `Store.find`."""
        return (yield from self._views.find(which, page, self._now()))

    @reading
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Steps[dict[str, int]]:
        """See `Store.count`."""
        return (yield from self._views.count(which, by, self._now()))

    @reading
    def census(self) -> Steps[Census]:
        """See `Store.census`."""
        return (yield from self._views.census(self._now()))

    @reading
    def totals(self) -> Steps[Totals]:
        """See `Store.totals`."""
        return (yield from self._views.totals())

    @reading
    def changes(self, seen: Mapping[str, int]) -> Steps[Changes]:
        """See `Store.changes`."""
        return (yield from self._views.changes(seen))

    @reading
    def front(self, queue: str, limit: int = 1000) -> Steps[list[str]]:
        """See `Store.front`."""
        return (yield from self._views.front(queue, limit))

    @reading
    def logs(self, id: str) -> Steps[list[Log]]:
        """See `Store.logs`."""
        return (yield from self._logs.of(id))

    @writing
    def keep(self, name: str, value: str) -> Steps[str]:
        """See `Store.keep`."""
        yield self._ask("keep", name=name, value=value)
        reply = yield self._ask("kept", name=name)
        return str(reply.rows[0][0])

    @reading
    def results(self, ids: Sequence[str]) -> Steps[dict[str, str]]:
        """See `Store.results`."""
        return (yield from self._views.results(ids))

    @reading
    def flows(self, ids: Sequence[str] | None = None, page: Page = Page()) -> Steps[list[Flow]]:
        """See `Store.flows`."""
        return (yield from self._views.flows(ids, page))
