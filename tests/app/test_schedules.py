"""Schedules of an app: declared, retired, taken up again, paused, run by hand; on every store, with real schedulers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import places
from app.conftest import QUEUES, Place
from stoker import ConfigError, InvalidArguments, InvalidOption, ScheduleNotFound, Stoker, TaskError, UnknownTask
from stoker.clock import SECOND
from stoker.events import Event, ScheduleFailed, SchedulerDied, SchedulerStarted, StoreBack, StoreFailed
from stoker.schedule import Put, Schedule
from stoker.scheduler import Scheduler

SHARED = ("sqlite-normal", "postgres", "redis")
PATIENCE = 60.0

Deploy = Callable[..., Stoker]


def until(condition: Callable[[], Any], what: str = "") -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "this did not come true"
        time.sleep(0.01)
    return found


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("STOKER_URL", "STOKER_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with places.fresh(request.param, tmp_path) as place:
        yield place


@pytest.fixture
def deploy() -> Iterator[Deploy]:
    """Makes apps as several deployments of one program would."""
    made: list[Stoker] = []

    def make(url: str | None = None, **options: Any) -> Stoker:
        app = Stoker(url, **options)
        app.task(lambda: None, name="beat")
        app.task(_greet, name="greet")
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def _greet(name: str, times: int = 1) -> str:
    return name * times


def serve(app: Stoker) -> Scheduler:
    """A scheduler that has taken up what is declared."""
    started = threading.Event()
    app.subscribe(lambda event: started.set() if isinstance(event, SchedulerStarted) else None)
    scheduler = app.scheduler()
    scheduler.start()
    assert started.wait(PATIENCE)
    return scheduler


def jobs_of(app: Stoker, name: str) -> list[Any]:
    return sorted((job for job in app.jobs.list(limit=500) if job.schedule == name), key=lambda job: job.run_at)


# --- the thinnest path ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUEUES)
def test_a_tick_makes_a_job(name: str, make_place: Callable[[str], Place]):
    app = make_place(name).app
    app.task(lambda: None, name="beat")
    app.schedules.every(0.2, "beat", name="pulse")
    scheduler = serve(app)
    until(lambda: len(jobs_of(app, "pulse")) >= 3, "three ticks fire")
    scheduler.stop()
    jobs = jobs_of(app, "pulse")
    micros = [round(job.run_at.timestamp() * 1e6) for job in jobs]
    assert all(at % 200_000 == 0 for at in micros)
    assert len(set(micros)) == len(micros)
    runs = app.schedules.get("pulse").runs
    assert [run.job for run in runs] == [job.id for job in jobs][-20:]
    assert [run.tick for run in runs] == [job.run_at for job in jobs][-20:]


def test_mode_async_fires_by_itself(deploy: Deploy):
    ran = threading.Event()
    with Stoker(mode="async") as app:
        app.task(lambda: ran.set(), name="go", schedule="every 0.1 seconds")
        assert ran.wait(PATIENCE)


def test_mode_async_fires_what_is_added_later(deploy: Deploy):
    ran = threading.Event()
    with Stoker(mode="async") as app:
        app.task(lambda: ran.set(), name="go")
        app.schedules.add("every 0.1 seconds", "go")
        assert ran.wait(PATIENCE)
        app.schedules.pause("go")
        assert app.schedules.run_now("go").result(PATIENCE) is None


def test_mode_foreground_fires_nothing_but_what_is_asked_for(deploy: Deploy):
    app = deploy(mode="foreground")
    app.schedules.daily("greet", name="greeting", args=["a"], kwargs={"times": 3})
    assert app.schedules.run_now("greeting").result() == "aaa"
    with pytest.raises(ConfigError, match="run_now"):
        app.scheduler()


@pytest.mark.asyncio
async def test_lifespan_has_a_scheduler(tmp_path: Path):
    ran = asyncio.Event()
    app = Stoker(f"sqlite:///{tmp_path}/jobs.db")

    @app.task(schedule="every 0.1 seconds")
    async def go() -> None:
        ran.set()

    async with app.lifespan()(None):
        await asyncio.wait_for(ran.wait(), PATIENCE)
    before = len(app.jobs.list())
    async with app.lifespan(scheduler=False)(None):
        await asyncio.sleep(0.4)
    assert len(app.jobs.list()) == before
    await app.aclose()


# --- declaring ------------------------------------------------------------------------------------------------------


def test_every_way_to_declare(deploy: Deploy):
    app = deploy("memory://")
    schedules = app.schedules
    assert schedules.every_minute("beat") == "beat"
    assert schedules.hourly("beat", minute=5) == "beat 5 * * * *"
    schedules.daily("beat", at="03:00", tz="Europe/Berlin", name="daily")
    schedules.weekly("beat", day="monday", at="7pm", name="weekly")
    schedules.weekly("beat", day=["saturday", "sunday"], name="weekends")
    schedules.monthly("beat", day=15, at="noon", name="monthly")
    schedules.monthly("beat", day="last", name="month's end")
    schedules.every(timedelta(minutes=2), "beat", name="every")
    schedules.cron("*/5 9-17 * * mon-fri", "beat", name="cron", jitter=30, misfire="all", overlap="skip")
    before = datetime.now(UTC)  # a minute may end while they are listed
    found = {one.name: one for one in schedules.list()}
    assert {name: one.expression for name, one in found.items()} == {
        "beat": "* * * * *",
        "beat 5 * * * *": "5 * * * *",
        "daily": "every day at 03:00",
        "weekly": "every monday at 7pm",
        "weekends": "every saturday and sunday at 00:00",
        "monthly": "on the 15th of the month at noon",
        "month's end": "on the last day of the month at 00:00",
        "every": "every 120 seconds",
        "cron": "*/5 9-17 * * mon-fri",
    }
    assert all(one.state == "active" and one.next_at > before for one in found.values())
    assert (found["cron"].jitter, found["cron"].misfire, found["cron"].overlap) == (30, "all", "skip")
    assert found["daily"].tz == "Europe/Berlin"
    assert found["daily"].origin.startswith("code:")


def test_several_expressions_of_one_task():
    app = Stoker("memory://")
    app.task(lambda: None, name="t", schedule=["@daily", "at noon"])
    assert [one.name for one in app.schedules.list()] == ["t", "t at noon"]
    app.close()


@pytest.mark.parametrize(
    ("declare", "error", "message"),
    [
        (lambda s: s.cron("every day", "beat"), InvalidOption, "not understood as cron"),
        (lambda s: s.daily("beat", at="tea"), InvalidOption, "at must be a time of day"),
        (lambda s: s.daily("beat", at="25:00"), InvalidOption, "no time of day"),
        (lambda s: s.hourly("beat", minute=60), InvalidOption, "minute must be"),
        (lambda s: s.monthly("beat", day=32), InvalidOption, "day must be"),
        (lambda s: s.weekly("beat", day="funday"), InvalidOption, "'funday' means nothing"),
        (lambda s: s.every_minute("beat", tz="Mars/Base"), InvalidOption, "no time zone"),
        (lambda s: s.every_minute("beat", jitter=-1), InvalidOption, "jitter"),
        (
            lambda s: s.every_minute("beat", misfire="both"),
            InvalidOption,
            "misfire must be one of",
        ),
        (lambda s: s.every_minute("beat", overlap="maybe"), InvalidOption, "overlap must be one of"),
        (lambda s: s.every_minute("beat", start=datetime(2030, 1, 1)), InvalidOption, "start must be an aware"),
        (lambda s: s.every_minute("beat", queue="x"), InvalidOption, "options={…}"),
        (lambda s: s.every_minute("beat", options={"delay": 5}), InvalidOption, "no delay"),
        (lambda s: s.every_minute("beat", name=""), InvalidOption, "name must be"),
        (lambda s: s.every_minute("beat", args=[1]), InvalidArguments, "beat"),
        (lambda s: s.every_minute("greet"), InvalidArguments, "name"),
        (lambda s: s.every_minute("nobody"), UnknownTask, "nobody"),
        (lambda s: s.every_minute(print), TaskError, "takes a task"),
        (lambda s: [s.every_minute("beat", name="x") for _ in "ab"], InvalidOption, "another name="),
    ],
)
def test_mistakes_are_told_where_they_are_made(deploy: Deploy, declare, error, message):
    app = deploy("memory://")
    with pytest.raises(error, match=message.replace("(", r"\(")):
        declare(app.schedules)


def test_schedule_is_for_tasks_and_not_for_jobs(deploy: Deploy):
    app = deploy("memory://")
    task = app.task(lambda: None, name="t")
    with pytest.raises(InvalidOption, match=r"schedule is for @app.task"):
        task.using(schedule="daily")


def test_options_of_the_jobs_travel(url: str, deploy: Deploy):
    app = deploy(url)
    task = app.task(lambda: None, name="t")
    app.schedules.every(0.1, task.using(queue="slow", tags=["x"], timeout=5), options={"priority": 7}, name="s")
    scheduler = serve(app)
    [job, *_] = until(lambda: jobs_of(app, "s"))
    scheduler.stop()
    assert (job.queue, job.tags, job.priority) == ("slow", ("x",), 7)


def test_a_hint_may_name_what_is_defined_further_down(url: str):
    app = Stoker(url)

    @app.task(schedule="every 0.1 seconds")
    def early(x: Later | None = None) -> None: ...  # noqa: F821

    with app:
        events: list[Event] = []
        app.subscribe(events.append)
        scheduler = serve(app)  # it still is not defined: that one is not served, and said so
        assert [event.schedule for event in events if isinstance(event, ScheduleFailed)] == [early.name]
        scheduler.stop()


# --- deployments ----------------------------------------------------------------------------------------------------


def test_what_is_declared_no_more_is_retired_and_comes_back(url: str, deploy: Deploy):
    first = deploy(url)
    first.schedules.daily("beat", name="kept")
    first.schedules.every(0.1, "beat", name="dropped")
    serve(first).stop()
    until(lambda: first.schedules.get("dropped").state == "active")

    second = deploy(url)
    second.schedules.daily("beat", name="kept")
    scheduler = serve(second)
    assert {one.name: one.state for one in second.schedules.list()} == {"kept": "active", "dropped": "retired"}
    before = len(jobs_of(second, "dropped"))
    time.sleep(0.4)
    assert len(jobs_of(second, "dropped")) == before
    scheduler.stop()

    third = deploy(url)
    third.schedules.every(0.1, "beat", name="dropped")
    scheduler = serve(third)
    until(lambda: len(jobs_of(third, "dropped")) > before, "it fires again")
    scheduler.stop()
    assert third.schedules.get("kept").state == "retired"


def test_what_was_made_at_run_time_is_never_retired(url: str, deploy: Deploy):
    app = deploy(url)
    app.schedules.add("every day at 4:00 pm", "beat", name="by hand")
    serve(app).stop()
    serve(deploy(url)).stop()
    assert app.schedules.get("by hand").state == "active"
    assert app.schedules.get("by hand").origin == "api"


def test_two_apps_on_one_store_leave_each_other_alone(url: str, deploy: Deploy):
    ours = deploy(url)
    ours.schedules.daily("beat", name="ours")
    serve(ours).stop()
    theirs: dict[str, Any] = {"__name__": "another_module", "Stoker": Stoker, "url": url}
    exec("app = Stoker(url)", theirs)
    app = theirs["app"]
    with app:
        app.task(lambda: None, name="beat")
        app.schedules.daily("beat", name="theirs")
        app.schedules.hourly("beat", name="ours")
        events: list[Event] = []
        app.subscribe(events.append)
        serve(app).stop()
        assert {one.name: (one.state, one.origin) for one in app.schedules.list()} == {
            "ours": ("active", ours.schedules.get("ours").origin),
            "theirs": ("active", "code:another_module"),
        }
        assert app.schedules.get("ours").expression == "every day at 00:00"
        [failed] = [event for event in events if isinstance(event, ScheduleFailed)]
        assert failed.schedule == "ours"


def test_a_name_that_another_app_has_fires_as_the_other_said(url: str, deploy: Deploy):
    """Whoever looks after the store fires what is in it; only the declaration is refused."""
    ours = deploy(url)
    ours.schedules.every(0.2, "beat", name="s")
    serve(ours).stop()
    theirs: dict[str, Any] = {"__name__": "another_module", "Stoker": Stoker, "url": url}
    exec("app = Stoker(url)", theirs)
    with theirs["app"] as app:
        app.task(lambda: None, name="beat")
        app.schedules.daily("beat", name="s")
        before = len(jobs_of(app, "s"))
        scheduler = serve(app)
        until(lambda: len(jobs_of(app, "s")) >= before + 3)
        scheduler.stop()
        assert app.schedules.get("s").expression == "every 0.2 seconds"


def test_a_changed_declaration_is_updated_in_place(url: str, deploy: Deploy):
    first = deploy(url)
    first.schedules.every(0.1, "beat", name="s")
    scheduler = serve(first)
    until(lambda: jobs_of(first, "s"))
    scheduler.stop()
    before = first.schedules.get("s")

    second = deploy(url)
    second.schedules.daily("greet", at="03:00", name="s", args=["x"])
    serve(second).stop()
    after = second.schedules.get("s")
    assert (after.task, after.expression, list(after.args)) == ("greet", "every day at 03:00", ["x"])
    assert after.next_at.hour == 3
    assert after.runs[: len(before.runs)] == before.runs


def test_a_pause_outlives_restarts_and_changed_declarations(url: str, deploy: Deploy):
    first = deploy(url)
    first.schedules.every(0.1, "beat", name="s")
    assert first.schedules.pause("s").state == "paused"  # before any scheduler took it up
    second = deploy(url)
    second.schedules.every(0.2, "beat", name="s")
    scheduler = serve(second)
    time.sleep(0.5)
    assert jobs_of(second, "s") == []
    assert second.schedules.get("s").expression == "every 0.2 seconds"
    assert second.schedules.resume("s").state == "active"
    until(lambda: jobs_of(second, "s"), "it fires again")
    scheduler.stop()


def test_a_restart_does_not_put_intervals_off(url: str, deploy: Deploy):
    """Restarted more often than it fires, it fires all the same."""
    deadline = time.monotonic() + PATIENCE
    fired: list[Any] = []
    while not fired and time.monotonic() < deadline:
        app = deploy(url)
        app.schedules.every(1.5, "beat", name="s")
        scheduler = serve(app)
        time.sleep(0.3)
        scheduler.stop()
        fired = jobs_of(app, "s")
    assert fired


def test_late_declarations_are_taken_up(deploy: Deploy):
    app = deploy("memory://")
    scheduler = serve(app)
    app.schedules.every(0.1, "beat", name="late")
    scheduler.wake()
    until(lambda: jobs_of(app, "late"))
    scheduler.stop()


# --- run time -------------------------------------------------------------------------------------------------------


def test_add_makes_and_changes(url: str, deploy: Deploy):
    app = deploy(url)
    made = app.schedules.add("7pm every thursday", "greet", args=["x"], tz="Europe/Berlin")
    assert (made.name, made.state, made.origin) == ("greet", "active", "api")
    assert made.next_at.astimezone().weekday() in (3, 4)
    changed = app.schedules.add("every weekday at 9:30", "greet", args=["y"])
    assert (changed.expression, list(changed.args)) == ("every weekday at 9:30", ["y"])
    assert [one.name for one in app.schedules.list()] == ["greet"]
    app.schedules.daily("beat", name="declared")
    serve(app).stop()
    with pytest.raises(InvalidOption, match="is declared"):
        app.schedules.add("hourly", "beat", name="declared")


def test_remove(url: str, deploy: Deploy):
    app = deploy(url)
    app.schedules.add("hourly", "beat", name="a")
    app.schedules.daily("beat", name="b")
    app.schedules.remove("a")
    app.schedules.remove("b")
    assert app.schedules.list() == []
    for verb in ("get", "pause", "resume", "run_now", "remove"):
        with pytest.raises(ScheduleNotFound, match="'a'"):
            getattr(app.schedules, verb)("a")


def test_run_now(url: str, deploy: Deploy):
    app = deploy(url)
    app.schedules.daily("greet", at="03:00", name="s", args=["ab"], kwargs={"times": 2})
    before = app.schedules.get("s").next_at
    handle = app.schedules.run_now("s")
    job = handle.refresh()
    assert (job.schedule, job.task, list(job.args), job.state) == ("s", "greet", ["ab"], "queued")
    after = app.schedules.get("s")
    assert after.next_at == before
    assert [(run.job, run.why) for run in after.runs] == [(handle.id, "by hand")]


@pytest.mark.asyncio
async def test_every_verb_has_an_async_form(url: str, deploy: Deploy):
    schedules = deploy(url).schedules
    made = await schedules.aadd("hourly", "greet", name="s", args=["x"])
    assert await schedules.aget("s") == made
    assert list(await schedules.alist()) == [made]
    assert (await schedules.apause("s")).state == "paused"
    assert (await schedules.aresume("s")).state == "active"
    handle = await schedules.arun_now("s")
    assert (await handle.arefresh()).schedule == "s"
    assert [time.minute for time in await schedules.anext("s", 2)] == [0, 0]
    await schedules.aremove("s")
    with pytest.raises(ScheduleNotFound):
        await schedules.aget("s")


def test_next_times(deploy: Deploy):
    app = deploy("memory://")
    berlin = app.schedules.next("every day at 16:00", 3, tz="Europe/Berlin")
    assert [(time.hour, str(time.tzinfo)) for time in berlin] == [(16, "Europe/Berlin")] * 3
    assert len(app.schedules.next("*/5 * * * *")) == 5
    app.schedules.daily("beat", at="03:00", tz="Asia/Tokyo", name="tokyo")
    assert [time.hour for time in app.schedules.next("tokyo", 2)] == [3, 3]
    assert [time.hour for time in app.schedules.next("tokyo", 2, tz="UTC")] == [18, 18]
    app.schedules.add("every minute", "beat", name="over", end=datetime.now(UTC) + timedelta(minutes=2))
    assert 1 <= len(app.schedules.next("over")) <= 2
    with pytest.raises(InvalidOption, match="not understood"):
        app.schedules.next("no such schedule")


def test_next_needs_no_store(tmp_path: Path):
    with Stoker(f"sqlite:///{tmp_path}/none.db") as app:
        assert len(app.schedules.next("hourly")) == 5
    assert list(tmp_path.iterdir()) == []
    with Stoker("postgresql://nobody@127.0.0.1:1/none") as app:
        assert len(app.schedules.next("hourly")) == 5


# --- policies, with real schedulers ---------------------------------------------------------------------------------


def test_overlap_skip_waits_for_the_job(url: str, deploy: Deploy):
    app = deploy(url)
    app.schedules.every(0.1, "beat", name="s", overlap="skip")
    scheduler = serve(app)
    until(lambda: len(app.schedules.get("s").runs) >= 20, "the history is full")
    until(lambda: app.schedules.get("s").runs[0].why == "busy", "and says nothing of the job any more")
    [job] = jobs_of(app, "s")
    app.jobs.cancel(job.id)
    until(lambda: len(jobs_of(app, "s")) == 2, "the next one comes when it has ended")
    scheduler.stop()
    assert [one.state for one in jobs_of(app, "s")] == ["cancelled", "queued"]


def test_run_on_start_runs_once_for_a_fleet(url: str, deploy: Deploy):
    apps = [deploy(url) for _ in range(4)]
    for app in apps:
        app.schedules.cron("0 0 29 2 *", "beat", name="s", run_on_start=True)  # and at no tick meanwhile
    schedulers = [serve(app) for app in apps]
    for scheduler in schedulers:
        scheduler.stop()
    [job] = jobs_of(apps[0], "s")
    [run] = apps[0].schedules.get("s").runs
    assert (run.job, run.why) == (job.id, "start")


def test_missed_ticks_after_a_downtime(url: str, deploy: Deploy):
    app = deploy(url)
    for misfire in ("one", "all"):
        app.schedules.every(0.2, "beat", name=misfire, misfire=misfire)
    serve(app).stop()
    first = {name: len(jobs_of(app, name)) for name in ("one", "all")}
    time.sleep(1.5)  # nobody looks
    again = deploy(url)
    for misfire in ("one", "all"):
        again.schedules.every(0.2, "beat", name=misfire, misfire=misfire)
    scheduler = serve(again)
    until(lambda: len(jobs_of(again, "all")) - first["all"] >= 7, "all of them are made up for")
    scheduler.stop()
    ticks = [job.run_at for job in jobs_of(again, "all")]
    assert all(b - a == timedelta(seconds=0.2) for a, b in pairwise(ticks))
    made = {name: len(jobs_of(again, name)) - first[name] for name in ("one", "all")}
    assert made["all"] - made["one"] >= 5  # both go on from there, for as long as this test is slow


# --- staying alive --------------------------------------------------------------------------------------------------


def test_a_schedule_that_cannot_be_read_holds_up_no_other(url: str, deploy: Deploy):
    app = deploy(url)
    store, driver = app.engine.open()
    driver.run(store.schedules.put([Put(Schedule(f"bad{n}", "{", 1 + n)) for n in range(3)]))
    events: list[Event] = []
    app.subscribe(events.append)
    app.schedules.every(0.2, "beat", name="good")
    scheduler = serve(app)
    until(lambda: len(jobs_of(app, "good")) >= 3)
    scheduler.stop()
    assert sorted(event.schedule for event in events if isinstance(event, ScheduleFailed)) == ["bad0", "bad1", "bad2"]


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, deploy: Deploy, monkeypatch: pytest.MonkeyPatch):
    app = deploy(f"sqlite:///{tmp_path}/jobs.db")
    app.schedules.every(0.1, "beat", name="s")
    events: list[Event] = []
    app.subscribe(events.append)
    scheduler = serve(app)
    until(lambda: jobs_of(app, "s"))
    store = app.engine.connection.store
    real = type(store.schedules).due

    def away(*_: Any) -> Any:
        raise OSError("the store is away")

    monkeypatch.setattr(type(store.schedules), "due", away)
    until(lambda: [event for event in events if isinstance(event, StoreFailed)])
    monkeypatch.setattr(type(store.schedules), "due", real)
    until(lambda: [event for event in events if isinstance(event, StoreBack)])
    before = len(jobs_of(app, "s"))
    until(lambda: len(jobs_of(app, "s")) > before, "it goes on")
    scheduler.stop()


def test_its_death_is_loud(deploy: Deploy, monkeypatch: pytest.MonkeyPatch):
    app = deploy("memory://")
    events: list[Event] = []
    app.subscribe(events.append)
    died = threading.Event()

    def explode(*_: Any) -> Any:
        raise SystemExit("a bug")

    monkeypatch.setattr(Scheduler, "_look", explode)
    scheduler = app.scheduler()
    scheduler.start(died.set)
    assert died.wait(PATIENCE)
    until(lambda: not scheduler.running)
    [event] = [event for event in events if isinstance(event, SchedulerDied)]
    assert event.error is scheduler.error


def test_nothing_is_written_between_ticks(url: str, deploy: Deploy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stoker.scheduler.LOOK", 0.02)
    app = deploy(url)
    for n in range(50):
        app.schedules.daily("beat", at="03:00" if datetime.now(UTC).hour != 2 else "15:00", name=f"s{n}")
    scheduler = serve(app)
    read = lambda: app.engine.run(app.engine.connection.store.schedules.read()).schedules  # noqa: E731
    before = read()
    writes: list[str] = []
    driver = app.engine.connection.driver
    kind = type(driver)
    run = kind.run

    def counted(self: Any, plan: Any) -> Any:
        if plan.writes:
            writes.append(plan.name)
        return run(self, plan)

    monkeypatch.setattr(kind, "run", counted)
    time.sleep(1)
    scheduler.stop()
    assert writes == []
    assert read() == before
    assert app.jobs.list() == []


def test_ten_thousand_schedules(tmp_path: Path, deploy: Deploy):
    app = deploy(f"sqlite:///{tmp_path}/jobs.db?synchronous=normal")
    for n in range(10_000):
        app.schedules.cron(f"{n % 60} {n % 24} * * *", "beat", name=f"s{n:05}")
    scheduler = serve(app)
    app.schedules.add("every 0.2 seconds", "beat", name="pulse")
    until(lambda: len(jobs_of(app, "pulse")) >= 3)

    def in_time() -> bool:
        return any(run.at - run.tick < timedelta(seconds=0.2) for run in app.schedules.get("pulse").runs)

    until(in_time, "the others are in nobody's way")  # else every tick would be late, however idle the machine
    scheduler.stop()
    assert len(app.schedules.list()) == 10_001


def test_all_of_many_that_are_due_at_once_fire(tmp_path: Path, deploy: Deploy):
    app = deploy(f"sqlite:///{tmp_path}/jobs.db?synchronous=normal")
    period = 30 * 86400  # so long that none comes due by itself meanwhile
    for n in range(3000):
        app.schedules.every(period, "beat", name=f"s{n:04}")
    store, driver = app.engine.open()
    serve(app).stop()
    found = driver.run(store.schedules.read()).schedules
    past = [Put(Schedule(one.name, one.document, one.next_at - period * SECOND, one.version)) for one in found]
    assert all(driver.run(store.schedules.put(past)))
    scheduler = serve(app)
    until(lambda: app.jobs.count() == {"queued": 3000})
    scheduler.stop()
