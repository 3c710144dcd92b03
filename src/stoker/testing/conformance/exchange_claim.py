"""What `Store.exchange` promises of claims."""

from __future__ import annotations

import pytest

from stoker.clock import SECOND, to_datetime
from stoker.job import Claim, State, Verdict
from stoker.store import Exchanged, Routing, Want
from stoker.testing.conformance.rig import DAY, HOUR, LEASE, MINUTE, START, Rig, completed, ids, verdict


def test_a_claim_says_all_that_a_worker_needs(rig: Rig) -> None:
    id = rig.enqueue(payload='[["ü"],{}]', queue="mail", max_attempts=4, owner="u42", overrides='{"timeout":5}')
    rig.hire()
    (claim,) = rig.claim()
    assert claim == Claim(
        ref=claim.ref,
        fence=1,
        id=id,
        task="task",
        queue="mail",
        payload='[["ü"],{}]',
        attempt=1,
        crashes=0,
        max_attempts=4,
        owner="u42",
        checkpoint=None,
        overrides='{"timeout":5}',
    )


def test_a_claimed_job_is_processing(rig: Rig) -> None:
    id = rig.enqueue()
    rig.hire("w1")
    rig.advance(SECOND)
    rig.claim("w1")
    job = rig.read(id)
    assert (job.state, job.worker, job.attempt, job.fence) == (State.PROCESSING, "w1", 1, 1)
    assert job.started_at == job.updated_at == to_datetime(START + SECOND)
    assert job.finished_at is None


def test_a_claimed_job_is_claimed_once(rig: Rig) -> None:
    made = rig.enqueue_many(10)
    rig.hire("w1")
    rig.hire("w2")
    assert ids(rig.claim("w1")) == made
    assert rig.claim("w1") == rig.claim("w2") == []


def test_workers_that_claim_at_once_share_no_job(rig: Rig) -> None:
    made = rig.enqueue_many(100)
    workers = [rig.hire(f"w{i}") for i in range(10)]
    want, routing = [Want(None, 7)], Routing(tasks=frozenset({"task"}))
    answers = rig.run_together([rig.store.exchange(w, (), want, routing, 7) for w in workers])
    claimed = [claim.id for answer in answers for claim in answer.claims]
    assert sorted(claimed) == made[:70]


def test_every_claim_has_its_own_ref_and_fence(rig: Rig) -> None:
    rig.enqueue_many(3)
    rig.hire()
    seen: set[tuple[int, int]] = set()
    fences: dict[str, int] = {}
    for _ in range(4):
        claims = rig.claim()
        for claim in claims:
            assert (claim.ref, claim.fence) not in seen
            assert claim.fence > fences.get(claim.id, 0)
            seen.add((claim.ref, claim.fence))
            fences[claim.id] = claim.fence
        assert rig.settle(*(verdict(claim, Verdict.RELEASED) for claim in claims)) == []
    assert len(seen) == 12


# --- how many -------------------------------------------------------------------------------------------------------


def test_no_more_are_claimed_than_the_limit_in_all(rig: Rig) -> None:
    made = rig.enqueue_many(10)
    rig.hire()
    assert ids(rig.claim(limit=3, wants=[Want(None, 10)])) == made[:3]
    assert ids(rig.claim(limit=3, wants=[Want("default", 2), Want(None, 10)])) == made[3:6]


def test_no_more_are_claimed_than_the_want_has_room_for(rig: Rig) -> None:
    made = rig.enqueue_many(10)
    rig.hire()
    assert ids(rig.claim(wants=[Want("default", 2)])) == made[:2]
    assert ids(rig.claim(wants=[Want(None, 3)])) == made[2:5]


@pytest.mark.parametrize(
    "how",
    [
        {"limit": 0, "wants": [Want(None, 5)]},
        {"wants": [Want(None, 0)]},
        {"wants": [Want("default", 0)]},
        {"wants": []},
        {"wants": [Want("elsewhere", 5)]},
        {"tasks": set()},
    ],
    ids=str,
)
def test_no_room_no_claim(rig: Rig, how: dict[str, object]) -> None:
    rig.enqueue_many(3)
    rig.hire()
    assert rig.claim(**({"limit": 10} | how)) == []  # type: ignore[arg-type]


