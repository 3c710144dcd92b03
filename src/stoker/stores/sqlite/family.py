"""Who waits for whom, and what the end of a job means to those that wait for it.

An edge is there for each open parent of each waiting job, and for nobody else. Whatever hangs on a set of jobs that
ended is found by few statements, however wide it is; what ends by that is concluded in its turn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from stoker.job import NOT_NEEDED, PARENT_FAILED, NewJob
from stoker.plan import Steps
from stoker.stores.record import to_json
from stoker.stores.sqlite.texts import Texts

End = tuple[str, int]
"""A job that ended, by its id, and whether it completed."""

_ends = msgspec.json.Decoder(list[End])
_ids = msgspec.json.Decoder(list[str])
_refs_and_ids = msgspec.json.Decoder(list[tuple[int, str]])
_freed = msgspec.json.Decoder(list[tuple[int, str, int]])


class Family:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask

    # --- beginnings -------------------------------------------------------------------------------------------------

    def of(self, ids: Collection[str]) -> Steps[dict[str, bool]]:
        """Which of these are there and did not complete, and whether each is unfinished."""
        if not ids:
            return {}
        reply = yield self._ask("parents", ids=to_json(sorted(ids)))
        return {id: bool(unfinished) for id, unfinished in reply.rows}

    def extendable(self, ids: Collection[str]) -> Steps[set[str]]:
        """Which of these may be extended."""
        reply = yield self._ask("extendable", ids=to_json(sorted(ids)))
        return {row[0] for row in reply.rows}

    def extend(self, jobs: Sequence[NewJob], now: int) -> Steps[None]:
        """Have everything that waits for the jobs that these extend wait for these as well."""
        pairs = to_json([(job.id, job.extends) for job in jobs])
        reply = yield self._ask("extend_edges", pairs=pairs)
        if reply.changed:
            yield self._ask("extend_parents", pairs=pairs, now=now)

    def join(self, children: Sequence[str], now: int) -> Steps[list[int]]:
        """Find the places of new jobs that wait; the refs of those that need not."""
        ids = to_json(children)
        yield self._ask("link", ids=ids)
        reply = yield self._ask("newborn", ids=ids)
        noted = [ref for ref, _, _, warned in reply.rows if warned]
        doomed = [(ref, id) for ref, id, cancelled, _ in reply.rows if cancelled]
        waiting = {ref for ref, _, cancelled, _ in reply.rows if not cancelled}
        if noted:
            yield self._ask("mark", refs=to_json(noted))
        if doomed:
            yield from self._cancel([ref for ref, _ in doomed], PARENT_FAILED, now)
        released, not_needed = yield from self._free(waiting, now)
        ends = [(id, 0) for _, id in doomed] + [(id, 0) for id in not_needed]
        return released + (yield from self.conclude(ends, now))

    def rejoin(self, refs: Sequence[int]) -> Steps[None]:
        """Have jobs that were retried wait for those of their parents that are unfinished."""
        yield self._ask("relink", refs=to_json(refs))
        yield self._ask("rejoin", refs=to_json(refs))

    def put_back(self, pairs: Sequence[tuple[str, str]], last: int) -> Steps[None]:
        """Have children (the second of each pair) that were put back after a ref wait for their open parents."""
        yield self._ask("put_back_edges", pairs=to_json(pairs), last=last)

    # --- ends -------------------------------------------------------------------------------------------------------

    def part(self, refs: Sequence[int]) -> Steps[None]:
        """Have jobs that ended while they waited, or are about to be deleted, wait for nothing any more."""
        yield self._ask("part", refs=to_json(refs))

    def waited_for(self, refs: Sequence[int]) -> Steps[list[End]]:
        """Those of these jobs that somebody waits for, as they are when they are gone."""
        reply = yield self._ask("waited_for", refs=to_json(refs))
        return [(id, 0) for id in _ids.decode(reply.rows[0][0])]

    def settled(self, refs: Sequence[int], now: int) -> Steps[list[int]]:
        """Draw the consequences for those of these jobs that ended; the refs of the jobs that were released."""
        reply = yield self._ask("ended", refs=to_json(refs))
        return (yield from self.conclude(_ends.decode(reply.rows[0][0]), now))

    def settled_ids(self, ids: Collection[str], now: int) -> Steps[list[int]]:
        """The same for jobs by their ids, whether they are there or not."""
        reply = yield self._ask("ended_ids", ids=to_json(sorted(ids)))
        return (yield from self.conclude(_ends.decode(reply.rows[0][0]), now))

    def conclude(self, ends: Sequence[End], now: int, *, gone: bool = False) -> Steps[list[int]]:
        """Draw the consequences of jobs that ended, or are gone; the refs of the jobs that were released."""
        good = [id for id, well in ends if well]
        bad = [id for id, well in ends if not well]
        released: list[int] = []
        while good or bad:
            children: set[int] = set()
            if good:
                children |= yield from self._unlink("unlink", good)
            if bad:
                bad += yield from self._doom(bad, now, gone=gone)
                yield self._ask("note", ids=to_json(bad))
                children |= yield from self._unlink("unlink_bad", bad)
            freed, not_needed = yield from self._free(children, now)
            released += freed
            left = children.difference(freed)
            if left:
                yield self._ask("touch", refs=to_json(sorted(left)), now=now)
            good, bad, gone = [], not_needed, False
        return released

    def _unlink(self, name: str, ids: Sequence[str]) -> Steps[set[int]]:
        reply = yield self._ask(name, ids=to_json(ids))
        return {row[0] for row in reply.rows}

    def _doom(self, ids: Sequence[str], now: int, *, gone: bool) -> Steps[list[str]]:
        """Cancel all that a bad end cancels, down to the last; their ids."""
        reply = yield self._ask("doomed", ids=to_json(ids), gone=gone)
        doomed = _refs_and_ids.decode(reply.rows[0][0])
        if doomed:
            yield from self._cancel([ref for ref, _ in doomed], PARENT_FAILED, now)
        return [id for _, id in doomed]

    def _free(self, children: Collection[int], now: int) -> Steps[tuple[list[int], list[str]]]:
        """Release those of the children that wait for nothing any more, but cancel what is not needed.

        Returns the refs of the former and the ids of the latter.
        """
        if not children:
            return [], []
        reply = yield self._ask("freed", refs=to_json(sorted(children)))
        found: list[Any] = _freed.decode(reply.rows[0][0])
        released = [ref for ref, _, needless in found if not needless]
        if released:
            yield self._ask("release", refs=to_json(released), now=now)
        if len(released) < len(found):
            yield from self._cancel([ref for ref, _, needless in found if needless], NOT_NEEDED, now)
        return released, [id for _, id, needless in found if needless]

    def _cancel(self, refs: Sequence[int], why: str, now: int) -> Steps[None]:
        yield self._ask("end_waiting", refs=to_json(refs), error=why, now=now)
        yield from self.part(refs)
