"""What `ScheduleStore` promises."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stoker.clock import SECOND
from stoker.job import NewJob, State
from stoker.schedule import Put, Schedule
from stoker.testing.conformance.rig import HOUR, START, Rig


def put(rig: Rig, *puts: Put) -> list[bool]:
    """Write them."""
    return rig.run(rig.store.schedules.put(list(puts)))


def schedule(name: str = "nightly", next_at: int | None = START + HOUR, **facts: Any) -> Schedule:
    """A schedule that was never written."""
    return Schedule(name, facts.pop("document", '{"task":"task"}'), next_at, **facts)


def read(rig: Rig, *names: str) -> list[Schedule]:
    """These, or all."""
    return list(rig.run(rig.store.schedules.read(list(names) or None)).schedules)


def due(rig: Rig, limit: int = 1000) -> list[str]:
    """The names of those that are due."""
    return [found.name for found in rig.run(rig.store.schedules.due(limit)).schedules]


def tick(rig: Rig, **facts: Any) -> NewJob:
    """The job of a tick."""
    return rig.new(schedule="nightly", **facts)


def test_nothing_is_there_at_first(rig: Rig) -> None:
    found = rig.run(rig.store.schedules.read())
    assert (found.now, list(found.schedules), found.due_in) == (START, [], None)
    assert due(rig) == []


def test_a_new_schedule_is_written_and_read(rig: Rig) -> None:
    assert put(rig, Put(schedule(document='{"a":"ä 😀 \\u0000"}'))) == [True]
    assert read(rig) == [schedule(document='{"a":"ä 😀 \\u0000"}', version=1)]
    assert rig.run(rig.store.schedules.read()).due_in == HOUR


def test_a_schedule_need_have_no_next_tick(rig: Rig) -> None:
    put(rig, Put(schedule(next_at=None)))
    assert read(rig) == [schedule(next_at=None, version=1)]
    found = rig.run(rig.store.schedules.due())
    assert (list(found.schedules), found.due_in) == ([], None)


def test_schedules_are_read_by_name(rig: Rig) -> None:
    for name in ("b", "a", "c"):
        put(rig, Put(schedule(name)))
    assert [found.name for found in read(rig)] == ["a", "b", "c"]
    assert [found.name for found in read(rig, "c", "none", "a")] == ["a", "c"]
    assert list(rig.run(rig.store.schedules.read([])).schedules) == []


def test_who_has_read_the_present_version_writes(rig: Rig) -> None:
    put(rig, Put(schedule()))
    (first,) = read(rig)
    assert put(rig, Put(replace(first, document="{}", next_at=START + 1))) == [True]
    assert read(rig) == [Schedule("nightly", "{}", START + 1, 2)]


def test_who_has_read_an_older_version_writes_nothing(rig: Rig) -> None:
    put(rig, Put(schedule()))
    (first,) = read(rig)
    job, late = tick(rig), tick(rig)
    assert put(rig, Put(replace(first, next_at=START + 2 * HOUR), (job,))) == [True]
    assert put(rig, Put(replace(first, next_at=START + 3 * HOUR), (late,))) == [False]
    assert read(rig) == [replace(first, next_at=START + 2 * HOUR, version=2)]
    assert rig.find() == [job.id]


def test_a_schedule_that_is_there_is_not_made_again(rig: Rig) -> None:
    put(rig, Put(schedule()))
    assert put(rig, Put(schedule(document="{}"), (tick(rig),))) == [False]
    assert read(rig) == [schedule(version=1)]
    assert rig.records() == []


def test_a_schedule_that_is_gone_is_not_written(rig: Rig) -> None:
    put(rig, Put(schedule()))
    (first,) = read(rig)
    assert rig.run(rig.store.schedules.drop("nightly"))
    assert put(rig, Put(first, (tick(rig),))) == [False]
    assert (read(rig), rig.records()) == ([], [])


def test_each_of_many_is_written_for_itself(rig: Rig) -> None:
    put(rig, Put(schedule("a")), Put(schedule("b")))
    a, b = read(rig)
    jobs = [tick(rig) for _ in range(3)]
    stale = replace(a, version=7)
    assert put(rig, Put(stale, (jobs[0],)), Put(b, (jobs[1],)), Put(schedule("c"), (jobs[2],))) == [False, True, True]
    assert [(found.name, found.version) for found in read(rig)] == [("a", 1), ("b", 2), ("c", 1)]
    assert sorted(rig.find()) == sorted(job.id for job in jobs[1:])


def test_the_same_schedule_twice_in_a_call_is_written_once(rig: Rig) -> None:
    jobs = [tick(rig), tick(rig)]
    assert put(rig, Put(schedule(), (jobs[0],)), Put(schedule(), (jobs[1],))) == [True, False]
    assert rig.find() == [jobs[0].id]


def test_nothing_in_nothing_out(rig: Rig) -> None:
    assert put(rig) == []


def test_the_jobs_of_a_tick_are_inserted_as_any_job(rig: Rig) -> None:
    holder = rig.enqueue(key="k")
    jobs = (tick(rig, run_at=START - HOUR, priority=3), tick(rig, delay=HOUR), tick(rig, key="k"))
    put(rig, Put(schedule(), jobs))
    assert rig.states([jobs[0].id, jobs[1].id, holder]) == [State.QUEUED, State.SCHEDULED, State.QUEUED]
    assert rig.find(ids=(jobs[2].id,)) == []
    assert (rig.read(jobs[0].id).schedule, rig.read(jobs[0].id).priority) == ("nightly", 3)
    rig.hire()
    assert [claim.id for claim in rig.claim(limit=1)] == [jobs[0].id]


def test_a_job_that_is_there_is_not_made_again(rig: Rig) -> None:
    job = tick(rig)
    put(rig, Put(schedule(), (job,)))
    (first,) = read(rig)
    assert put(rig, Put(first, (job,))) == [True]
    assert rig.find() == [job.id]


def test_due_is_what_has_come_longest_first(rig: Rig) -> None:
    for name, at in (("d", 2), ("c", 1), ("b", 1), ("a", 3), ("e", None)):
        put(rig, Put(schedule(name, None if at is None else START + at * SECOND)))
    assert due(rig) == []
    assert rig.run(rig.store.schedules.due()).due_in == SECOND
    rig.advance(2 * SECOND)
    assert due(rig) == ["b", "c", "d"]
    assert due(rig, 2) == ["b", "c"]
    assert rig.run(rig.store.schedules.due()).due_in == 0


def test_a_schedule_is_due_at_its_instant_and_not_before(rig: Rig) -> None:
    put(rig, Put(schedule(next_at=START + 10)))
    rig.advance(9)
    assert due(rig) == []
    rig.advance(1)
    assert due(rig) == ["nightly"]


def test_the_clock_may_step_back(rig: Rig) -> None:
    put(rig, Put(schedule(next_at=START + HOUR)))
    rig.advance(HOUR)
    (found,) = rig.run(rig.store.schedules.due()).schedules
    job = tick(rig)
    put(rig, Put(replace(found, next_at=START + 2 * HOUR), (job,)))
    rig.advance(-HOUR)
    assert due(rig) == []
    rig.advance(HOUR)
    assert due(rig) == []
    assert rig.find() == [job.id]


def test_drop_says_whether_it_was_there_and_leaves_jobs(rig: Rig) -> None:
    job = tick(rig)
    put(rig, Put(schedule(), (job,)))
    assert [rig.run(rig.store.schedules.drop("nightly")) for _ in range(2)] == [True, False]
    assert (read(rig), rig.find()) == ([], [job.id])
    assert put(rig, Put(schedule())) == [True]


def test_of_many_who_write_one_tick_at_once_one_does(rig: Rig) -> None:
    put(rig, Put(schedule()))
    (first,) = read(rig)
    ticks = [Put(replace(first, next_at=START + 2 * HOUR), (tick(rig),)) for _ in range(10)]
    answers = rig.run_together([rig.store.schedules.put([one]) for one in ticks])
    assert sorted(answers) == [[False]] * 9 + [[True]]
    assert len(rig.records()) == 1


def test_many_schedules(rig: Rig) -> None:
    assert all(put(rig, *[Put(schedule(f"s{n:05}", START + n)) for n in range(2000)]))
    rig.advance(1500)
    assert due(rig) == [f"s{n:05}" for n in range(1000)]
    assert len(read(rig)) == 2000
