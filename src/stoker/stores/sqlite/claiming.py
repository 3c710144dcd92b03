"""How jobs are claimed: what a worker may run, as far as limits leave room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.job import Claim
from stoker.plan import Statement, Steps
from stoker.store import Routing, Want
from stoker.stores.record import to_json
from stoker.stores.sqlite.limits import MOST, Limits, bucket_of, room_of
from stoker.stores.sqlite.texts import Texts

_claims = msgspec.json.Decoder(list[Claim])
_names = msgspec.json.Decoder(list[str])

_Place = tuple[str | None, int, int, int, int]
"""A job's limit, and where it stands in its queue: by rank (priority, turned round), turn, due time and ref."""

_places = msgspec.json.Decoder(list[_Place])


class Line(msgspec.Struct, array_like=True):
    """A queue that is paused or limited."""

    name: str
    paused: int
    concurrency: int | None
    rate: int | None
    period: int | None
    full_at: int


_lines = msgspec.json.Decoder(list[Line])


class Glance(msgspec.Struct):
    """What an exchange sees before it claims."""

    holder: int | None
    """the worker's number, if it is alive"""
    due: int | None
    """when the next scheduled job is due"""
    lines: dict[str, Line]
    """queues that are paused or limited"""
    has_edges: int
    """whether any job waits for another"""
    has_limits: int
    """whether any job was ever limited"""


