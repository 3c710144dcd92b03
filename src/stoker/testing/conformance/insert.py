"""What `Store.insert` promises."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import FINAL, LIVE, Inserted, Job, State
from stoker.testing.conformance.rig import DAY, HOUR, MINUTE, START, Rig, ids


def test_a_due_job_is_queued_and_the_answer_says_so(rig: Rig) -> None:
    job = rig.new()
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=True)]
    assert rig.state(job.id) is State.QUEUED


def test_nothing_in_nothing_out(rig: Rig) -> None:
    assert rig.run(rig.store.insert([])) == []
    assert rig.records() == []


def test_nothing_happens_before_the_plan_runs(rig: Rig) -> None:
    rig.store.insert([rig.new()])
    assert rig.records() == []


def test_one_answer_a_job_in_order(rig: Rig) -> None:
    jobs = [rig.new() for _ in range(5)]
    shuffled = [jobs[i] for i in (3, 0, 4, 1, 2)]
    assert rig.run(rig.store.insert(shuffled)) == [Inserted(job.id, created=True) for job in shuffled]


def test_the_record_says_what_was_asked_for(rig: Rig) -> None:
    parent = rig.enqueue(delay=HOUR)
    id = rig.enqueue(
        task="mail.send",
        payload='[["to",1,{"a":null}],{"deep":[1.5,true]}]',
        queue="mail",
        priority=-7,
        run_at=START + HOUR,
        max_attempts=4,
        max_crashes=5,
        keep_for=90 * MINUTE,
        owner="u42",
        key="mail/u42",
        tags=("a", "b"),
        overrides='{"timeout":5}',
        meta='{"trace":"x"}',
        parents=(parent,),
        workflow="flow",
        schedule="nightly",
    )
    assert rig.read(id) == Job(
        id=id,
        task="mail.send",
        queue="mail",
        args=["to", 1, {"a": None}],
        kwargs={"deep": [1.5, True]},
        state=State.WAITING,
        priority=-7,
        owner="u42",
        key="mail/u42",
        tags=("a", "b"),
        attempt=0,
        max_attempts=4,
        crashes=0,
        max_crashes=5,
        progress=None,
        message=None,
        result=None,
        error=None,
        errors=(),
        checkpoint=None,
        meta={"trace": "x"},
        overrides={"timeout": 5},
        parents=(parent,),
        workflow="flow",
        schedule="nightly",
        worker=None,
        created_at=to_datetime(START),
        run_at=to_datetime(START + HOUR),
        started_at=None,
        finished_at=None,
        updated_at=to_datetime(START),
        keep_for=90 * 60.0,
        fence=0,
        cancel_requested=False,
        open_parents=(parent,),
    )


def test_a_record_without_options_has_the_defaults(rig: Rig) -> None:
    job = rig.read(rig.enqueue())
    assert (job.queue, job.priority, job.max_attempts, job.max_crashes) == ("default", 0, 1, 3)
    assert (job.owner, job.key, job.meta, job.overrides, job.workflow, job.schedule) == (None,) * 6
    assert job.tags == job.parents == ()
    assert job.run_at == job.created_at == to_datetime(START)


@pytest.mark.parametrize(
    ("when", "state", "due"),
    [
        ({}, State.QUEUED, START),
        ({"delay": 1}, State.SCHEDULED, START + 1),
        ({"delay": DAY}, State.SCHEDULED, START + DAY),
        ({"run_at": START + 1}, State.SCHEDULED, START + 1),
        ({"run_at": START}, State.QUEUED, START),
        ({"run_at": START - DAY}, State.QUEUED, START - DAY),
        ({"run_at": START - DAY, "delay": DAY}, State.QUEUED, START - DAY),
        ({"run_at": START + DAY, "delay": SECOND}, State.SCHEDULED, START + DAY),
    ],
    ids=str,
)
def test_a_job_is_scheduled_while_it_is_not_due(rig: Rig, when: dict[str, int], state: State, due: int) -> None:
    job = rig.read(rig.enqueue(**when))
    assert (job.state, job.run_at) == (state, to_datetime(due))


@pytest.mark.parametrize("delay", [0, HOUR])
def test_a_job_is_waiting_while_a_parent_is_unfinished(rig: Rig, delay: int) -> None:
    parent = rig.enqueue()
    assert rig.state(rig.enqueue(parents=(parent,), delay=delay)) is State.WAITING


def test_a_waiting_job_is_not_claimed(rig: Rig) -> None:
    rig.make(State.WAITING)
    rig.hire()
    assert rig.claim() == []


# --- the same again -------------------------------------------------------------------------------------------------


def test_the_same_id_again_changes_nothing(rig: Rig) -> None:
    job = rig.new(key="k")
    rig.run(rig.store.insert([job]))
    before = rig.records()
    rig.advance(HOUR)
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=False)]
    assert rig.records() == before


@pytest.mark.parametrize("state", State)
def test_an_id_is_known_in_every_state(rig: Rig, state: State) -> None:
    id = rig.make(state)
    before = rig.records()
    assert rig.run(rig.store.insert([rig.new(id=id, task="other")])) == [Inserted(id, created=False)]
    assert rig.records() == before


def test_a_batch_can_be_repeated_after_a_lost_reply(rig: Rig) -> None:
    jobs = [rig.new(key=f"k{i}" if i % 2 else None) for i in range(20)]
    first = rig.run(rig.store.insert(jobs))
    assert first == [Inserted(job.id, created=True) for job in jobs]
    before = rig.records()
    assert rig.run(rig.store.insert(jobs)) == [Inserted(job.id, created=False) for job in jobs]
    assert rig.records() == before


def test_known_and_new_jobs_in_any_mixture_are_told_apart(rig: Rig) -> None:
    known = [rig.new() for _ in range(5)]
    rig.run(rig.store.insert(known))
    for step in (1, 2, 3):  # the answers must not rest on how the store numbers what it skipped
        fresh = [rig.new() for _ in range(5 * step)]
        mixture = [*fresh[:1], known[0], *fresh[1:step], known[1], known[2], *fresh[step:], known[3], known[4]]
        expected = [Inserted(job.id, created=job in fresh) for job in mixture]
        assert rig.run(rig.store.insert(mixture)) == expected
        assert len(rig.records()) == 5 + sum(5 * s for s in range(1, step + 1))


def test_one_id_twice_in_a_call_is_one_job(rig: Rig) -> None:
    job, other = rig.new(), rig.new()
    answers = rig.run(rig.store.insert([job, other, job]))
    assert answers == [Inserted(job.id, True), Inserted(other.id, True), Inserted(job.id, False)]
    assert len(rig.records()) == 2


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(LIVE))
def test_an_unfinished_job_holds_its_key(rig: Rig, state: State) -> None:
    holder = rig.make(state, key="k")
    before = rig.records()
    assert rig.run(rig.store.insert([rig.new(key="k")])) == [Inserted(holder, created=False)]
    assert rig.records() == before


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_job_holds_no_key(rig: Rig, state: State) -> None:
    rig.make(state, key="k")
    job = rig.new(key="k")
    assert rig.run(rig.store.insert([job])) == [Inserted(job.id, created=True)]


def test_of_many_jobs_with_one_key_in_a_call_the_first_exists(rig: Rig) -> None:
    jobs = [rig.new(key="k") for _ in range(20)]
    answers = rig.run(rig.store.insert(jobs))
    assert answers == [Inserted(jobs[0].id, created=index == 0) for index in range(20)]
    assert rig.find() == [jobs[0].id]


def test_of_many_calls_with_one_key_at_once_one_job_exists(rig: Rig) -> None:
    answers = rig.run_together([rig.store.insert([rig.new(key="k")]) for _ in range(20)])
    assert sum(answer.created for (answer,) in answers) == 1
    assert {answer.id for (answer,) in answers} == set(rig.find())


def test_a_taken_key_does_not_keep_the_others_of_the_call_out(rig: Rig) -> None:
    holder = rig.enqueue(key="k")
    jobs = [rig.new(), rig.new(key="k"), rig.new(key="other"), rig.new(key="k"), rig.new()]
    answers = rig.run(rig.store.insert(jobs))
    assert [answer.created for answer in answers] == [True, False, True, False, True]
    assert [answer.id for answer in answers] == [jobs[0].id, holder, jobs[2].id, holder, jobs[4].id]


def test_jobs_without_a_key_and_with_other_keys_do_not_meet(rig: Rig) -> None:
    jobs = [rig.new(key=key) for key in (None, None, "", "k", "K", "k ", " k", "k%", "_")]
    assert all(answer.created for answer in rig.run(rig.store.insert(jobs)))


def test_keys_do_not_care_for_task_queue_or_owner(rig: Rig) -> None:
    holder = rig.enqueue(key="k", task="a", queue="a", owner="a")
    (answer,) = rig.run(rig.store.insert([rig.new(key="k", task="b", queue="b", owner="b")]))
    assert answer == Inserted(holder, created=False)


def test_a_known_id_comes_before_a_taken_key(rig: Rig) -> None:
    rig.enqueue(key="k")
    known = rig.enqueue()
    assert rig.run(rig.store.insert([rig.new(id=known, key="k")])) == [Inserted(known, created=False)]


# --- size -----------------------------------------------------------------------------------------------------------


def test_ten_thousand_jobs_at_once_keep_their_order(rig: Rig) -> None:
    made = rig.enqueue_many(10_000)
    assert rig.run(rig.store.count()) == {"queued": 10_000}
    rig.hire()
    assert ids(rig.claim(limit=10_000)) == made


def test_calls_at_once_do_not_mix_up_their_answers(rig: Rig) -> None:
    batches = [[rig.new() for _ in range(10)] for _ in range(20)]
    for batch, answers in zip(batches, rig.run_together([rig.store.insert(b) for b in batches]), strict=True):
        assert answers == [Inserted(job.id, created=True) for job in batch]
    assert len(rig.records()) == 200
