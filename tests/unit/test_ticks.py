"""What a schedule does at its ticks, and what people and declarations do to it: decided without any store."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec.structs import replace

from stoker.clock import SECOND, to_instant
from stoker.job import NewJob
from stoker.schedule import Put, Schedule
from stoker.timing import ticks
from stoker.timing.definition import Definition, Misfire, Overlap, Why, read

NOON = to_instant(datetime(2026, 6, 1, 12, tzinfo=UTC))
MINUTE = 60 * SECOND
DAY = 86400 * SECOND

JOB = NewJob(id="", task="task", payload="[[],{}]", keep_for=DAY)


def define(expression: str = "* * * * *", **facts) -> Definition:
    return Definition(job=facts.pop("job", JOB), expression=expression, **facts)


def made(put: Put) -> Schedule:
    """The schedule as the store has it afterwards."""
    return replace(put.schedule, version=put.schedule.version + 1)


def declared(definition: Definition, now: int = NOON, name: str = "s") -> Schedule:
    put = ticks.declare(name, None, definition, now)
    assert put is not None
    assert put.jobs == ()
    return made(put)


def fire(schedule: Schedule, now: int, live=()) -> tuple[Schedule, list[int]]:
    put = ticks.tick(schedule, read(schedule), now, live)
    assert all(job.schedule == schedule.name for job in put.jobs)
    return made(put), [job.run_at for job in put.jobs]


# --- ids ------------------------------------------------------------------------------------------------------------


def test_ids_of_ticks_are_made_of_name_and_tick():
    id = UUID(ticks.tick_id("nightly", NOON + 1_234_567))
    assert id.version == 7
    assert id.variant == "specified in RFC 4122"
    assert id.int >> 80 == (NOON + 1_234_567) // 1000
    assert str(id) == ticks.tick_id("nightly", NOON + 1_234_567)
    others = {ticks.tick_id(name, tick) for name in ("a", "b", "") for tick in range(NOON, NOON + 1000)}
    assert len(others) == 3000
    assert ticks.tick_id("a", NOON) < ticks.tick_id("a", NOON + 1000) < ticks.tick_id("b", NOON + 2000)


def test_jitter_spreads_and_everybody_agrees():
    spans = [ticks.spread("s", NOON + n * MINUTE, 30 * SECOND) for n in range(2000)]
    assert spans == [ticks.spread("s", NOON + n * MINUTE, 30 * SECOND) for n in range(2000)]
    assert 0 <= min(spans) < SECOND
    assert 29 * SECOND < max(spans) < 30 * SECOND
    assert 14 * SECOND < sum(spans) / 2000 < 16 * SECOND
    assert ticks.spread("s", NOON, 0) == 0


# --- ticks ----------------------------------------------------------------------------------------------------------


def test_a_tick_makes_one_job_and_the_next_tick():
    schedule = declared(define())
    assert schedule.next_at == NOON + MINUTE
    put = ticks.tick(schedule, read(schedule), NOON + MINUTE + 5, ())
    [job] = put.jobs
    assert (job.id, job.run_at, job.schedule) == (ticks.tick_id("s", NOON + MINUTE), NOON + MINUTE, "s")
    assert put.schedule.next_at == NOON + 2 * MINUTE
    [run] = read(put.schedule).runs
    assert (run.tick, run.at, run.job, run.why) == (NOON + MINUTE, NOON + MINUTE + 5, job.id, None)


def test_history_is_the_last_twenty():
    schedule = declared(define())
    for n in range(1, 31):
        schedule, _ = fire(schedule, NOON + n * MINUTE)
    assert [run.tick for run in read(schedule).runs] == [NOON + n * MINUTE for n in range(11, 31)]


@pytest.mark.parametrize(
    ("misfire", "late", "expected"),
    [
        (Misfire.ONE, 10 * MINUTE, [10]),
        (Misfire.ALL, 10 * MINUTE, [*range(1, 11)]),
        (Misfire.ALL, 500 * MINUTE, [*range(401, 501)]),
        (Misfire.SKIP, 10 * MINUTE, [10]),
        (Misfire.ONE, 0, [0]),
    ],
)
def test_ticks_that_were_missed(misfire, late, expected):
    schedule = declared(define(misfire=misfire), NOON - MINUTE)
    if late:
        schedule = declared(define(misfire=misfire))
    after, fired = fire(schedule, NOON + late)
    assert fired == [NOON + n * MINUTE for n in expected]
    assert after.next_at == NOON + late + MINUTE


def test_a_missed_day_is_made_up_for_unless_it_is_to_be_skipped():
    for misfire, expected in ((Misfire.ONE, [NOON]), (Misfire.ALL, [NOON]), (Misfire.SKIP, [])):
        schedule = declared(define("0 12 * * *", misfire=misfire), NOON - 1)
        after, fired = fire(schedule, NOON + 3600 * SECOND)
        assert fired == expected
        assert after.next_at == NOON + DAY
    assert read(after).runs[0].why is Why.LATE
    schedule = declared(define("0 12 * * *", misfire=Misfire.SKIP), NOON - 1)
    assert fire(schedule, NOON + 59 * SECOND)[1] == [NOON]


def test_no_tick_while_a_job_is_unfinished():
    schedule = declared(define(overlap=Overlap.SKIP))
    schedule, fired = fire(schedule, NOON + MINUTE)
    assert len(fired) == 1
    [first] = ticks.asks(read(schedule))
    for n in range(2, 40):  # longer than the history
        assert first in ticks.asks(read(schedule))
        schedule, fired = fire(schedule, NOON + n * MINUTE, {first})
        assert fired == []
        assert read(schedule).runs[-1].why is Why.BUSY
    schedule, fired = fire(schedule, NOON + 40 * MINUTE)
    assert fired == [NOON + 40 * MINUTE]


def test_of_several_missed_ticks_that_may_not_overlap_one_is_made_up_for():
    schedule = declared(define(overlap=Overlap.SKIP, misfire=Misfire.ALL))
    schedule, fired = fire(schedule, NOON + 5 * MINUTE)
    assert fired == [NOON + MINUTE]


def test_who_allows_overlap_asks_nothing():
    schedule, _ = fire(declared(define()), NOON + MINUTE)
    assert ticks.asks(read(schedule)) == ()


def test_jitter_delays_the_job_and_not_the_tick():
    schedule = declared(define(jitter=10 * SECOND))
    assert schedule.next_at == NOON + MINUTE
    after, [run_at] = fire(schedule, NOON + MINUTE)
    assert run_at == NOON + MINUTE + ticks.spread("s", NOON + MINUTE, 10 * SECOND)
    assert read(after).runs[0].tick == NOON + MINUTE


def test_start_and_end_count_themselves():
    definition = define(start=NOON + 5 * MINUTE, end=NOON + 6 * MINUTE)
    schedule = declared(definition)
    assert schedule.next_at == NOON + 5 * MINUTE
    assert ticks.upcoming(definition, NOON, 9) == [NOON + 5 * MINUTE, NOON + 6 * MINUTE]
    schedule, fired = fire(schedule, NOON + 10 * MINUTE)
    assert fired == [NOON + 6 * MINUTE]
    assert schedule.next_at is None


# --- the clock ------------------------------------------------------------------------------------------------------


def test_the_clock_may_step_back():
    schedule, _ = fire(declared(define()), NOON + 10 * MINUTE)
    definition = define(jitter=SECOND)
    put = ticks.declare("s", schedule, definition, NOON)  # ten minutes before what was decided
    assert put is not None
    assert put.schedule.next_at == NOON + 11 * MINUTE


def test_a_clock_that_was_years_ahead_is_not_believed_for_ever():
    schedule, _ = fire(declared(define()), NOON + 1000 * DAY)
    put = ticks.declare("s", schedule, define(jitter=SECOND), NOON)
    assert put is not None
    assert put.schedule.next_at == NOON + MINUTE


# --- declarations and people ----------------------------------------------------------------------------------------


def test_the_same_declaration_is_nothing_new():
    schedule = declared(define(origin="code:a"))
    assert ticks.declare("s", schedule, define(origin="code:a"), NOON) is None


def test_a_changed_declaration_keeps_history_and_pause():
    schedule, _ = fire(declared(define()), NOON + MINUTE)
    paused = ticks.pause(schedule)
    assert paused is not None
    assert paused.schedule.next_at is None
    assert ticks.pause(made(paused)) is None
    put = ticks.declare("s", made(paused), define("0 * * * *"), NOON + 2 * MINUTE)
    assert put is not None
    assert put.schedule.next_at is None
    document = read(put.schedule)
    assert document.paused
    assert len(document.runs) == 1
    resumed = ticks.resume(made(put), NOON + 2 * MINUTE)
    assert resumed is not None
    assert resumed.schedule.next_at == NOON + 60 * MINUTE
    assert ticks.resume(made(resumed), NOON) is None


def test_a_pause_is_not_made_up_for():
    paused = ticks.pause(declared(define(misfire=Misfire.ALL)))
    assert paused is not None
    resumed = ticks.resume(made(paused), NOON + 30 * DAY)
    assert resumed is not None
    assert resumed.schedule.next_at == NOON + 30 * DAY + MINUTE
    assert resumed.jobs == ()


def test_what_is_declared_no_more_is_retired_and_can_come_back():
    schedule = declared(define(origin="code:a"))
    assert ticks.to_retire([schedule], {"s"}, {"code:a"}) == []
    assert ticks.to_retire([schedule], {}, {"code:b"}) == []
    [put] = ticks.to_retire([schedule], {}, {"code:a"})
    assert put.schedule.next_at is None
    assert ticks.to_retire([made(put)], {}, {"code:a"}) == []
    back = ticks.declare("s", made(put), define(origin="code:a"), NOON + DAY)
    assert back is not None
    assert back.schedule.next_at == NOON + DAY + MINUTE


def test_nothing_retires_what_was_made_by_hand():
    schedule = declared(define())
    assert ticks.to_retire([schedule], {}, {"code:a", "file:a"}) == []
    assert ticks.may_take(schedule, {"code:a"})
    assert not ticks.may_take(declared(define(origin="code:b")), {"code:a"})
    assert not ticks.may_take(replace(schedule, document="{"), {"code:a"})


def test_to_run_now_moves_no_tick():
    schedule = declared(define())
    put = ticks.run_now(schedule, NOON + 7, "id")
    assert [(job.id, job.run_at, job.schedule) for job in put.jobs] == [("id", NOON + 7, "s")]
    assert put.schedule.next_at == schedule.next_at
    assert read(put.schedule).runs[0].why is Why.ASKED


def test_starts_within_a_minute_are_one():
    schedule = declared(define(run_on_start=True))
    put = ticks.begin(schedule, NOON, "id")
    assert put is not None
    assert len(put.jobs) == 1
    assert ticks.begin(made(put), NOON + 59 * SECOND, "id2") is None
    assert ticks.begin(made(put), NOON + 61 * SECOND, "id2") is not None
    assert ticks.begin(declared(define()), NOON, "id") is None


def test_a_document_of_another_version_is_no_crash():
    with pytest.raises(ValueError, match="cannot be read"):
        read(Schedule("s", '{"definition": 5}'))
    schedule = declared(define())
    newer = replace(schedule, document=schedule.document[:-1] + ',"unheard_of":1}')
    assert read(newer) == read(schedule)
    unknown = replace(schedule, document=schedule.document.replace("* * * * *", "once in a blue moon"))
    with pytest.raises(ValueError, match="not understood"):
        ticks.tick(unknown, read(unknown), NOON + MINUTE, ())
