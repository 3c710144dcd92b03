"""Time, spans, and the ids that grow with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.clock import SECOND, IdSource, derived_id, instant_of, now, to_datetime, to_instant, to_span

START = 1_767_225_600 * SECOND


class Hands:
    """A clock that shows what it is told."""

    def __init__(self, *instants: int) -> None:
        self.instants = list(instants)

    def __call__(self) -> int:
        return self.instants.pop(0) if len(self.instants) > 1 else self.instants[0]


def grows(ids: list[str]) -> bool:
    return all(one < other for one, other in pairwise(ids))


# --- ids ------------------------------------------------------------------------------------------------------------


def test_an_id_is_a_uuid_of_version_7():
    source = IdSource()
    for id in [source(), *source.take(600)]:
        value = UUID(id)
        assert (value.version, value.variant, str(value)) == (7, RFC_4122, id)


@given(st.integers(0, 2**48 * 1000 - 1))
def test_an_id_says_when_it_was_made(instant):
    value = UUID(IdSource(lambda: instant)()).int
    assert value >> 80 == instant // 1000
    fraction = value >> 64 & 0xFFF
    assert fraction == instant % 1000 * 4096 // 1000 or instant < 1000  # the very first stamp of all is 1, not 0


def test_ids_grow_under_a_clock_that_stands_still():
    source = IdSource(lambda: START)
    ids = source.take(10_000)
    assert grows(ids)
    assert len(set(ids)) == 10_000
    assert all(UUID(id).version == 7 for id in ids)


def test_ids_grow_under_a_clock_that_steps_back():
    source = IdSource(Hands(START, START - 3600 * SECOND, START - 1, START + 1, 0, START + 2))
    assert grows(source.take(20))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_ids_grow_under_any_clock(instants):
    assert grows(IdSource(Hands(*instants)).take(len(instants)))


def test_ids_of_later_instants_sort_after():
    instants = [START + step for step in (0, 1, 2, 999, 1000, 1001, SECOND, 3600 * SECOND)]
    assert grows([IdSource(lambda at=at: at)() for at in instants])


def test_two_sources_of_one_instant_do_not_give_the_same():
    ids = {id for _ in range(50) for id in IdSource(lambda: START).take(50)}
    assert len(ids) == 2500


def test_take_gives_as_many_as_asked_for():
    source = IdSource()
    assert source.take(0) == []
    assert [len(source.take(n)) for n in (1, 2, 256, 257)] == [1, 2, 256, 257]
    assert grows([*source.take(3), source(), *source.take(3)])


def test_threads_share_a_source():
    source = IdSource(lambda: START)
    ready = threading.Barrier(4)
    taken: list[list[str]] = []

    def work() -> None:
        ready.wait()
        taken.append([source() for _ in range(500)] + source.take(500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(grows(ids) for ids in taken)
    assert len({id for ids in taken for id in ids}) == 4000


FORKING = """
import os, sys
from stoker.clock import IdSource

source = IdSource(lambda: 1_767_225_600_000_000)  # stands still, so that only the noise can differ
source.take(3)
mine, theirs = os.pipe(), os.pipe()
children = []
for read, write in (mine, theirs):
    pid = os.fork()
    if pid == 0:
        os.write(write, "\\n".join(source.take(20)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    children.append(os.read(read, 10_000).decode().split("\\n"))
print("\\n".join([*source.take(20), *children[0], *children[1]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_forked_child_does_not_repeat_its_parents_ids():
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, timeout=60)
    ids = done.stdout.split()
    assert len(ids) == len(set(ids)) == 60


FORKING_WHILE_TAKING = """
import os, threading, warnings
from stoker.clock import IdSource

warnings.simplefilter("ignore", DeprecationWarning)  # forking beside a thread is what is tried here
inside, leave = threading.Event(), threading.Event()

def clock():
    if threading.current_thread() is not threading.main_thread():
        inside.set()
        leave.wait()
    return 1_767_225_600_000_000

source = IdSource(clock)
thread = threading.Thread(target=source)
thread.start()
inside.wait()
pid = os.fork()  # the thread holds the source's lock, and does not exist in the child
if pid == 0:
    source()
    os._exit(7)
leave.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_child_forked_while_another_thread_takes_an_id_is_not_stuck():
    script = [sys.executable, "-c", FORKING_WHILE_TAKING]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "7"


# --- instants and spans ---------------------------------------------------------------------------------------------


@given(st.integers(0, 4 * 10**15))
def test_an_instant_survives_the_trip_through_a_datetime(instant):
    moment = to_datetime(instant)
    assert moment.tzinfo is UTC
    assert to_instant(moment) == instant


def test_instants_are_microseconds_since_1970_in_utc():
    assert to_datetime(START) == datetime(2026, 1, 1, tzinfo=UTC)
    assert to_instant(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == START
    assert to_instant(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1


def test_now_is_the_wall_clock():
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert before < to_datetime(now()) < before + timedelta(hours=1)


@given(st.integers(0, 10**14))
def test_a_span_survives_the_trip_through_seconds(span):
    assert to_span(span / SECOND) == span


def test_a_span_is_rounded_to_whole_microseconds():
    assert [to_span(s) for s in (0, 1, 0.1, 1e-6, 4e-7, 6e-7, 2.5)] == [0, SECOND, 100_000, 1, 0, 1, 2_500_000]


def test_a_derived_id_is_always_the_same_and_carries_its_instant():
    made = derived_id(1_767_225_600_123_456, "nightly", "7")
    assert made == derived_id(1_767_225_600_123_999, "nightly", "7")
    assert made != derived_id(1_767_225_600_123_456, "nightly7")
    assert UUID(made).version == 7
    assert instant_of(made) == 1_767_225_600_123_000
    assert instant_of(IdSource(lambda: 1_767_225_600_123_456)()) == 1_767_225_600_123_000
