"""The PostgreSQL store: every verb as a plan of statements. It opens and commits nothing; its drivers do.

What is asked for most is a function of the schema's own (see `migrations`): one call, one round trip, a transaction by
itself. The other statements stand in `statements.sql`. Where no clock is given, the server's counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from stoker.audit_store import AUDIT_KEPT
from stoker.clock import SECOND, Clock, monotonic
from stoker.errors import ConfigError
from stoker.job import LOGS_KEPT, LONGEST_LOG, Claim, Inserted, Job, Log, NewJob, Outcome, Progress, State
from stoker.plan import Statement, Steps, reading, waking, writing
from stoker.store import (
    Action,
    Census,
    Change,
    Command,
    Exchanged,
    Facet,
    Fair,
    Filter,
    Flow,
    Orders,
    Page,
    QueueInfo,
    QueueLimit,
    Recovered,
    Routing,
    Traits,
    Want,
    Worker,
)
from stoker.stores.postgres.audit import PostgresAudit
from stoker.stores.postgres.filters import matching, open_to
from stoker.stores.postgres.floors import Floors
from stoker.stores.postgres.locks import PostgresLocks
from stoker.stores.postgres.rows import (
    SEPARATOR,
    Settlement,
    finding,
    is_related,
    logging,
    numbers,
    restored,
    restoring,
)
from stoker.stores.postgres.schedules import PostgresSchedules
from stoker.stores.postgres.tallies import PostgresTallies
from stoker.stores.record import STATES, from_job, record_of, strings, to_job, to_json, worker_of
from stoker.stores.sayings import Saying, last_words, reports
from stoker.stores.schema import unapplied
from stoker.stores.statements import load_migrations, load_statements
from stoker.tally_store import TALLIES_KEPT
from stoker.views import Changes, Totals

_PACKAGE: Final = "stoker.stores.postgres"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_REMEMBERED: Final = 90 * 24 * 3600 * SECOND
"""How long the name of a worker that is gone is kept for the records of its jobs."""
_COUNTED: Final = 1_000_000
"""Finished jobs up to which they are counted; of more than these, what the planner expects is told."""

_claims = msgspec.json.Decoder(list[Claim])
_pairs = msgspec.json.Decoder(list[tuple[int, int]])


class PostgresStore:
    """Jobs in one schema of a PostgreSQL database. Apps with schemas of their own share a database in peace."""

    traits = Traits(durable=True, borrows=True, shared=True)

    def __init__(self, clock: Clock | None = None, schema: str = "stoker") -> None:
        if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
            raise ConfigError(
                f"schema must be a name of small letters, digits and _ (up to 63, not pg_…), not {schema!r}"
            )
        self._clock = clock
        self._schema = schema
        self._floors: dict[str, Floors] = {}
        self._sql = {name: self._named(text) for name, text in load_statements(_PACKAGE, "statements.sql").items()}
        self._sql |= {name: finding(self._sql[name], schema) for name in ("find", "changes")}
        self._sql |= {f"{name}_and_log": logging(self._sql[name], schema) for name in ("exchange", "heartbeat")}
        self._sql["restore"] = restoring(self._sql["restore"], schema)
        self._migrations = {name: self._named(text) for name, text in load_migrations(_PACKAGE).items()}
        self.schedules = PostgresSchedules(self._ask_alone)
        self.locks = PostgresLocks(self._ask_alone)
        self.tallies = PostgresTallies(self._ask_alone)
        self.audit = PostgresAudit(self._ask_alone)

    def _named(self, text: str) -> str:
        return text.replace("$schema", self._schema)

    def _now(self) -> int | None:
        """The instant that a test wants it to be; None: the server's clock says."""
        return None if self._clock is None else self._clock()

    def _ask(self, name: str, /, **params: Any) -> Statement:
        """A statement within a transaction."""
        return Statement(self._sql[name], params)

    def _ask_alone(self, name: str, /, **params: Any) -> Statement:
        """A statement that is a transaction by itself, and knows the time."""
        return Statement(self._sql[name], {**params, "now": self._now()}, alone=True)

    def _ask_and_log(self, name: str, said: Sequence[Saying], /, **params: Any) -> Statement:
        """The same for one that takes in what was logged; where nothing was, it is not asked to."""
        if not said:
            return self._ask_alone(name, **params)
        return self._ask_alone(f"{name}_and_log", said=to_json(said), longest=LONGEST_LOG, attempts=LOGS_KEPT, **params)

    # --- a job's life -----------------------------------------------------------------------------------------------

    @waking
    def insert(self, jobs: Sequence[NewJob]) -> Steps[list[Inserted]]:
        """See `Store.insert`."""
        if not jobs:
            return []
        reply = yield self._ask_alone("insert", jobs=to_json(jobs), related=is_related(jobs))
        answers = [Inserted(job.id, created=True) for job in jobs]
        for place, holder in reply.rows:
            answers[place - 1] = Inserted(holder, created=False)
        return answers

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
        settlement = Settlement(outcomes)
        floors = self._floors.setdefault(worker, Floors())
        given = floors.begin(monotonic())
        reply = yield self._ask_and_log(
            "exchange",
            last_words(outcomes),
            worker=worker,
            refs=settlement.refs,
            fences=settlement.fences,
            results=settlement.results,
            separator=SEPARATOR,
            outcomes=settlement.others,
            known=None if known is None else numbers(known),
            queues=[want.queue for want in wants],
            limits=numbers([want.limit for want in wants]),
            limit=limit,
            turn=turn,
            tasks=sorted(routing.tasks),
            tags=None if routing.tags is None else sorted(routing.tags),
            untagged=routing.untagged,
            floors=given,
        )
        alive, due_in, refused, text, walked, reached, from_start = reply.rows[0]
        claims = _claims.decode(f"[{text}]") if text else []
        if walked is not None:
            floors.end(monotonic(), walked, len(claims), reached, from_start=from_start)
        return Exchanged(claims, settlement.refused(refused or ()), due_in, alive)

    @writing
    def register(self, worker: Worker, lease: int) -> Steps[None]:
        """See `Store.register`."""
        yield self._ask_alone(
            "register",
            id=worker.id,
            host=worker.host,
            pid=worker.pid,
            version=worker.version,
            queues=strings(worker.queues),
            tags=strings(worker.tags),
            concurrency=worker.concurrency,
            lease=lease,
        )

    @writing
    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Steps[Orders]:
        """See `Store.heartbeat`."""
        said = reports(progress)
        told = to_json([replace(report, log=None) for report in progress] if said else progress)
        reply = yield self._ask_and_log("heartbeat", said, worker=worker, reports=told, lease=lease)
        return _orders(*reply.rows[0])

    @reading
    def hear(self, worker: str) -> Steps[Orders]:
        """See `Store.hear`."""
        reply = yield self._ask_alone("hear", worker=worker)
        return _orders(*reply.rows[0])

    @writing
    def command(self, worker: str, command: Command | None) -> Steps[bool]:
        """See `Store.command`."""
        reply = yield self._ask_alone("command", worker=worker, command=None if command is None else command.value)
        return bool(reply.rows)

    @writing
    def retire(self, worker: str) -> Steps[None]:
        """See `Store.retire`."""
        self._floors.pop(worker, None)
        yield self._ask_alone("retire", worker=worker)

    @waking
    def recover(self, limit: int = 1000) -> Steps[Recovered]:
        """See `Store.recover`."""
        reply = yield self._ask_alone("recover", limit=limit)
        return Recovered(*reply.rows[0])

    @writing
    def prune(self, limit: int = 1000) -> Steps[int]:
        """See `Store.prune`."""
        kept = {"remembered": _REMEMBERED, "tallies_kept": TALLIES_KEPT, "audit_kept": AUDIT_KEPT}
        reply = yield self._ask_alone("prune", limit=limit, **kept)
        return int(reply.rows[0][0])

    # --- the schema -------------------------------------------------------------------------------------------------

    @writing
    def migrate(self) -> Steps[list[str]]:
        """See `Store.migrate`."""
        names = yield from self._pending()
        if names:
            yield self._ask("lock_schema")
            names = yield from self._pending()  # somebody else may have applied them while we waited
        for name in names:
            yield Statement(self._migrations[name])
        return names

    @reading
    def pending(self) -> Steps[list[str]]:
        """See `Store.pending`."""
        return (yield from self._pending())

    def _pending(self) -> Steps[list[str]]:
        version = 0
        if (yield self._ask("has_schema")).rows[0][0]:
            reply = yield self._ask("version")
            version = reply.rows[0][0]
        return unapplied(self._migrations, version, f"the schema {self._schema!r} was written")

    def migrations(self) -> Mapping[str, str]:
        """See `Store.migrations`."""
        return self._migrations

    # --- operators --------------------------------------------------------------------------------------------------

    @waking
    def amend(self, which: Filter, change: Change, limit: int | None = None) -> Steps[int]:
        """See `Store.amend`."""
        condition, params = self._eligible(which, change)
        chosen = self._sql["chosen"].format(condition=condition)
        reply = yield Statement(chosen, {**params, "limit": limit})
        ids, refs = reply.rows[0]
        if not ids:
            return 0
        now = self._now()
        match change.action:
            case Action.CANCEL:
                yield self._ask("cancel", ids=ids, now=now, reason=change.reason)
            case Action.RETRY:
                reply = yield self._ask("retry", ids=ids, now=now)
                return int(reply.rows[0][0])
            case Action.REQUEUE:
                yield self._ask("requeue", refs=refs, now=now)
            case Action.PRIORITISE:
                yield self._ask("prioritise", ids=ids, now=now, priority=change.priority)
            case Action.DELETE:
                yield self._ask("delete", ids=ids, now=now)
        return len(ids)

    @reading
    def eligible(self, which: Filter, change: Change) -> Steps[int]:
        """See `Store.eligible`."""
        condition, params = self._eligible(which, change)
        # Of jobs with one key only one can be retried.
        alike = "count(*) FILTER (WHERE key IS NULL) + count(DISTINCT key)"
        total = alike if change.action is Action.RETRY else "count(*)"
        reply = yield Statement(self._sql["eligible"].format(condition=condition, total=total), params, alone=True)
        return int(reply.rows[0][0])

    def _eligible(self, which: Filter, change: Change) -> tuple[str, dict[str, Any]]:
        matches, params = self._matching(which)
        can, more = open_to(change)
        return f"{matches} AND {self._named(can)}", params | more

    def _matching(self, which: Filter) -> tuple[str, dict[str, Any]]:
        matches, params = matching(which)
        return self._named(matches), {**params, "now": self._now()}

    @waking
    def pause(self, queue: str, paused: bool) -> Steps[None]:
        """See `Store.pause`."""
        yield self._ask_alone("pause", queue=queue, paused=paused)

    @waking
    def limit(self, queue: str, limit: QueueLimit) -> Steps[None]:
        """See `Store.limit`."""
        fair = None if limit.fair is None else limit.fair.value
        facts = {"concurrency": limit.concurrency, "rate": limit.rate, "period": limit.period, "fair": fair}
        yield self._ask_alone("limit", queue=queue, **facts)

    @waking
    def restore(self, jobs: Sequence[Job]) -> Steps[int]:
        """See `Store.restore`."""
        if not jobs:
            return 0
        now = self._now()
        yield self._ask("name_workers", ids=sorted({job.worker for job in jobs if job.worker is not None}), now=now)
        records = [from_job(job, 0) for job in jobs]
        reply = yield self._ask("restore", records=to_json([restored(record) for record in records]), now=now)
        made = reply.rows[0][0]
        if not made:
            return 0
        waits = [(record.id, record.open_parents) for record in records if record.open_parents is not None]
        yield self._ask("take_back", made=made, waits=to_json(waits), now=now)
        return len(made)

    # --- readers ----------------------------------------------------------------------------------------------------

    @reading
    def find(self, which: Filter = Filter(), page: Page = Page()) -> Steps[list[Job]]:
        """See `Store.find`."""
        condition, params = self._matching(which)
        if page.before is not None:
            condition += " AND id < %(before)s"
            params["before"] = page.before
        if page.after is not None:
            condition += " AND id > %(after)s"
            params["after"] = page.after
        query = self._sql["find"].format(condition=condition, order="DESC" if page.after is None else "ASC")
        reply = yield Statement(query, {**params, "limit": page.limit}, alone=True)
        return [to_job(record_of(row)) for row in reply.rows]

    @reading
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Steps[dict[str, int]]:
        """See `Store.count`."""
        condition, params = self._matching(which)
        query = self._sql["count"].format(facet=Facet(by).value, condition=condition)
        reply = yield Statement(query, params, alone=True)
        if by is Facet.STATE:
            return {STATES[code].value: total for code, total in reply.rows}
        return dict(reply.rows)

    @reading
    def census(self) -> Steps[Census]:
        """See `Store.census`."""
        reply = yield self._ask_alone("census")
        now, known, counted, workers = reply.rows[0]
        queues: dict[str, dict[str, Any]] = {
            name: {"paused": paused, "limit": QueueLimit(concurrency, rate, period, fair and Fair(fair))}
            for name, paused, concurrency, rate, period, fair in _rows(known)
        }
        for name, state, total, due in _rows(counted):
            queue = queues.setdefault(name, {})
            queue[state] = queue.get(state, 0) + total
            if state == State.QUEUED:
                queue["oldest"] = max(queue.get("oldest", 0), max(0, now - due) / SECOND)
        return Census(
            [QueueInfo(name=name, **facts) for name, facts in sorted(queues.items())],
            [worker_of(*row) for row in _rows(workers)],
        )

    @reading
    def totals(self) -> Steps[Totals]:
        """See `Store.totals`."""
        reply = yield Statement(self._sql["totals"], {"most": _COUNTED}, alone=True)
        counts, estimated = reply.rows[0]
        return Totals({STATES[code]: total for code, total in enumerate(counts) if total}, estimated)

    @reading
    def changes(self, seen: Mapping[str, int]) -> Steps[Changes]:
        """See `Store.changes`."""
        params = {"ids": list(seen), "instants": numbers(list(seen.values()))}
        reply = yield Statement(self._sql["changes"], params, alone=True)
        there = [row[1:] for row in reply.rows if row[1] is not None]
        gone = [row[0] for row in reply.rows if row[1] is None]
        return Changes([to_job(record_of(row)) for row in there], gone)

    @reading
    def front(self, queue: str, limit: int = 1000) -> Steps[list[str]]:
        """See `Store.front`."""
        reply = yield Statement(self._sql["front"], {"queue": queue, "limit": limit}, alone=True)
        return [row[0] for row in reply.rows]

    @reading
    def logs(self, id: str) -> Steps[list[Log]]:
        """See `Store.logs`."""
        reply = yield Statement(self._sql["logs"], {"id": id, "longest": LONGEST_LOG}, alone=True)
        return [Log(attempt=attempt, fence=fence, text=text) for attempt, fence, text in reply.rows]

    @writing
    def keep(self, name: str, value: str) -> Steps[str]:
        """See `Store.keep`."""
        reply = yield Statement(self._sql["keep"], {"name": name, "value": value}, alone=True)
        return str(reply.rows[0][0])

    @reading
    def results(self, ids: Sequence[str]) -> Steps[dict[str, str]]:
        """See `Store.results`."""
        reply = yield Statement(self._sql["results"], {"ids": list(ids)}, alone=True)
        return dict(reply.rows)

    @reading
    def flows(self, ids: Sequence[str] | None = None, page: Page = Page()) -> Steps[list[Flow]]:
        """See `Store.flows`."""
        forth = page.after is not None
        params: dict[str, Any] = {
            "limit": page.limit,
            "before": page.before,
            "after": page.after,
            "ids": ids and list(ids),
        }
        conditions = {name: f"workflow {sign} %({name})s" for name, sign in (("before", "<"), ("after", ">"))}
        given = [text for name, text in conditions.items() if params[name] is not None]
        first = "left(workflow, 255) >= left(%(after)s, 255)" if forth else "true"
        if not forth and page.before is not None:
            first = "left(workflow, 255) <= left(%(before)s, 255)"
        query = self._sql["flows" if ids is None else "named_flows"].format(
            condition=" AND ".join(given) or "true",
            first=first,
            order="ASC" if forth else "DESC",
            beyond=">" if forth else "<",
        )
        reply = yield Statement(query, {k: v for k, v in params.items() if f"%({k})s" in query}, alone=True)
        return [
            Flow(
                id=id,
                counts={STATES[int(code)]: total for code, total in counts.items() if total},
                created_at=created_at,
                updated_at=updated_at,
            )
            for id, counts, created_at, updated_at in reply.rows
        ]


def _orders(alive: bool, asked: str | None, command: str | None) -> Orders:
    return Orders(alive, _pairs.decode(asked) if asked else (), None if command is None else Command(command))


def _rows(text: str | None) -> list[Any]:
    """Rows that travelled as one JSON array, which is null when there are none."""
    return msgspec.json.decode(text) if text else []