class Claiming:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts, limits: Limits) -> None:
        self._ask = texts.ask
        self._limits = limits
        self._routes: dict[Routing, dict[str, Any]] = {}

    def look(self, worker: str, now: int) -> Steps[Glance]:
        """See what there is."""
        reply = yield self._ask("look", worker=worker, now=now)
        holder, due, lines, has_edges, has_limits = reply.rows[0]
        found = {} if lines == "[]" else {line.name: line for line in _lines.decode(lines)}
        return Glance(holder, due, found, has_edges, has_limits)

    def claim(
        self, glance: Glance, wants: Sequence[Want], routing: Routing, limit: int, turn: int, now: int
    ) -> Steps[list[Claim]]:
        """Serve the wants, one after the other."""
        if glance.holder is None or not wants:
            return []
        claims: list[Claim] = []
        turns: list[str] = []
        if any(want.queue is None for want in wants):
            turns = yield from self._ready(glance)
        for want in wants:
            room = min(want.limit, limit - len(claims))
            if want.queue is None:
                claims += yield from self._claim_in_turns(glance, routing, turns, room, turn, now)
            else:
                claims += yield from self._claim(glance, want.queue, routing, room, now)
        return claims

    def _ready(self, glance: Glance) -> Steps[list[str]]:
        """The queues that have jobs to claim and are not paused, by name."""
        reply = yield self._ask("ready")
        names = _names.decode(reply.rows[0][0])
        if glance.has_limits:
            reply = yield self._ask("ready_parked")
            names = sorted({*names, *_names.decode(reply.rows[0][0])})
        return [name for name in names if name not in glance.lines or not glance.lines[name].paused]

    def _claim_in_turns(
        self, glance: Glance, routing: Routing, names: list[str], room: int, turn: int, now: int
    ) -> Steps[list[Claim]]:
        if not names:
            return []
        first = turn % len(names)
        names = names[first:] + names[:first]
        claims: list[Claim] = []
        for index, name in enumerate(names):  # an even share each …
            share = -(-(room - len(claims)) // (len(names) - index))
            claims += yield from self._claim(glance, name, routing, share, now)
        if len(names) > 1:
            for name in names:  # … and what others left
                claims += yield from self._claim(glance, name, routing, room - len(claims), now)
        return claims

    def _claim(self, glance: Glance, queue: str, routing: Routing, room: int, now: int) -> Steps[list[Claim]]:
        line = glance.lines.get(queue)
        if line is not None:
            room = 0 if line.paused else min(room, (yield from self._room_in(line, now)))
        if room <= 0:
            return []
        if glance.has_limits:
            claims = yield from self._take_limited(glance, queue, routing, room, now)
        else:
            pick = "pick" if routing.tags is None else "pick_tagged"
            reply = yield self._ask(pick, queue=queue, room=room, **self._route(routing))
            claims = _claims.decode(reply.rows[0][0])
            if claims:
                yield self._take(glance, claims, now)
        if claims and line is not None:
            yield from self._charge(line, len(claims), now)
        return claims

    def _take(self, glance: Glance, claims: Sequence[Claim], now: int) -> Statement:
        return self._ask("take", worker=glance.holder, now=now, refs=to_json([claim.ref for claim in claims]))

    def _route(self, routing: Routing) -> dict[str, Any]:
        """A routing as parameters; kept, because a worker's routing never changes."""
        params = self._routes.get(routing)
        if params is None:
            params = {"tasks": to_json(sorted(routing.tasks))}
            if routing.tags is not None:
                params |= {"tags": to_json(sorted(routing.tags)), "untagged": routing.untagged}
            self._routes = {routing: params}
        return params

    # --- limits of jobs ---------------------------------------------------------------------------------------------

    def _take_limited(self, glance: Glance, queue: str, routing: Routing, room: int, now: int) -> Steps[list[Claim]]:
        """Take jobs where there are limits, no more at once than these let in at once."""
        claims: list[Claim] = []
        while len(claims) < room:
            most = min(MOST, room - len(claims))
            found = yield from self._pick_limited(queue, routing, most, now)
            if found:
                yield self._take(glance, [claim for _, claim in found], now)
            taken = Counter(place[0] for place, _ in found if place[0] is not None)
            yield from self._limits.readmit(taken, now, taken)
            claims += [claim for _, claim in found]
            if len(found) < most:
                break
        return claims

    def _pick_limited(self, queue: str, routing: Routing, room: int, now: int) -> Steps[list[tuple[_Place, Claim]]]:
        """The first jobs that may be taken.

        Where those that a limit lets through cannot be taken by this worker, later ones of that limit can: they are
        looked up among the parked.
        """
        route = {"tags": None, "untagged": True} | self._route(routing)
        reply = yield self._ask("pick_limited", queue=queue, room=room, **route)
        found = _zipped(reply.rows[0])
        full = len(found) >= room
        _, rank, turn, run_at, ref = found[-1][0] if full else (None, None, None, None, None)
        place = {"rank": rank, "turn": turn, "run_at": run_at, "ref": ref}
        reply = yield self._ask("passed_over", queue=queue, **place, **route)
        keys = _names.decode(reply.rows[0][0])
        if keys:
            left = yield from self._limits.rooms(keys, now)
            for key in keys:
                reply = yield self._ask("pick_parked", key=key, queue=queue, room=left[key], **route)
                found += _zipped(reply.rows[0])
            found = _within(sorted(found, key=lambda entry: entry[0][1:]), left)[:room]
        return found

    # --- limits of queues -------------------------------------------------------------------------------------------

    def _room_in(self, line: Line, now: int) -> Steps[int]:
        processing = 0
        if line.concurrency is not None:
            reply = yield self._ask("busy", queue=line.name)
            processing = reply.rows[0][0]
        return room_of(line.concurrency, processing, bucket_of(line.rate, line.period), line.full_at, now)

    def _charge(self, line: Line, taken: int, now: int) -> Steps[None]:
        bucket = bucket_of(line.rate, line.period)
        if bucket is not None:
            line.full_at = bucket.take(line.full_at, now, taken)
            yield self._ask("charge_queue", queue=line.name, full_at=line.full_at)

    def mend(self, glance: Glance, now: int) -> Steps[None]:
        """See `Bucket.mended`."""
        for line in glance.lines.values():
            bucket = bucket_of(line.rate, line.period)
            mended = line.full_at if bucket is None else bucket.mended(line.full_at, now)
            if mended != line.full_at:
                line.full_at = mended
                yield self._ask("charge_queue", queue=line.name, full_at=mended)

    def tokens_in(self, glance: Glance, now: int) -> Steps[list[int]]:
        """The spans until buckets have a token that are empty while jobs wait for them."""
        spans = (yield from self._limits.token_in(now)) if glance.has_limits else []
        for line in glance.lines.values():
            bucket = bucket_of(line.rate, line.period)
            span = 0 if bucket is None else bucket.token_in(line.full_at, now)
            if span and (yield self._ask("lined_up", queue=line.name)).rows[0][0]:
                spans.append(span)
        return spans


def _zipped(row: tuple[str, str]) -> list[tuple[_Place, Claim]]:
    claims, places = row
    return list(zip(_places.decode(places), _claims.decode(claims), strict=True))


def _within(found: list[tuple[_Place, Claim]], left: dict[str, int]) -> list[tuple[_Place, Claim]]:
    """Those, in order, for which their limits have room left."""
    kept = []
    for entry in found:
        key = entry[0][0]
        if key in left:
            left[key] -= 1
            if left[key] < 0:
                continue
        kept.append(entry)
    return kept
