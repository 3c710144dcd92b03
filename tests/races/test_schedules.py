"""Many schedulers and one schedule: every tick makes one job, and one of them makes it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from faults.support import World, both_settings
from races.racing import RACERS

SCHEDULERS = 50
TICKS = 20


@both_settings
def test_fifty_schedulers_fire_each_of_twenty_ticks_once(world: World):
    code = f"""
from faults.jobs import quick
from datetime import UTC, datetime, timedelta
import threading
from stoker.events import SchedulerStarted
from stoker.scheduler import Scheduler

def write(self, store, driver, puts):
    written = driver.run(store.schedules.put(list(puts)))
    for put, ours in zip(puts, written):
        for job in put.jobs if ours else ():
            say([os.getpid(), job.id, job.run_at])
    return all(written)

Scheduler._write = write

def scheduler(start, states):
    wait_for("go")
    end = start + timedelta(seconds=0.25 * {TICKS} - 0.01)
    with Stoker() as app:
        app.schedules.every(0.25, quick, name="pulse", start=start, end=end, misfire="all")
        up = threading.Event()
        app.subscribe(lambda event: up.set() if isinstance(event, SchedulerStarted) else None)
        ticking = app.scheduler()
        ticking.start()
        assert up.wait(60)
        while app.schedules.get("pulse").state not in states:
            time.sleep(0.5)
        ticking.stop()
        assert ticking.error is None, ticking.error
"""
    # Taken up before it starts, however slowly this process itself does. The start is a tick.
    first = """
start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=9)
scheduler(start, ["active"])
say(start.isoformat())
"""
    start = json.loads(world.run(f"{RACERS}{code}open('go', 'w').close(){first}"))
    code += f"race(lambda _: scheduler(datetime.fromisoformat({start!r}), ['ended']), {SCHEDULERS})"
    made = [json.loads(line) for line in world.run(RACERS + code).splitlines()]
    jobs = world.jobs()
    assert len(jobs) == TICKS
    assert Counter(id for _, id, _ in made) == dict.fromkeys(jobs, 1)  # one of them wrote it, and knows
    ticks = sorted(job.run_at for job in jobs.values())
    assert all(later - earlier == timedelta(seconds=0.25) for earlier, later in pairwise(ticks))
    assert [run.tick for run in world.app.schedules.get("pulse").runs] == ticks


@both_settings
def test_a_tick_and_a_pause_at_once_are_one_after_the_other(world: World):
    """Pauses, resumptions, changes and runs by hand, while schedulers tick: nothing is overwritten."""
    code = """
from faults.jobs import quick
def busy(n):
    wait_for("go")
    with Stoker() as app:
        app.schedules.add("every 0.1 seconds", quick, name="pulse")
        ticking = app.scheduler()
        ticking.start()
        for k in range(8):
            app.schedules.pause("pulse")
            say(app.schedules.run_now("pulse").id)
            app.schedules.resume("pulse")
        ticking.stop()
        assert ticking.error is None, ticking.error
race(busy, 6)
"""
    by_hand = [json.loads(line) for line in world.run(RACERS + code).splitlines()]
    jobs = world.jobs()
    assert set(by_hand) <= set(jobs)
    record = world.app.schedules.get("pulse")
    assert record.state == "active"
    ticked = [job.run_at for id, job in jobs.items() if id not in by_hand]
    assert len(ticked) == len(set(ticked))
    assert {run.job for run in record.runs} <= set(jobs)


@pytest.mark.parametrize("store", ["sqlite-normal"], indirect=True)
def test_twenty_starts_at_once_are_one_start(world: World):
    code = """
from faults.jobs import quick
import threading
from stoker.events import SchedulerStarted

def scheduler(n):
    wait_for("go")
    with Stoker() as app:
        for k in range(20):
            app.schedules.cron("0 0 29 2 *", quick, name=f"s{k}", run_on_start=True)  # and at no tick meanwhile
        up = threading.Event()
        app.subscribe(lambda event: up.set() if isinstance(event, SchedulerStarted) else None)
        ticking = app.scheduler()
        ticking.start()
        assert up.wait(60)
        ticking.stop()
race(scheduler, 20)
"""
    world.run(RACERS + code)
    assert Counter(job.schedule for job in world.jobs().values()) == {f"s{k}": 1 for k in range(20)}