def test_an_exchange_of_nothing_says_how_things_stand(rig: Rig) -> None:
    rig.hire()
    assert rig.exchange("worker", wants=[]) == Exchanged([], [], None, True)


def test_an_exchange_repeated_after_a_lost_reply_claims_no_job_twice(rig: Rig) -> None:
    made = rig.enqueue_many(4)
    rig.hire()
    first = rig.claim(limit=2)
    second = rig.claim(limit=2)  # the reply to the first was lost: its jobs wait for the recovery
    assert ids(first) + ids(second) == made


# --- which first ----------------------------------------------------------------------------------------------------


def test_jobs_are_claimed_in_the_order_of_insertion(rig: Rig) -> None:
    made = rig.enqueue_many(5) + [rig.enqueue() for _ in range(5)]
    rig.hire()
    assert [ids(rig.claim(limit=2)) for _ in range(5)] == [made[i : i + 2] for i in range(0, 10, 2)]


def test_it_is_the_order_of_insertion_and_not_of_ids(rig: Rig) -> None:
    made = [rig.new_id() for _ in range(4)]
    for id in reversed(made):
        rig.enqueue(id=id)
    rig.hire()
    assert ids(rig.claim()) == made[::-1]


def test_a_higher_priority_comes_first(rig: Rig) -> None:
    made = {priority: rig.enqueue(priority=priority) for priority in (0, -100, 5, 100, -1)}
    rig.hire()
    assert ids(rig.claim()) == [made[p] for p in (100, 5, 0, -1, -100)]


def test_a_job_due_earlier_comes_before_one_inserted_earlier(rig: Rig) -> None:
    late = rig.enqueue(run_at=START - SECOND)
    early = rig.enqueue(run_at=START - HOUR)
    rig.hire()
    assert ids(rig.claim()) == [early, late]


def test_priority_counts_more_than_time_and_time_more_than_insertion(rig: Rig) -> None:
    a = rig.enqueue(priority=1, run_at=START - 1)
    b = rig.enqueue(priority=0, run_at=START - 3)
    c = rig.enqueue(priority=1, run_at=START - 2)
    d = rig.enqueue(priority=1, run_at=START - 2)
    e = rig.enqueue(priority=0, run_at=START - 3)
    rig.hire()
    assert ids(rig.claim()) == [c, d, a, b, e]


# --- which tasks and tags -------------------------------------------------------------------------------------------


def test_jobs_of_unknown_tasks_wait(rig: Rig) -> None:
    known, unknown = rig.enqueue(task="known"), rig.enqueue(task="unknown")
    rig.hire()
    assert ids(rig.claim(tasks={"known", "never seen"})) == [known]
    job = rig.read(unknown)
    assert (job.state, job.attempt, job.crashes, job.errors, job.fence) == (State.QUEUED, 0, 0, (), 0)
    assert ids(rig.claim(tasks={"unknown"})) == [unknown]


def test_many_jobs_of_unknown_tasks_do_not_hide_the_known_ones(rig: Rig) -> None:
    rig.enqueue_many(500, task="unknown", priority=10)
    known = rig.enqueue_many(3, task="known")
    rig.enqueue_many(500, task="unknown")
    rig.hire()
    assert ids(rig.claim(limit=2, tasks={"known"})) == known[:2]
    assert ids(rig.claim(limit=2, tasks={"known"})) == known[2:]


def test_task_names_match_exactly(rig: Rig) -> None:
    for name in ("Task", "task ", "tas", "task.b", "%", "t_sk", ""):
        rig.enqueue(task=name)
    rig.hire()
    assert rig.claim(tasks={"task"}) == []


TAGGED = {"none": (), "a": ("a",), "b": ("b",), "ab": ("a", "b")}


