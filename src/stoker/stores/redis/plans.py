"""The Redis store: every verb is a script that the server runs as a whole, or, for what concerns many jobs, a few.

It opens nothing; its drivers do. A script reads and writes whatever it needs, so nobody sees half-done work, and an
exchange is one round trip however many jobs it concerns. Scripts stand in `verbs/`, what they share in `parts/`, and
the keys in `migrations/`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoker.clock import Clock
from stoker.errors import ConfigError, InvalidOption, StokerError, StoreUnavailable
from stoker.job import Inserted, Job, Log, NewJob, Outcome, Progress, State
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
from stoker.stores.record import STATES, Record, from_job, to_job
from stoker.stores.redis.audit import RedisAudit
from stoker.stores.redis.census import census_of, counts_of
from stoker.stores.redis.filters import asked_of, narrowed
from stoker.stores.redis.front import Front
from stoker.stores.redis.locks import RedisLocks
from stoker.stores.redis.logs import logged, logs_of
from stoker.stores.redis.rows import (
    FIELDS,
    claims_of,
    command_of,
    consequence,
    facts,
    flow_of,
    full_row,
    introduction,
    is_plain,
    new_row,
    pack,
    queue_limit,
    records_in,
    said,
)
from stoker.stores.redis.schedules import RedisSchedules
from stoker.stores.redis.scripts import load_scripts
from stoker.stores.redis.tallies import RedisTallies
from stoker.stores.redis.trail import STRETCH, Trail, held_only
from stoker.stores.schema import unapplied
from stoker.views import Changes, Totals

_PACKAGE: Final = "stoker.stores.redis"
_BYTES: Final = 4_000_000
"""Of records in one answer, about."""
_SWEEP: Final = 100
"""Records whose indexes one recovery looks at."""

_PRUNED: Final = 10_000
"""Finished jobs that one script looks at."""

_CHANGED: Final = 250
"""Records that one script reads, at most, for those who watch many: three or four milliseconds."""

_TURNED: Final = 50_000
"""Queued jobs that are given turns at once, at most: two or three seconds."""


class RedisStore:
    """Jobs under the keys `{prefix}:…` of one server."""

    traits = Traits(durable=True, borrows=False, shared=True, undoes=False)

    def __init__(self, clock: Clock | None = None, *, prefix: str = "stoker") -> None:
        self._clock = clock
        self._tag = f"{{{prefix}}}"
        self._scripts = load_scripts(_PACKAGE, "verbs")
        self._migrations = load_scripts(_PACKAGE, "migrations")
        self._swept: str | None = None
        self.schedules = RedisSchedules(self._ask)
        self.locks = RedisLocks(self._ask)
        self.tallies = RedisTallies(self._ask)
        self.audit = RedisAudit(self._ask)

    def _ask(
        self, name: str, ask: Mapping[str, Any] | None = None, attached: Sequence[bytes] = (), *, alone: bool = False
    ) -> Statement:
        return self._run(self._scripts[name], ask or {}, attached, alone=alone)

    def _run(self, script: str, ask: Mapping[str, Any], attached: Sequence[bytes], *, alone: bool) -> Statement:
        now = "" if self._clock is None else str(self._clock())
        return Statement(script, (self._tag, now, pack(ask), *attached), alone=alone)

    # --- a job's life -----------------------------------------------------------------------------------------------

    @waking
    def insert(self, jobs: Sequence[NewJob]) -> Steps[list[Inserted]]:
        """See `Store.insert`."""
        if not jobs:
            return []
        reply = yield self._ask(
            "insert", {"jobs": [new_row(job) for job in jobs]}, [facts(job) for job in jobs], alone=True
        )
        others: list[Any] = reply.rows[0][0]
        answers = [Inserted(job.id, created=True) for job in jobs]
        for index, other in zip(others[::2], others[1::2], strict=True):
            answers[index] = Inserted(other.decode(), created=False)
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
        ask: dict[str, Any] = {
            "worker": worker,
            "outcomes": [
                part for outcome in outcomes for part in (outcome.ref, outcome.fence, outcome.result or False)
            ],
            "others": {
                number: consequence(outcome) for number, outcome in enumerate(outcomes, 1) if not is_plain(outcome)
            },
            "wants": [(want.queue, want.limit) for want in wants],
            "tasks": list(routing.tasks),
            "limit": limit,
            "turn": turn,
        }
        if known is not None:
            ask["known"] = known
        if routing.tags is not None:
            ask |= {"tags": list(routing.tags), "untagged": routing.untagged}
        reply = yield self._ask("exchange", ask, alone=True)
        alive, due_in, refused, claims = reply.rows[0][0]
        return Exchanged(list(claims_of(claims)), refused, None if due_in is None else int(due_in), bool(alive))

    @writing
    def register(self, worker: Worker, lease: int) -> Steps[None]:
        """See `Store.register`."""
        yield self._ask("register", {"worker": worker.id, "lease": lease}, [introduction(worker)], alone=True)

    @writing
    def heartbeat(self, worker: str, progress: Sequence[Progress] = (), lease: int | None = None) -> Steps[Orders]:
        """See `Store.heartbeat`."""
        ask: dict[str, Any] = {"worker": worker}
        if progress:
            ask["reports"] = [
                (p.ref, p.fence, said(p.progress, p.message, p.checkpoint), logged(p.log)) for p in progress
            ]
        if lease is not None:
            ask["lease"] = lease
        return (yield from self._orders(ask))

    @reading
    def hear(self, worker: str) -> Steps[Orders]:
        """See `Store.hear`."""
        return (yield from self._orders({"worker": worker}))

    def _orders(self, ask: Mapping[str, Any]) -> Steps[Orders]:
        reply = yield self._ask("hear", ask, alone=True)
        alive, asked, told = reply.rows[0][0]
        claims = [(int.from_bytes(ref), int(fence)) for ref, fence in zip(asked[::2], asked[1::2], strict=True)]
        return Orders(bool(alive), sorted(claims), command_of(told))

    @writing
    def command(self, worker: str, command: Command | None) -> Steps[bool]:
        """See `Store.command`."""
        told = {} if command is None else {"command": Command(command).value}
        reply = yield self._ask("command", {"worker": worker} | told, alone=True)
        return bool(reply.rows[0][0])

    @writing
    def retire(self, worker: str) -> Steps[None]:
        """See `Store.retire`."""
        yield self._ask("retire", {"worker": worker}, alone=True)

    @waking
    def recover(self, limit: int = 1000) -> Steps[Recovered]:
        """See `Store.recover`. Each call also looks at some records and puts right what is in no index."""
        ask: dict[str, Any] = {"limit": limit, "look": _SWEEP}
        if self._swept is not None:
            ask["from"] = self._swept
        reply = yield self._ask("recover", ask, alone=True)
        queued, failed, swept = reply.rows[0][0]
        self._swept = None if swept is None else swept.decode()
        return Recovered(queued, failed)

    @writing
    def prune(self, limit: int = 1000) -> Steps[int]:
        """See `Store.prune`."""
        pruned: int = 0
        while True:
            ask = {"limit": limit - pruned, "look": min(limit - pruned, _PRUNED)}
            reply = yield self._ask("prune", ask, alone=True)
            gone, more = reply.rows[0][0]
            pruned += gone
            if not more or pruned >= limit:
                return pruned

    # --- the schema -------------------------------------------------------------------------------------------------

    @writing
    def migrate(self) -> Steps[list[str]]:
        """See `Store.migrate`."""
        names = yield from self._pending()
        if names:
            refused = (yield self._ask("rehearse")).rows[0][0]
            if refused is not None:
                command, problem = (part.decode() for part in refused)
                raise _refused(command, problem)
        applied = []
        for name in names:
            if (yield self._run(self._migrations[name], {}, (), alone=False)).rows[0][0]:
                applied.append(name)  # noqa: PERF401 - a comprehension cannot yield
        return applied

    @reading
    def pending(self) -> Steps[list[str]]:
        """See `Store.pending`."""
        return (yield from self._pending())

    def _pending(self) -> Steps[list[str]]:
        reply = yield self._ask("version")
        version = int(reply.rows[0][0] or 0)
        return unapplied(self._migrations, version, f"the keys {self._tag}:… were written")

    def migrations(self) -> Mapping[str, str]:
        """See `Store.migrations`."""
        return self._migrations

    # --- operators --------------------------------------------------------------------------------------------------

    @waking
    def amend(self, which: Filter, change: Change, limit: int | None = None) -> Steps[int]:
        """See `Store.amend`.

        Jobs are chosen and changed a stretch at a time, in order of insertion within it; each stretch is changed as a
        whole, and what a job became in the meantime counts.
        """
        which = narrowed(which, change)
        asked = asked_of(which, change)
        changed = 0
        trail = yield from self._trail(which, rising=True)
        chosen: list[tuple[int, bytes]] = []
        while limit is None or changed < limit:
            stretch = trail.stretch()
            if stretch is not None:
                reply = yield self._ask("choose", asked | stretch)
                rest, _, found = reply.rows[0][0]
                trail.went(rest)
                chosen += zip(map(int, found[::2]), found[1::2], strict=True)
            if stretch is None or len(chosen) >= STRETCH:
                if not chosen:
                    break
                changed += yield from self._change(asked, chosen, None if limit is None else limit - changed)
                chosen = []
        return changed

    def _change(self, asked: Mapping[str, Any], chosen: list[tuple[int, bytes]], limit: int | None) -> Steps[int]:
        ids = [id.decode() for _, id in sorted(chosen)]
        room = {} if limit is None else {"limit": limit}
        reply = yield self._ask("amend", {**asked, "ids": ids, **room}, alone=True)
        changed: int = reply.rows[0][0]
        return changed

    @reading
    def eligible(self, which: Filter, change: Change) -> Steps[int]:
        """See `Store.eligible`."""
        which = narrowed(which, change)
        asked = asked_of(which, change) | {"counted": True}
        trail = yield from self._trail(which)
        total = 0
        keys: set[bytes] = set()
        while (stretch := trail.stretch()) is not None:
            reply = yield self._ask("choose", asked | stretch)
            rest, number, keyed = reply.rows[0][0]
            trail.went(rest)
            total += number
            keys.update(keyed)
        return total + len(keys)

    @waking
    def pause(self, queue: str, paused: bool) -> Steps[None]:
        """See `Store.pause`."""
        yield self._ask("pause", {"queue": queue, "paused": paused}, alone=True)

    @waking
    def limit(self, queue: str, limit: QueueLimit) -> Steps[None]:
        """See `Store.limit`. Raises `InvalidOption` where giving turns to all that is queued would stop the server."""
        reply = yield self._ask("limit", {"queue": queue, "most": _TURNED} | queue_limit(limit), alone=True)
        if queued := reply.rows[0][0]:
            raise InvalidOption(
                f"the queue {queue!r} has {queued:,} queued jobs; on Redis turns are given or taken only while it has "
                f"at most {_TURNED:,}, for the server stands still meanwhile. Do it when the queue has drained; a "
                "limit that leaves fair= as it is can be set at any time"
            )

    @waking
    def restore(self, jobs: Sequence[Job]) -> Steps[int]:
        """See `Store.restore`."""
        if not jobs:
            return 0
        rows = [full_row(from_job(job, 0)) for job in jobs]
        attached = [part for _, stand, facts in rows for part in (stand, facts)]
        reply = yield self._ask("restore", {"jobs": [row for row, _, _ in rows]}, attached, alone=True)
        restored: int = reply.rows[0][0]
        return restored

    # --- readers ----------------------------------------------------------------------------------------------------

    @reading
    def find(self, which: Filter = Filter(), page: Page = Page()) -> Steps[list[Job]]:
        """See `Store.find`."""
        if page.limit <= 0:
            return []
        asked = asked_of(which)
        found: dict[bytes, Record] = {}
        rising = page.after is not None
        trail = yield from self._trail(which, before=page.before, after=page.after, rising=rising)
        room = page.limit
        while (stretch := trail.stretch()) is not None:
            reply = yield self._ask("find", {**asked, **stretch, "limit": room, "bytes": _BYTES})
            rest, flat = reply.rows[0][0]
            found |= records_in(flat)
            trail.went(rest)
            room -= len(flat) // FIELDS
            if rest is None or room == 0:  # the next index has its own newest
                if rest is not None:
                    trail.turn_off()
                room = page.limit
        first = sorted(found, reverse=not rising)[: page.limit]
        return [to_job(found[id]) for id in first]

    @reading
    def count(self, which: Filter = Filter(), by: Facet = Facet.STATE) -> Steps[dict[str, int]]:
        """See `Store.count`. By state, queue and task, whatever is asked of these three, it is known without a look."""
        by = Facet(by)
        totals: Counter[str] = Counter()
        if by is not Facet.OWNER and which == Filter(states=which.states, queue=which.queue, task=which.task):
            reply = yield self._ask("counts")
            for state, queue, task, number in counts_of(reply.rows[0][0]):
                asked_for = which.queue in (None, queue) and which.task in (None, task)
                if asked_for and (which.states is None or state in which.states):
                    totals[{Facet.STATE: state.value, Facet.QUEUE: queue, Facet.TASK: task}[by]] += number
            return dict(totals)
        asked = asked_of(which)
        trail = yield from self._trail(which)
        while (stretch := trail.stretch()) is not None:
            reply = yield self._ask("count", {**asked, **stretch, "by": by.value})
            rest, flat = reply.rows[0][0]
            trail.went(rest)
            for value, number in zip(flat[::2], flat[1::2], strict=True):
                totals[STATES[value].value if by is Facet.STATE else value.decode()] += number
        return dict(totals)

    def _trail(self, which: Filter, **way: Any) -> Steps[Trail]:
        ids: Sequence[str] | None = which.ids
        if which.states is not None and not which.states:
            ids = ()
        elif held_only(which):
            reply = yield self._ask("held")
            ids = [id.decode() for id in reply.rows[0][0]]
        return Trail(which, ids=ids, **way)

    @reading
    def census(self) -> Steps[Census]:
        """See `Store.census`."""
        reply = yield self._ask("census", alone=True)
        return census_of(reply.rows[0][0])

    @reading
    def totals(self) -> Steps[Totals]:
        """See `Store.totals`. All are exact: the server counts as it goes."""
        reply = yield self._ask("counts", alone=True)
        counts: Counter[State] = Counter()
        for state, _, _, number in counts_of(reply.rows[0][0]):
            counts[state] += number
        return Totals(dict(counts))

    @reading
    def changes(self, seen: Mapping[str, int]) -> Steps[Changes]:
        """See `Store.changes`. Of more than a thousand jobs in several scripts, so that none keeps others waiting."""
        ids = sorted(seen)
        jobs: list[Job] = []
        gone: list[str] = []
        while ids:
            stretch = ids[:STRETCH]
            ask = {"ids": stretch, "seen": [seen[id] for id in stretch], "limit": _CHANGED, "bytes": _BYTES}
            looked, missing, flat = (yield self._ask("changes", ask)).rows[0][0]
            jobs += map(to_job, records_in(flat).values())
            gone += (stretch[place - 1] for place in missing)
            del ids[:looked]
        return Changes(jobs, gone)

    @reading
    def front(self, queue: str, limit: int = 1000) -> Steps[list[str]]:
        """See `Store.front`."""
        front = Front(limit)
        rest: list[bytes] = []
        while limit > 0:
            ask = {"queue": queue, "limit": limit, "rest": len(rest)}
            tickets, more = (yield self._ask("front", ask, rest)).rows[0][0]
            rest = front.add(tickets, more)
            if not rest:
                break
        return front.ids()

    @reading
    def logs(self, id: str) -> Steps[list[Log]]:
        """See `Store.logs`."""
        reply = yield self._ask("logs", {"id": id}, alone=True)
        return logs_of(reply.rows[0][0])

    @writing
    def keep(self, name: str, value: str) -> Steps[str]:
        """See `Store.keep`."""
        kept: bytes = (yield self._ask("keep", {"name": name, "value": value}, alone=True)).rows[0][0]
        return kept.decode()

    @reading
    def results(self, ids: Sequence[str]) -> Steps[dict[str, str]]:
        """See `Store.results`."""
        found: dict[str, str] = {}
        for start in range(0, len(ids), STRETCH):
            reply = yield self._ask("results", {"ids": ids[start : start + STRETCH]})
            flat = reply.rows[0][0]
            for id, result in zip(flat[::2], flat[1::2], strict=True):
                found[id.decode()] = result.decode()
        return found

    @reading
    def flows(self, ids: Sequence[str] | None = None, page: Page = Page()) -> Steps[list[Flow]]:
        """See `Store.flows`."""
        if page.limit <= 0:
            return []
        rising = page.after is not None
        ask: dict[str, Any] = {"limit": page.limit, "rising": rising}
        if ids is None:
            ask |= {name: id for name, id in (("before", page.before), ("after", page.after)) if id is not None}
        else:
            before, after = page.before, page.after
            chosen = {id for id in ids if (before is None or id < before) and (after is None or id > after)}
            ask["ids"] = sorted(chosen, reverse=not rising)
        reply = yield self._ask("flows", ask)
        return [flow_of(id, last, kept) for id, last, kept in reply.rows[0][0]][: page.limit]


def _refused(command: str, problem: str) -> StokerError:
    """What the server said to a command in a rehearsal."""
    if "permission" in problem or "can't run this command" in problem:
        return ConfigError(
            f"this user may not run the command {command}, without which no job can be kept; allow it: "
            f"ACL SETUSER NAME +{command.lower()} ({problem})"
        )
    return StoreUnavailable(f"the server refuses the command {command}: {problem}")
