"""How claims end: by what became of them, or because nobody holds them any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.job import Outcome, Verdict
from stoker.plan import Steps, Violation
from stoker.store import Recovered
from stoker.stores.outcomes import consequence, is_plain
from stoker.stores.record import to_json
from stoker.stores.sqlite.rows import said
from stoker.stores.sqlite.texts import Texts

_refs = msgspec.json.Decoder(list[int])
_pairs = msgspec.json.Decoder(list[tuple[int, int]])


class Settling:
    """Steps of plans: who calls them is in a transaction that writes."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask

    def settle(self, outcomes: Sequence[Outcome], now: int) -> Steps[list[int]]:
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

    def release_unknown(self, worker: str, known: Sequence[int], now: int) -> Steps[list[int]]:
        """Give back what the worker holds and does not know of; the refs."""
        reply = yield self._ask("unknown", worker=worker, known=to_json(known))
        refs = _refs.decode(reply.rows[0][0])
        if refs:
            yield from self.end_alike(refs, Verdict.RELEASED, now)
        return refs

    def lost(self, limit: int, now: int) -> Steps[list[int]]:
        """The claims of workers that are not alive."""
        reply = yield self._ask("lost", now=now, limit=limit)
        return _refs.decode(reply.rows[0][0])

    def recover(self, refs: Sequence[int], now: int) -> Steps[Recovered]:
        """Take these claims from their workers."""
        yield from self.end_alike(refs, Verdict.CRASHED, now)
        reply = yield self._ask("tally", refs=to_json(refs))
        return Recovered(*reply.rows[0])

    def end_alike(self, refs: Sequence[int], verdict: Verdict, now: int, *, capped: bool = True) -> Steps[None]:
        """Settle claims that are known to be held, all with one verdict."""
        outcomes = to_json([{"ref": ref, "verdict": verdict} for ref in refs])
        yield self._ask("settle", outcomes=outcomes, now=now, capped=capped)
