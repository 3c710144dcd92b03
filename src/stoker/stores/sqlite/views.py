"""What people read of the file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.clock import SECOND
from stoker.job import LIVE, Job, State
from stoker.plan import Statement, Steps
from stoker.store import Census, Facet, Fair, Filter, Flow, Page, QueueInfo, QueueLimit
from stoker.stores.record import STATES, record_of, to_job, to_json, worker_of
from stoker.stores.sqlite.filters import matching
from stoker.stores.sqlite.rows import shown
from stoker.stores.sqlite.texts import RECORD, Texts
from stoker.views import Changes, Totals

_FEW: Final = 10_000
"""Jobs that are sorted within milliseconds."""

_refs = msgspec.json.Decoder(list[int])


class Views:
    """Steps of plans that read."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask
        self._select = f"SELECT {RECORD} FROM stoker_jobs"  # noqa: S608 - names of our own

    def find(self, which: Filter, page: Page, now: int) -> Steps[list[Job]]:
        """See `Store.find`."""
        condition, params = yield from self._matching(which, now)
        if page.before is not None:
            condition += " AND id < :before"
            params["before"] = page.before
        if page.after is not None:
            condition += " AND id > :after"
            params["after"] = page.after
        order = "DESC" if page.after is None else "ASC"
        by = "+id" if "few" in params else "id"  # with `+` these few are sorted, and nobody walks all ids for them
        query = f"{self._select} WHERE {condition} ORDER BY {by} {order} LIMIT :limit"
        reply = yield Statement(query, {**params, "limit": page.limit})
        return [to_job(record_of(row)) for row in reply.rows]

    def _matching(self, which: Filter, now: int) -> Steps[tuple[str, dict[str, Any]]]:
        """The condition that a row matches the filter. Where few jobs can, these are named.

        Unfinished ones are told by their state only, in an order that is not the one of listings: SQLite, which does
        not know how few they are, would look for them among the millions that are finished.
        """
        condition, params = matching(which, now)
        named = (which.ids, which.key, which.workflow, which.owner)
        if which.states and LIVE.issuperset(which.states) and all(name is None for name in named):
            wanted = {state.value: state in which.states for state in LIVE}
            reply = yield self._ask("unfinished", **wanted, limit=_FEW + 1)
            if len(_refs.decode(reply.rows[0][0])) <= _FEW:
                condition += " AND ref IN (SELECT value FROM json_each(:few))"
                params["few"] = reply.rows[0][0]
        return condition, params

    def count(self, which: Filter, by: Facet, now: int) -> Steps[dict[str, int]]:
        """See `Store.count`."""
        condition, params = yield from self._matching(which, now)
        facet = shown(Facet(by).value)
        query = f"SELECT {facet}, count(*) FROM stoker_jobs WHERE {condition} AND {facet} IS NOT NULL GROUP BY 1"  # noqa: S608
        reply = yield Statement(query, params)
        if by is Facet.STATE:
            return {STATES[code].value: total for code, total in reply.rows}
        return dict(reply.rows)

    def census(self, now: int) -> Steps[Census]:
        """See `Store.census`."""
        reply = yield self._ask("queues")
        queues: dict[str, dict[str, Any]] = {name: _facts(*facts) for name, *facts in reply.rows}
        reply = yield self._ask("census_queues")
        for name, state, total, due in reply.rows:
            queue = queues.setdefault(name, {})
            queue[state] = queue.get(state, 0) + total
            if state == State.QUEUED:
                queue["oldest"] = max(queue.get("oldest", 0.0), (now - due) / SECOND)
        reply = yield self._ask("workers")
        return Census(
            [QueueInfo(name=name, **facts) for name, facts in sorted(queues.items())],
            [worker_of(*row) for row in reply.rows],
        )

    def totals(self) -> Steps[Totals]:
        """See `Store.totals`."""
        reply = yield self._ask("totals")
        return Totals({STATES[code]: total for code, total in reply.rows if total})

    def changes(self, seen: Mapping[str, int]) -> Steps[Changes]:
        """See `Store.changes`."""
        reply = yield self._ask("changes", seen=to_json(seen))
        there = [row[1:] for row in reply.rows if row[1] is not None]
        gone = [row[0] for row in reply.rows if row[1] is None]
        return Changes([to_job(record_of(row)) for row in there], gone)

    def front(self, queue: str, limit: int) -> Steps[list[str]]:
        """See `Store.front`."""
        reply = yield self._ask("front", queue=queue, limit=limit)
        return [row[0] for row in reply.rows]

    def results(self, ids: Sequence[str]) -> Steps[dict[str, str]]:
        """See `Store.results`."""
        reply = yield self._ask("results", ids=to_json(ids))
        return dict(reply.rows)

    def flows(self, ids: Sequence[str] | None, page: Page) -> Steps[list[Flow]]:
        """See `Store.flows`."""
        if ids is not None:
            names = _paged(set(ids), page)
        elif page.after is None:
            reply = yield self._ask("workflows_back", before=page.before, limit=page.limit)
            names = [row[0] for row in reply.rows]
        else:
            reply = yield self._ask("workflows_forth", after=page.after, limit=page.limit)
            names = _paged({row[0] for row in reply.rows}, page)
        reply = yield self._ask("flows", names=to_json(names))
        rows: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
        for name, *facts in reply.rows:
            rows[name].append(tuple(facts))
        return [_flow(name, rows[name]) for name in names if name in rows][: page.limit]


def _facts(paused: int, concurrency: int | None, rate: int | None, period: int | None, fair: str | None) -> Any:
    """What was said of a queue."""
    limit = QueueLimit(concurrency, rate, period, None if fair is None else Fair(fair))
    return {"paused": bool(paused), "limit": limit}


def _paged(names: set[str], page: Page) -> list[str]:
    """Those names that the page may hold, in its order."""
    before, after = page.before, page.after
    wanted = [name for name in names if (before is None or name < before) and (after is None or name > after)]
    return sorted(wanted, reverse=after is None)


def _flow(id: str, rows: Sequence[tuple[int, int, int, int]]) -> Flow:
    return Flow(
        id=id,
        counts={STATES[code]: total for code, total, _, _ in rows if total},
        created_at=min(created for _, _, created, _ in rows),
        updated_at=max(updated for _, _, _, updated in rows),
    )