@pytest.mark.parametrize(
    ("tags", "untagged", "expected"),
    [
        (None, False, "none a b ab"),
        (None, True, "none a b ab"),
        (("a",), False, "a ab"),
        (("a",), True, "none a ab"),
        (("a", "b"), False, "a b ab"),
        (("c",), False, ""),
        (("c",), True, "none"),
        ((), False, ""),
        ((), True, "none"),
        (("A", "a "), False, ""),
    ],
    ids=str,
)
def test_tags_route(rig: Rig, tags: tuple[str, ...] | None, untagged: bool, expected: str) -> None:
    made = {rig.enqueue(tags=tags): name for name, tags in TAGGED.items()}
    rig.hire()
    assert [made[id] for id in ids(rig.claim(tags=tags, untagged=untagged))] == expected.split()


def test_jobs_with_other_tags_do_not_hide_those_that_match(rig: Rig) -> None:
    rig.enqueue_many(200, tags=("gpu",))
    made = rig.enqueue_many(2, tags=("cpu",))
    rig.hire()
    assert ids(rig.claim(limit=2, tags={"cpu"})) == made


@pytest.mark.parametrize("untagged", [False, True])
def test_a_job_must_pass_by_its_task_and_by_its_tags(rig: Rig, untagged: bool) -> None:
    rig.enqueue(task="unknown", tags=("a",), priority=1)
    rig.enqueue(task="unknown", priority=1)
    known = rig.enqueue(tags=("a",))
    rig.enqueue(tags=("b",))
    rig.hire()
    assert ids(rig.claim(tags={"a"}, untagged=untagged)) == [known]


def test_routings_do_not_leak_from_one_exchange_to_the_next(rig: Rig) -> None:
    a, b, plain = rig.enqueue(tags=("a",)), rig.enqueue(tags=("b",)), rig.enqueue()
    other = rig.enqueue(task="other")
    rig.hire()
    assert ids(rig.claim(limit=1, tags={"b"})) == [b]
    assert ids(rig.claim(limit=1, tasks={"other"})) == [other]
    assert ids(rig.claim(tags={"b"}, untagged=True)) == [plain]
    assert ids(rig.claim()) == [a]


# --- which queues ---------------------------------------------------------------------------------------------------


def test_a_want_for_a_queue_takes_from_that_queue(rig: Rig) -> None:
    rig.enqueue(queue="a", priority=10)
    b = rig.enqueue(queue="b")
    rig.hire()
    assert ids(rig.claim(queue="b")) == [b]


def test_wants_are_served_in_the_order_given(rig: Rig) -> None:
    a, b, c = (rig.enqueue_many(3, queue=name) for name in "abc")
    rig.hire()
    wants = [Want("b", 2), Want("c", 1), Want("a", 5)]
    assert ids(rig.claim(limit=5, wants=wants)) == [*b[:2], c[0], *a[:2]]


def test_two_wants_for_one_queue_add_up(rig: Rig) -> None:
    made = rig.enqueue_many(5)
    rig.hire()
    wants = [Want("default", 2), Want("default", 2), Want(None, 1)]
    assert ids(rig.claim(wants=wants)) == made


def test_a_want_for_all_queues_shares_its_room_evenly(rig: Rig) -> None:
    a, b, c = (rig.enqueue_many(10, queue=name) for name in "abc")
    rig.hire()
    assert ids(rig.claim(limit=6)) == [*a[:2], *b[:2], *c[:2]]


def test_uneven_room_goes_to_those_whose_turn_is_first(rig: Rig) -> None:
    a, b, c = (rig.enqueue_many(10, queue=name) for name in "abc")
    rig.hire()
    assert ids(rig.claim(limit=5, turn=1)) == [*b[:2], *c[:2], *a[:1]]


def test_turns_go_round_by_name(rig: Rig) -> None:
    c, a, b = (rig.enqueue_many(4, queue=name) for name in "cab")
    rig.hire()
    claimed = [ids(rig.claim(limit=1, turn=turn)) for turn in (0, 1, 2, 3, 7, 3_000_002)]
    assert claimed == [[a[0]], [b[0]], [c[0]], [a[1]], [b[1]], [c[1]]]


def test_room_that_one_queue_leaves_goes_to_the_others(rig: Rig) -> None:
    (a,), b, (c,) = rig.enqueue_many(1, queue="a"), rig.enqueue_many(10, queue="b"), rig.enqueue_many(1, queue="c")
    rig.hire()
    assert ids(rig.claim(limit=6)) == [a, *b[:3], c, b[3]]


