"""What people do to jobs, and what becomes of those that are kept no longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.job import Verdict
from stoker.plan import Statement, Steps
from stoker.store import Action, Change, Filter
from stoker.stores.record import to_json
from stoker.stores.sqlite.family import Family
from stoker.stores.sqlite.filters import matching, open_to
from stoker.stores.sqlite.limits import Limits
from stoker.stores.sqlite.logs import Logs
from stoker.stores.sqlite.settling import Settling
from stoker.stores.sqlite.texts import Texts

_refs = msgspec.json.Decoder(list[int])


class Amending:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts, settling: Settling, family: Family, limits: Limits, logs: Logs) -> None:
        self._ask = texts.ask
        self._settling = settling
        self._family = family
        self._limits = limits
        self._logs = logs

    def amend(self, which: Filter, change: Change, limit: int | None, now: int) -> Steps[int]:
        """See `Store.amend`."""
        condition, params = _eligible(which, change, now)
        chosen = f"SELECT ref FROM stoker_jobs WHERE {condition} ORDER BY ref LIMIT :limit"  # noqa: S608
        query = f"SELECT json_group_array(ref) FROM ({chosen})"  # noqa: S608
        reply = yield Statement(query, {**params, "limit": -1 if limit is None else limit})
        refs = _refs.decode(reply.rows[0][0])
        if not refs:
            return 0
        keys = yield from self._limits.keys_of(refs)
        changed, released = yield from self._apply(change, refs, keys, now)
        keys |= yield from self._limits.keys_of(released)
        yield from self._limits.readmit(keys, now)
        return changed

    def _apply(self, change: Change, refs: list[int], keys: set[str], now: int) -> Steps[tuple[int, list[int]]]:
        """Do it; how many were changed, and the refs of the jobs that were released by that."""
        match change.action:
            case Action.CANCEL:
                reply = yield self._ask("cancel", refs=to_json(refs), now=now, reason=change.reason)
                yield from self._family.part(refs)
            case Action.RETRY:
                yield from self._limits.know(keys, now)
                reply = yield self._ask("retry", refs=to_json(refs), now=now)
                yield from self._family.rejoin(refs)
                return reply.changed, []
            case Action.REQUEUE:
                yield from self._settling.end_alike(refs, Verdict.CRASHED, now, capped=False)
                return len(refs), (yield from self._family.settled(refs, now))
            case Action.PRIORITISE:
                reply = yield self._ask("prioritise", refs=to_json(refs), now=now, priority=change.priority)
                return reply.changed, []
            case Action.DELETE:
                return len(refs), (yield from self.delete(refs, now))
        return reply.changed, (yield from self._family.settled(refs, now))

    def delete(self, refs: Sequence[int], now: int) -> Steps[list[int]]:
        """Delete these jobs; the refs of the jobs that were released by that."""
        yield from self._family.part(refs)
        ends = yield from self._family.waited_for(refs)
        yield self._ask("delete", refs=to_json(refs))
        yield from self._logs.drop(refs)
        return (yield from self._family.conclude(ends, now, gone=True))

    def expired(self, limit: int, now: int) -> Steps[list[int]]:
        """Finished jobs that are kept no longer, longest over first."""
        reply = yield self._ask("expired", now=now, limit=limit)
        return _refs.decode(reply.rows[0][0])

    def eligible(self, which: Filter, change: Change, now: int) -> Steps[int]:
        """See `Store.eligible`."""
        condition, params = _eligible(which, change, now)
        # Of jobs with one key only one can be retried.
        total = (
            "count(*) FILTER (WHERE key IS NULL) + count(DISTINCT key)" if change.action is Action.RETRY else "count(*)"
        )
        reply = yield Statement(f"SELECT {total} FROM stoker_jobs WHERE {condition}", params)  # noqa: S608
        return int(reply.rows[0][0])


def _eligible(which: Filter, change: Change, now: int) -> tuple[str, dict[str, Any]]:
    matches, params = matching(which, now)
    can, more = open_to(change, now)
    return f"{matches} AND {can}", params | more
