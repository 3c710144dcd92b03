"""Numbers over HTTP: stats, metrics, health."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stoker import clock
from stoker.tally_store import MINUTE, Tally
from stoker.web.metrics import Growth
from stoker.worker.loop import WorkerLoop

pytestmark = pytest.mark.asyncio


async def some_jobs(site: Any) -> None:
    await site.enqueue(options={"queue": "mail"})
    await site.enqueue("bob", options={"queue": "theirs"})
    await site.enqueue("bob", task="jobs.boom", args=(), options={"queue": "theirs"})


async def test_stats_of_everything(site: Any) -> None:
    await some_jobs(site)
    await site.work()
    await site.enqueue(options={"queue": "mail"})
    await site.some_worker()
    stats = (await site.admin.get("/stats")).json()
    assert stats["jobs"] == {"completed": 2, "failed": 1, "queued": 1}
    assert stats["estimated"] is False
    assert stats["workers"] == 1
    assert [(queue["name"], queue["queued"]) for queue in stats["queues"] if queue["queued"]] == [("mail", 1)]
    done = {
        name: [
            sum(minute[which] for minute in stats["minutes"] if minute["queue"] == name)
            for which in ("completed", "failed")
        ]
        for name in ("mail", "theirs")
    }
    assert done == {"mail": [1, 0], "theirs": [1, 1]}


async def test_stats_of_ones_own(site: Any) -> None:
    await some_jobs(site)
    counts = {"waiting": 0, "scheduled": 0, "queued": 1, "processing": 0}
    assert (await site.ann.get("/stats")).json() == {"jobs": {"queued": 1}, "queues": [{"name": "mail", **counts}]}


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics(site: Any) -> None:
    await some_jobs(site)
    await site.some_worker()
    said = await site.admin.get("/metrics")
    assert said.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(said.text)
    assert found["stoker_jobs", "state=queued"] == 3
    assert found["stoker_jobs", "state=failed"] == 0
    assert found["stoker_queue_jobs", "queue=theirs", "state=queued"] == 2
    assert found["stoker_queue_latency_seconds", "queue=mail"] >= 0
    assert found["stoker_queue_paused", "queue=mail"] == 0
    assert found["stoker_workers",] == 1
    assert found["stoker_worker_concurrency", "host=here", "worker=w1"] == 3
    assert found["stoker_worker_jobs", "host=here", "worker=w1"] == 0
    assert "stoker_worker_heartbeat_age_seconds" in said.text
    for family in text_string_to_metric_families(said.text):
        assert family.documentation, family.name
        assert family.type in ("gauge", "counter"), family.name


async def test_labels_may_be_any_text(site: Any) -> None:
    odd = 'a"b\\c\nd💥{}'
    await site.enqueue(options={"queue": odd})
    assert samples((await site.admin.get("/metrics")).text)["stoker_queue_jobs", f"queue={odd}", "state=queued"] == 1


async def test_counters_count_what_workers_tell(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.monotonic()
    monkeypatch.setattr("stoker.web.metrics.clock.monotonic", lambda: now)
    store = site.app.engine.connection.store

    async def told(**counts: int) -> None:
        await site.app.engine.arun(store.tallies.add([Tally(queue="mail", **counts)]))

    async def counted(outcome: str) -> float | None:
        found = samples((await site.admin.get("/metrics")).text)
        return found.get(("stoker_attempts_finished_total", f"outcome={outcome}", "queue=mail"))

    await told(completed=100)
    assert await counted("completed") == 0, "it begins to count with the first look"
    await told(completed=2, failed=1)
    assert await counted("completed") == 0, "for a second it is told again"
    now += 1.5
    assert (await counted("completed"), await counted("failed"), await counted("retried")) == (2, 1, 0)
    now += 1.5
    await told(completed=3)
    assert (await counted("completed"), await counted("failed")) == (5, 1)


def tally(at: int, completed: int, queue: str = "mail") -> Tally:
    return Tally(queue=queue, at=at * MINUTE, completed=completed)


async def test_counters_never_step_back() -> None:
    growth = Growth()

    def look(*tallies: Tally) -> int | None:
        growth.add(tallies)
        return growth.counts.get(("mail", "completed"))

    assert look(tally(100, 5)) == 0
    assert look(tally(100, 7)) == 2
    assert look(tally(100, 7), tally(101, 4)) == 6
    assert look(tally(100, 7), tally(101, 3)) == 6, "an answer that was on its way for long"
    assert look(tally(100, 7), tally(101, 4)) == 6
    assert look(tally(101, 5), tally(102, 1)) == 8
    assert look() == 8
    assert look(tally(102, 1)) == 8
    assert look(tally(170, 10)) == 18, "minutes that are forgotten take nothing with them"
    assert look(tally(171, 1), tally(171, 9, "other")) == 19
    assert growth.counts["other", "completed"] == 9


async def test_a_worker_that_works_is_counted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.monotonic()
    await site.admin.get("/metrics")
    await some_jobs(site)
    await site.work()
    # Answers are kept for a minute at most, counted from when the first one came.
    monkeypatch.setattr("stoker.web.metrics.clock.monotonic", lambda: now + 3600)
    found = samples((await site.admin.get("/metrics")).text)
    done = {labels: value for labels, value in found.items() if labels[0] == "stoker_attempts_finished_total" and value}
    assert done == {
        ("stoker_attempts_finished_total", "outcome=completed", "queue=mail"): 1,
        ("stoker_attempts_finished_total", "outcome=completed", "queue=theirs"): 1,
        ("stoker_attempts_finished_total", "outcome=failed", "queue=theirs"): 1,
    }


# --- health -----------------------------------------------------------------------------------------------------------


async def test_health_without_a_worker(site: Any, unhurried: None) -> None:
    for path in ("/health/live", "/health/ready"):
        said = await site.by(None).get(path)
        assert (said.status_code, said.json()) == (200, {"status": "ok"})


async def test_a_worker_that_stands_still_is_not_alive(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = site.by(None)
    async with site.app.lifespan(scheduler=False)(None):
        assert [worker.trouble for worker in site.app.at_work] == [None]
        assert (await nobody.get("/health/live")).status_code == 200
        [worker] = site.app.at_work
        now = clock.monotonic()
        with monkeypatch.context() as still:  # the clock as well, which may tick on before it is read
            still.setattr(clock, "monotonic", lambda: now)
            still.setattr(worker, "_progressed_at", now - 16)
            said = await nobody.get("/health/live")
        assert (said.status_code, said.json()["detail"]) == (503, "the claim loop has not turned for 16 s")
        assert said.headers["retry-after"] == "2"
        monkeypatch.setattr(worker, "_progressed_at", clock.monotonic())
        assert (await nobody.get("/health/live")).status_code == 200
    assert list(site.app.at_work) == []
    assert (await nobody.get("/health/live")).status_code == 200


async def test_a_worker_whose_store_is_down_needs_no_restart(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.app.lifespan(scheduler=False)(None):
        [worker] = site.app.at_work
        # Its thread goes on saying that the store answers: what it says must not count.
        monkeypatch.setattr(type(worker._keeper), "reaches", property(lambda _: False, lambda *_: None), raising=False)
        assert worker.trouble == "the store does not answer"
        assert (await site.by(None).get("/health/live")).status_code == 200


async def test_a_worker_that_has_died_is_not_alive(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(*_: Any) -> Any:
        raise RuntimeError("died")

    worker: WorkerLoop = memory_site.app.worker()
    monkeypatch.setattr(worker._dispatcher, "decide", decide)
    with pytest.raises(RuntimeError, match="died"):
        await worker.serve()
    assert memory_site.app.at_work == [worker]
    monkeypatch.setattr(worker, "_progressed_at", clock.monotonic() - 16)
    assert (await memory_site.by(None).get("/health/live")).status_code == 503


async def test_a_worker_that_has_come_to_its_end_is_no_trouble(memory_site: Any) -> None:
    worker: WorkerLoop = memory_site.app.worker()
    assert memory_site.app.at_work == [], "it has not begun"
    started = asyncio.Event()
    serving = asyncio.ensure_future(worker.serve(started))
    await asyncio.wait_for(started.wait(), 30)
    assert memory_site.app.at_work == [worker]
    worker.stop()
    await asyncio.wait_for(serving, 30)
    assert memory_site.app.at_work == []


async def test_a_worker_in_the_background_counts_as_well(background_site: Any) -> None:
    made = await background_site.ann.post("/jobs", json={"task": "add", "args": [1]})
    assert await background_site.app.jobs.handle(made.json()["id"]) == 2
    assert len(background_site.app.at_work) == 1
    assert (await background_site.by(None).get("/health/live")).status_code == 200
    await background_site.app.aclose()
    assert background_site.app.at_work == []
