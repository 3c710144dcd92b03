"""The SQLite store: every verb as a plan of statements. It opens and commits nothing; its drivers do.

One writer at a time is SQLite's rule, so a plan that writes sees nobody else's half-done work and needs no locks of
its own. Statements stand in `statements.sql`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from stoker.clock import SECOND, Clock, now
from stoker.job import Claim, Inserted, Job, NewJob, Outcome, Progress, State, Verdict
from stoker.plan import Statement, Steps, Violation, reading, waking, writing
from stoker.store import (
    Action,
    Census,
    Change,
    Exchanged,
    Facet,
    Filter,
    Orders,
    Page,
    QueueInfo,
    Recovered,
    Routing,
    Traits,
    Want,
    Worker,
)
from stoker.stores.outcomes import consequence, is_plain
from stoker.stores.record import COLUMNS, STATES, from_job, record_of, strings, to_job, to_json, worker_of
from stoker.stores.schema import unapplied
from stoker.stores.sqlite.filters import matching, open_to
from stoker.stores.sqlite.rows import full_row, new_row, repeated, said, shown, slot
from stoker.stores.statements import load_migrations, load_statements, split_statements

_PACKAGE: Final = "stoker.stores.sqlite"
_SIZES: Final = (64, 16, 4, 1)
"""Rows of one INSERT."""
_REMEMBERED: Final = 90 * 24 * 3600 * SECOND
"""How long the name of a worker that is gone is kept for the records of its jobs."""

_claims = msgspec.json.Decoder(list[Claim])
_refs = msgspec.json.Decoder(list[int])
_names = msgspec.json.Decoder(list[str])
_pairs = msgspec.json.Decoder(list[tuple[int, int]])


class SqliteStore:
    """Jobs in the tables `stoker_…` of one SQLite database."""

    traits = Traits(durable=True, borrows=True, shared=True)

    def __init__(self, clock: Clock = now) -> None:
        self._now = clock
        self._sql = load_statements(_PACKAGE, "statements.sql")
        self._insert = [(size, repeated(self._sql["insert"], size)) for size in _SIZES]
        self._migrations = load_migrations(_PACKAGE)
        self._select = f"SELECT {', '.join(map(shown, COLUMNS))} FROM stoker_jobs"  # noqa: S608 - names of our own
        slots = ", ".join(map(slot, (*COLUMNS, "expires_at")))
        self._restore = (
            f"INSERT INTO stoker_jobs ({', '.join(COLUMNS)}, expires_at) VALUES ({slots}) ON CONFLICT DO NOTHING"  # noqa: S608
        )
        self._routes: dict[Routing, dict[str, Any]] = {}

    def _ask(self, name: str, **params: Any) -> Statement:
        return Statement(self._sql[name], params)

    # --- a job's life -----------------------------------------------------------------------------------------------

    @waking
    def insert(self, jobs: Sequence[NewJob]) -> Steps[list[Inserted]]:
        """See `Store.insert`."""
        now = self._now()
        changed = 0
        for text, params in self._inserts([new_row(job, now) for job in jobs]):
            reply = yield Statement(text, params)
            changed += reply.changed
        if changed == len(jobs):
            return [Inserted(job.id, created=True) for job in jobs]
        new: set[str] = set()
        if changed:
            found = yield self._ask("inserted", changed=changed)
            new = {row[0] for row in found.rows}
        answers = []
        for job in jobs:
            if job.id in new:
                new.discard(job.id)  # the same id again in this batch is not new any more
                answers.append(Inserted(job.id, created=True))
            else:
                found = yield self._ask("holder", id=job.id, key=job.key)
                answers.append(Inserted(found.rows[0][0], created=False))
        return answers

    def _inserts(self, rows: list[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
        """The rows as few statements of many rows each, of so few shapes that all of them stay prepared."""
        start = 0
        for size, text in self._insert:
            while len(rows) - start >= size:
                yield text, list(chain.from_iterable(rows[start : start + size]))
                start += size

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
        if outcomes:
            refused = yield from self._settle(outcomes, now)
        if known is not None:
            yield from self._release_unknown(worker, known, now)
        reply = yield self._ask("look", worker=worker, now=now)
        holder, due, paused = reply.rows[0]
        if due is not None and due <= now:
            yield self._ask("promote", now=now)
            reply = yield self._ask("look", worker=worker, now=now)
            holder, due, paused = reply.rows[0]
        due_in = None if due is None else max(0, due - now)
        claims: list[Claim] = []
        if holder is not None and wants:
            closed = _names.decode(paused)
            turns: list[str] = []
            if any(want.queue is None for want in wants):
                reply = yield self._ask("ready")
                turns = [name for name in _names.decode(reply.rows[0][0]) if name not in closed]
            for want in wants:
                room = min(want.limit, limit - len(claims))
                if want.queue is None:
                    claims += yield from self._claim_in_turns(holder, routing, turns, room, turn, now)
                elif want.queue not in closed:
                    claims += yield from self._claim(holder, want.queue, routing, room, now)
        return Exchanged(claims, refused, due_in, holder is not None)

    def _release_unknown(self, worker: str, known: Sequence[int], now: int) -> Steps[None]:
        reply = yield self._ask("unknown", worker=worker, known=to_json(known))
        refs = _refs.decode(reply.rows[0][0])
        if refs:
            yield from self._end_alike(refs, Verdict.RELEASED, now)

    def _claim_in_turns(
        self, worker: int, routing: Routing, names: list[str], room: int, turn: int, now: int
    ) -> Steps[list[Claim]]:
        if not names:
            return []
        first = turn % len(names)
        names = names[first:] + names[:first]
        claims: list[Claim] = []
        for index, name in enumerate(names):  # an even share each …
            share = -(-(room - len(claims)) // (len(names) - index))
            claims += yield from self._claim(worker, name, routing, share, now)
        if len(names) > 1:
            for name in names:  # … and what others left
                claims += yield from self._claim(worker, name, routing, room - len(claims), now)
        return claims

    def _claim(self, worker: int, queue: str, routing: Routing, room: int, now: int) -> Steps[list[Claim]]:
        if room <= 0:
            return []
        pick = "pick" if routing.tags is None else "pick_tagged"
        reply = yield self._ask(pick, queue=queue, room=room, **self._route(routing))
        claims = _claims.decode(reply.rows[0][0])
        if claims:
            yield self._ask("take", worker=worker, now=now, refs=to_json([claim.ref for claim in claims]))
        return claims

    def _route(self, routing: Routing) -> dict[str, Any]:
        """A routing as parameters; kept, because a worker's routing never changes."""
        params = self._routes.get(routing)
        if params is None:
            params = {"tasks": to_json(sorted(routing.tasks))}
            if routing.tags is not None:
                params |= {"tags": to_json(sorted(routing.tags)), "untagged": routing.untagged}
            self._routes = {routing: params}
        return params

    def _settle(self, outcomes: Sequence[Outcome], now: int) -> Steps[list[int]]:
        """Record outcomes whose claims are held, and return the refs of the others."""
        plain = {outcome.ref: said(outcome) for outcome in outcomes if is_plain(outcome)}
        if len(plain) == len(outcomes):
            refused = yield from self._complete(plain, now)
            if refused is not None:
                return refused
        return (yield from self._settle_held(outcomes, now))

    def _complete(self, plain: dict[int, str], now: int) -> Steps[list[int] | None]:
        """Record plain outcomes and return the refs that are gone; or None, and nothing done, if a fence refuses."""
        try:
            reply = yield self._ask("complete", outcomes=to_json(plain), now=now)
        except Violation:
            return None
        if reply.changed == len(plain):
            return []
        reply = yield self._ask("known", refs=to_json(list(plain)))
        known = frozenset(_refs.decode(reply.rows[0][0]))
        return [ref for ref in plain if ref not in known]

    def _settle_held(self, outcomes: Sequence[Outcome], now: int) -> Steps[list[int]]:
        """The same for outcomes of any kind, each claim looked at first."""
        reply = yield self._ask("held", claims=to_json([(outcome.ref, outcome.fence) for outcome in outcomes]))
        held = set(_pairs.decode(reply.rows[0][0]))
        refused: list[int] = []
        plain: dict[int, str] = {}
        others: list[dict[str, Any]] = []
        for outcome in outcomes:
            claim = (outcome.ref, outcome.fence)
            if claim not in held:
                refused.append(outcome.ref)
                continue
            held.discard(claim)  # a second outcome of one claim comes too late
            if is_plain(outcome):
                plain[outcome.ref] = said(outcome)
            else:
                others.append(consequence(outcome))
        if plain:
            yield self._ask("complete", outcomes=to_json(plain), now=now)
        if others:
            yield self._ask("settle", outcomes=to_json(others), now=now, capped=True)
        return refused

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
            yield Statement(self._sql["report"], rows, many=True)
        if lease is not None:
            yield self._ask("renew", worker=worker, now=now, lease=lease)
        return (yield from self._orders(worker, now))

    @reading
    def hear(self, worker: str) -> Steps[Orders]:
        """See `Store.hear`."""
        return (yield from self._orders(worker, self._now()))

    def _orders(self, worker: str, now: int) -> Steps[Orders]:
        reply = yield self._ask("orders", worker=worker, now=now)
        alive, asked = reply.rows[0]
        return Orders(bool(alive), _pairs.decode(asked))

    @writing
    def retire(self, worker: str) -> Steps[None]:
        """See `Store.retire`."""
        yield self._ask("retire", worker=worker)

    @waking
    def recover(self, limit: int = 1000) -> Steps[Recovered]:
        """See `Store.recover`."""
        now = self._now()
        reply = yield self._ask("lost", now=now, limit=limit)
        refs = _refs.decode(reply.rows[0][0])
        queued = failed = 0
        if refs:
            yield from self._end_alike(refs, Verdict.CRASHED, now)
            reply = yield self._ask("tally", refs=to_json(refs))
            queued, failed = reply.rows[0]
        yield self._ask("forget", now=now)
        return Recovered(queued, failed)

    def _end_alike(self, refs: Sequence[int], verdict: Verdict, now: int, *, capped: bool = True) -> Steps[None]:
        """Settle claims that are known to be held, all with one verdict."""
        outcomes = to_json([{"ref": ref, "verdict": verdict} for ref in refs])
        yield self._ask("settle", outcomes=outcomes, now=now, capped=capped)

    @writing
    def prune(self, limit: int = 1000) -> Steps[int]:
        """See `Store.prune`."""
        now = self._now()
        reply = yield self._ask("prune", now=now, limit=limit)
        yield self._ask("prune_workers", before=now - _REMEMBERED)
        return reply.changed

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
        now = self._now()
        condition, params = self._eligible(which, change, now)
        chosen = f"SELECT ref FROM stoker_jobs WHERE {condition} ORDER BY ref LIMIT :limit"  # noqa: S608
        query = f"SELECT json_group_array(ref) FROM ({chosen})"  # noqa: S608
        reply = yield Statement(query, {**params, "limit": -1 if limit is None else limit})
        refs = _refs.decode(reply.rows[0][0])
        if not refs:
            return 0
        match change.action:
            case Action.CANCEL:
                reply = yield self._ask("cancel", refs=to_json(refs), now=now, reason=change.reason)
            case Action.RETRY:
                reply = yield self._ask("retry", refs=to_json(refs), now=now)
            case Action.REQUEUE:
                yield from self._end_alike(refs, Verdict.CRASHED, now, capped=False)
                return len(refs)
            case Action.PRIORITISE:
                reply = yield self._ask("prioritise", refs=to_json(refs), now=now, priority=change.priority)
            case Action.DELETE:
                reply = yield self._ask("delete", refs=to_json(refs))
        return reply.changed

    @reading
    def eligible(self, which: Filter, change: Change) -> Steps[int]:
        """See `Store.eligible`."""
        condition, params = self._eligible(which, change, self._now())
        # Of jobs with one key only one can be retried.
        total = (
            "count(*) FILTER (WHERE key IS NULL) + count(DISTINCT key)" if change.action is Action.RETRY else "count(*)"
        )
        reply = yield Statement(f"SELECT {total} FROM stoker_jobs WHERE {condition}", params)  # noqa: S608
        return int(reply.rows[0][0])

    def _eligible(self, which: Filter, change: Change, now: int) -> tuple[str, dict[str, Any]]:
        matches, params = matching(which, now)
        can, more = open_to(change, now)
        return f"{matches} AND {can}", params | more

    @waking
    def pause(self, queue: str, paused: bool) -> Steps[None]:
        """See `Store.pause`."""
        yield self._ask("pause", queue=queue, paused=paused)

    @waking
    def restore(self, jobs: Sequence[Job]) -> Steps[int]:
        """See `Store.restore`."""
        rows = [full_row(from_job(job, 0)) for job in jobs]
        if not rows:
            return 0
        names = {job.worker for job in jobs if job.worker is not None}
        yield self._ask("name_workers", ids=to_json(sorted(names)), now=self._now())
        reply = yield Statement(self._restore, rows, many=True)
        return reply.changed

    # --- readers ----------------------------------------------------------------------------------------------------

    @reading
    def find(self, which: Filter = Filter(), page: Page = Page()) -> Steps[list[Job]]:
        """See `Store.find`."""
        condition, params = matching(which, self._now())
        if page.before is not None:
            condition += " AND id < :before"
            params["before"] = page.before
        if page.after is not None:
            condition += " AND id > :after"
            params["after"] = page.after
        order = "DESC" if page.after is None else "ASC"
        query = f"{self._select} WHERE {condition} ORDER BY id {order} LIMIT :limit"
        reply = yield Statement(query, {**params, "limit": page.limit})
        return [to_job(record_of(row)) for row in reply.rows]

    @reading
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Steps[dict[str, int]]:
        """See `Store.count`."""
        condition, params = matching(which, self._now())
        facet = Facet(by).value
        query = f"SELECT {facet}, count(*) FROM stoker_jobs WHERE {condition} AND {facet} IS NOT NULL GROUP BY {facet}"  # noqa: S608
        reply = yield Statement(query, params)
        if by is Facet.STATE:
            return {STATES[code].value: total for code, total in reply.rows}
        return dict(reply.rows)

    @reading
    def census(self) -> Steps[Census]:
        """See `Store.census`."""
        now = self._now()
        reply = yield self._ask("queues")
        queues: dict[str, dict[str, Any]] = {name: {"paused": bool(paused)} for name, paused in reply.rows}
        reply = yield self._ask("census_queues")
        for name, state, total, due in reply.rows:
            queue = queues.setdefault(name, {})
            queue[state] = total
            if state == State.QUEUED:
                queue["oldest"] = max(0, now - due) / SECOND
        reply = yield self._ask("workers")
        return Census(
            [QueueInfo(name=name, **facts) for name, facts in sorted(queues.items())],
            [worker_of(*row) for row in reply.rows],
        )