def test_a_queue_with_nothing_for_this_worker_leaves_its_room(rig: Rig) -> None:
    rig.enqueue_many(10, queue="a", task="unknown")
    b = rig.enqueue_many(10, queue="b")
    rig.hire()
    assert ids(rig.claim(limit=6)) == b[:6]


def test_turns_count_only_queues_with_due_jobs(rig: Rig) -> None:
    rig.enqueue(queue="a", delay=HOUR)
    b, c = rig.enqueue(queue="b"), rig.enqueue(queue="c")
    rig.hire()
    assert ids(rig.claim(limit=1, turn=1)) == [c]
    assert ids(rig.claim(limit=1, turn=1)) == [b]


def test_turns_are_counted_over_the_queues_as_the_claims_begin(rig: Rig) -> None:
    (a,), b, c = rig.enqueue_many(1, queue="a"), rig.enqueue_many(4, queue="b"), rig.enqueue_many(4, queue="c")
    rig.hire()
    claimed = rig.claim(limit=3, turn=1, wants=[Want("a", 1), Want(None, 2)])  # of a, b, c the second is b
    assert ids(claimed) == [a, b[0], c[0]]


def test_no_queue_starves_while_turns_go_round(rig: Rig) -> None:
    rig.enqueue_many(300, queue="busy", priority=100)
    made = rig.enqueue_many(3, queue="quiet", priority=-100)
    rig.hire()
    claimed = [id for turn in range(6) for id in ids(rig.claim(limit=1, turn=turn))]
    assert [id for id in claimed if id in made] == made


def test_a_hundred_queues_are_served_alike(rig: Rig) -> None:
    for index in range(100):
        rig.enqueue_many(3, queue=f"q{index:03}")
    rig.hire()
    assert [claim.queue for claim in rig.claim(limit=100)] == [f"q{index:03}" for index in range(100)]


# --- paused queues --------------------------------------------------------------------------------------------------


def test_a_paused_queue_gives_nothing(rig: Rig) -> None:
    rig.enqueue(queue="mail")
    other = rig.enqueue(queue="other")
    rig.run(rig.store.pause("mail", True))
    rig.hire()
    assert rig.claim(queue="mail") == []
    assert ids(rig.claim()) == [other]


def test_a_paused_queue_has_no_turn(rig: Rig) -> None:
    rig.enqueue(queue="a")
    b, c = rig.enqueue(queue="b"), rig.enqueue(queue="c")
    rig.run(rig.store.pause("a", True))
    rig.hire()
    assert ids(rig.claim(limit=1, turn=1)) == [c]
    assert ids(rig.claim(limit=1, turn=0)) == [b]


def test_a_resumed_queue_gives_its_jobs_in_order(rig: Rig) -> None:
    made = rig.enqueue_many(3, queue="mail")
    rig.run(rig.store.pause("mail", True))
    made += rig.enqueue_many(2, queue="mail")
    rig.hire()
    assert rig.claim() == []
    rig.run(rig.store.pause("mail", False))
    assert ids(rig.claim()) == made


# --- which workers --------------------------------------------------------------------------------------------------


def test_a_worker_that_nobody_knows_claims_nothing(rig: Rig) -> None:
    rig.enqueue()
    answer = rig.exchange("stranger", limit=5)
    assert (answer.claims, answer.alive) == ([], False)


def test_a_worker_is_alive_until_its_lease_runs_out(rig: Rig) -> None:
    rig.enqueue_many(2)
    rig.hire(lease=LEASE)
    rig.advance(LEASE - 1)
    answer = rig.exchange(limit=1)
    assert (len(answer.claims), answer.alive) == (1, True)
    rig.advance(1)
    answer = rig.exchange(limit=1)
    assert (answer.claims, answer.alive) == ([], False)


def test_an_exchange_does_not_renew_the_lease(rig: Rig) -> None:
    rig.enqueue_many(2)
    rig.hire(lease=LEASE)
    rig.advance(LEASE - 1)
    rig.claim(limit=1)
    rig.advance(1)
    assert rig.claim(limit=1) == []


