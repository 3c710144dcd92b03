"""What makes one job of many requests: debounce and throttle."""

from __future__ import annotations

from stoker.job import Guard, NewJob
from stoker.plan import Steps
from stoker.stores.record import to_json
from stoker.stores.sqlite.limits import Limits
from stoker.stores.sqlite.texts import Texts


class Guards:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts, limits: Limits) -> None:
        self._ask = texts.ask
        self._limits = limits

    def in_place_of(self, job: NewJob, guard: Guard, now: int) -> Steps[str | None]:
        """The job that stands in the place of this one, which with debounce takes its payload; None: nothing does."""
        reply = yield self._ask("guarded", name=guard.name)
        if not reply.rows:
            return None
        id, until, ref, has_yet_to_begin, limit = reply.rows[0]
        if not guard.last:
            return str(id) if until > now else None
        if not has_yet_to_begin:
            return None
        yield self._ask("put_off", ref=ref, payload=job.payload, run_at=now + guard.span, now=now)
        if not guard.span:
            yield self._ask("release", refs=to_json([ref]), now=now)
        yield from self.put(guard, id, now)
        yield from self._limits.readmit([] if limit is None else [limit], now)
        return str(id)

    def put(self, guard: Guard, id: str, now: int) -> Steps[None]:
        """A job was made under that name."""
        yield self._ask("guard", name=guard.name, job=id, until=now + guard.span)
