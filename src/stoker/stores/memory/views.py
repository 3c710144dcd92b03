"""What is read of many records at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from stoker.clock import SECOND
from stoker.job import LIVE, ParentFailure, State
from stoker.store import Flow, Page, QueueInfo, QueueLimit
from stoker.stores.record import Record


def queues_of(
    records: Iterable[Record], paused: Mapping[str, bool], limit_of: Callable[[str], QueueLimit], now: int
) -> list[QueueInfo]:
    """The queues as they stand, by name."""
    states: dict[str, Counter[State]] = {name: Counter() for name in paused}
    due: dict[str, int] = {}
    for record in records:
        if record.state in LIVE:
            states.setdefault(record.queue, Counter())[record.state] += 1
        if record.state is State.QUEUED:
            due[record.queue] = min(record.run_at, due.get(record.queue, record.run_at))
    return [
        QueueInfo(
            name=name,
            paused=paused.get(name, False),
            limit=limit_of(name),
            waiting=count[State.WAITING],
            scheduled=count[State.SCHEDULED],
            queued=count[State.QUEUED],
            processing=count[State.PROCESSING],
            oldest=max(0, now - due[name]) / SECOND if name in due else None,
        )
        for name, count in sorted(states.items())
    ]


def flows_of(records: Iterable[Record], ids: Sequence[str] | None, page: Page) -> list[Flow]:
    """The workflows as their jobs tell them."""
    members: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.workflow is not None and (ids is None or record.workflow in ids):
            members[record.workflow].append(record)
    before, after = page.before, page.after
    names = [name for name in members if (before is None or name < before) and (after is None or name > after)]
    names.sort(reverse=after is None)
    return [_flow(name, members[name]) for name in names[: page.limit]]


def _flow(id: str, members: Sequence[Record]) -> Flow:
    return Flow(
        id=id,
        counts=dict(Counter(record.state for record in members if not _unneeded(record))),
        created_at=min(record.created_at for record in members),
        updated_at=max(record.updated_at for record in members),
    )


def _unneeded(record: Record) -> bool:
    return record.state is State.CANCELLED and record.on_parent_failure == ParentFailure.ONLY