def test_a_retired_worker_claims_nothing(rig: Rig) -> None:
    rig.enqueue()
    rig.hire()
    rig.lose("worker")
    assert not rig.exchange(limit=1).alive


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_scheduled_job_is_claimed_once_it_is_due_and_not_before(rig: Rig) -> None:
    id = rig.enqueue(delay=10 * SECOND)
    rig.hire()
    rig.advance(10 * SECOND - 1)
    assert rig.claim() == []
    assert rig.state(id) is State.SCHEDULED
    rig.advance(1)
    assert ids(rig.claim()) == [id]


def test_a_job_that_became_due_is_queued_though_nobody_has_room(rig: Rig) -> None:
    id = rig.enqueue(delay=10 * SECOND)
    rig.hire()
    rig.advance(10 * SECOND)
    assert rig.claim(limit=0) == []
    assert rig.state(id) is State.QUEUED


def test_a_job_that_became_due_has_the_place_of_its_due_time(rig: Rig) -> None:
    later = rig.enqueue(delay=20 * SECOND)
    sooner = rig.enqueue(delay=10 * SECOND)
    rig.advance(15 * SECOND)
    between = rig.enqueue()
    important = rig.enqueue(delay=5 * SECOND, priority=1)
    rig.advance(15 * SECOND)
    last = rig.enqueue()
    rig.hire()
    assert ids(rig.claim()) == [important, sooner, between, later, last]


def test_due_in_tells_how_long_to_sleep(rig: Rig) -> None:
    rig.hire()
    assert rig.exchange().due_in is None
    rig.enqueue(delay=HOUR)
    rig.enqueue(delay=MINUTE, queue="elsewhere", task="unknown")
    assert rig.exchange().due_in == MINUTE
    rig.advance(SECOND)
    assert rig.exchange().due_in == MINUTE - SECOND
    rig.advance(MINUTE)
    assert rig.exchange().due_in == HOUR - MINUTE - SECOND


def test_due_in_forgets_jobs_that_are_no_longer_scheduled(rig: Rig) -> None:
    rig.hire()
    cancelled, deleted = rig.enqueue(delay=SECOND), rig.enqueue(delay=MINUTE)
    rig.cancel(cancelled)
    assert rig.exchange().due_in == MINUTE
    rig.delete(deleted)
    assert rig.exchange().due_in is None


def test_due_in_knows_of_a_retry_settled_in_the_same_exchange(rig: Rig) -> None:
    claim = rig.begin()
    answer = rig.exchange("worker", verdict(claim, Verdict.SNOOZED, delay=MINUTE), limit=5)
    assert (answer.claims, answer.due_in) == ([], MINUTE)


def test_due_in_is_told_to_the_dead_and_to_strangers(rig: Rig) -> None:
    rig.enqueue(delay=MINUTE)
    assert rig.exchange("stranger").due_in == MINUTE


def test_a_clock_that_steps_back_hides_no_queued_job(rig: Rig) -> None:
    id = rig.enqueue()
    rig.advance(-DAY)
    rig.hire()
    assert ids(rig.claim()) == [id]


# --- settle, then claim ---------------------------------------------------------------------------------------------


def test_what_is_settled_makes_room_for_what_is_claimed(rig: Rig) -> None:
    first = rig.begin()
    second = rig.enqueue()
    answer = rig.exchange("worker", completed(first), limit=1)
    assert (ids(answer.claims), answer.refused) == ([second], [])
    assert rig.states([first.id, second]) == [State.COMPLETED, State.PROCESSING]


def test_a_job_given_back_can_be_claimed_in_the_same_exchange(rig: Rig) -> None:
    first = rig.begin()
    (again,) = rig.exchange("worker", verdict(first, Verdict.RELEASED), limit=1).claims
    assert (again.id, again.ref, again.fence, again.attempt) == (first.id, first.ref, first.fence + 1, 1)
    assert rig.settle(completed(first)) == [first.ref]
    assert rig.settle(completed(again)) == []


def test_refused_outcomes_do_not_keep_anything_from_being_claimed(rig: Rig) -> None:
    first = rig.begin()
    rig.settle(completed(first))
    second = rig.enqueue()
    answer = rig.exchange("worker", completed(first), limit=1)
    assert (ids(answer.claims), answer.refused) == ([second], [first.ref])
