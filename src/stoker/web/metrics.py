"""Metrics in Prometheus' format.

What can go up and down is read from the store when it is asked for. What only grows is counted here: workers tell the
store how attempts ended, by minute and queue, and each look adds what has come since the look before. So the counters
begin at 0 with this process, as counters do, and never step back while it lives, however old minutes are forgotten.
Each process that serves `/metrics` counts what all workers do: take the rate of one, and do not add them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from stoker import clock
from stoker.job import LIVE, State
from stoker.standing import alive
from stoker.store import Census, QueueInfo, Worker
from stoker.tally_store import MINUTE, Tally
from stoker.views import Totals
from stoker.web.desk import Desk
from stoker.web.operation import Access, Operation

_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
_FRESH: Final = 1.0
"""Seconds for which what was found out is told again."""
_LATE: Final = 10 * MINUTE
"""Span by which an answer may come after one that was asked for later."""
_OUTCOMES: Final = ("completed", "failed", "retried", "cancelled")
_Counts = Mapping[tuple[str, str], int]


class Facts(Struct, frozen=True):
    """What there is to tell."""

    totals: Totals
    census: Census
    finished: _Counts
    """attempts by queue and outcome, since this process counts"""
    now: int


class Growth:
    """Adds up tallies of minutes, whichever minutes are still known."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str, str], int] | None = None
        """the largest number of each minute, queue and outcome"""
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def counts(self) -> _Counts:
        """What was added since the first look, by queue and outcome."""
        return dict(self._counts)

    def add(self, tallies: Sequence[Tally]) -> None:
        """Take the tallies of the last minutes, all that may have grown since the last look among them.

        What was found out before the last look, and comes late, adds nothing.
        """
        begins, seen = self._seen is None, self._seen or {}
        present = {(t.at, t.queue, outcome): getattr(t, outcome) for t in tallies for outcome in _OUTCOMES}
        for place, number in present.items():
            grown = 0 if begins else max(0, number - seen.get(place, 0))
            self._counts[place[1:]] = self._counts.get(place[1:], 0) + grown
        oldest = min((at for at, _, _ in present), default=0) - _LATE
        kept = {place: number for place, number in seen.items() if place[0] >= oldest}
        self._seen = kept | {place: max(number, seen.get(place, 0)) for place, number in present.items()}


class MetricRoutes:
    """`/metrics`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._growth = Growth()
        self._facts: Facts | None = None
        self._known_at = 0.0

    @property
    def operations(self) -> list[Operation]:
        """To be put together with others."""
        return [
            Operation(
                method="GET",
                path="/metrics",
                handler=self.read,
                summary="Metrics in Prometheus' format.",
                access=Access.ADMINS,
                media="text/plain",
            )
        ]

    async def read(self, _: Request) -> Response:
        """Metrics as text."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(await self._known()))
        return Response(generate_latest(registry), headers={"cache-control": "no-store", "content-type": _FORMAT})

    async def _known(self) -> Facts:
        if self._facts is None or clock.monotonic() - self._known_at > _FRESH:
            self._facts = await self._looked(clock.monotonic())
        return self._facts

    async def _looked(self, began: float) -> Facts:
        store, ask = self._desk.app.engine.connection.store, self._desk.answers.ask
        totals = await ask(store.totals())
        census = await ask(store.census())
        passed = began - self._known_at if self._facts is not None else 0.0
        tallies = await ask(store.tallies.read(clock.to_span(passed) + 2 * MINUTE))
        self._growth.add(tallies)
        self._known_at = began
        return Facts(totals, census, self._growth.counts, clock.now())


class _Collected(Collector):
    """Facts as families of metrics."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        facts = self._facts
        counts = facts.totals.counts
        jobs = [([state.value], counts.get(state, 0)) for state in State]
        yield _gauge("stoker_jobs", "Jobs by state.", jobs, "state")
        yield from _of_queues(facts.census.queues)
        yield from _of_workers(facts.census.workers, facts.now)
        finished = CounterMetricFamily(
            "stoker_attempts_finished",
            "Attempts that ended, by queue and outcome, since this process began to count.",
            labels=("queue", "outcome"),
        )
        for labels, count in sorted(facts.finished.items()):
            finished.add_metric(labels, count)
        yield finished


def _of_queues(queues: Sequence[QueueInfo]) -> Iterator[Metric]:
    jobs = [([queue.name, state.value], getattr(queue, state.value)) for queue in queues for state in sorted(LIVE)]
    yield _gauge("stoker_queue_jobs", "Unfinished jobs by queue and state.", jobs, "queue", "state")
    latency = [([queue.name], queue.oldest or 0.0) for queue in queues]
    yield _gauge("stoker_queue_latency_seconds", "How long the first queued job has been due.", latency, "queue")
    paused = [([queue.name], float(queue.paused)) for queue in queues]
    yield _gauge("stoker_queue_paused", "1: no more jobs of the queue start.", paused, "queue")


def _of_workers(workers: Sequence[Worker], now: int) -> Iterator[Metric]:
    living = [worker for worker in workers if alive(worker, now)]
    yield _gauge("stoker_workers", "Workers that are alive.", [([], len(living))])
    of_each = "worker", "host"
    running = [([worker.id, worker.host], worker.running) for worker in living]
    yield _gauge("stoker_worker_jobs", "Jobs that a worker holds.", running, *of_each)
    slots = [([worker.id, worker.host], worker.concurrency) for worker in living]
    yield _gauge("stoker_worker_concurrency", "Jobs that a worker runs at once, at most.", slots, *of_each)
    silent = [([worker.id, worker.host], max(0, now - worker.seen_at) / clock.SECOND) for worker in living]
    yield _gauge("stoker_worker_heartbeat_age_seconds", "Time since a worker's heartbeat.", silent, *of_each)


def _gauge(name: str, about: str, values: Iterable[tuple[Sequence[str], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for place, value in values:
        family.add_metric(place, value)
    return family
