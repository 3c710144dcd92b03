"""`stoker queues`, `workers`, `stats`, `top`, `doctor`, `migrate`, `init`, `bench`."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from stoker import clock
from stoker.connect import connect
from stoker.job import NewJob, State
from stoker.store import Command, QueueInfo, Routing, Want, Worker
from stoker.stores.sqlite import SqliteStore


def at(offset, make):
    """Run plans of a store whose clock is so many seconds off."""
    _, driver = connect("sqlite:///jobs.db")
    store = SqliteStore(clock=lambda: clock.now() + round(offset * clock.SECOND))
    driver.run(store.migrate())
    try:
        return [driver.run(plan) for plan in make(store)]
    finally:
        driver.close()


def worker(id, **facts):
    return Worker(**{"id": id, "host": "h", "pid": 1, "version": "0.1.0", "concurrency": 1} | facts)


def checks(shop, code=0, *options):
    done = shop.run("doctor", "--json", *options)
    assert done.code == code, done
    assert done.json["healthy"] is (code == 0)
    for check in done.json["checks"]:
        assert set(check) == {"name", "status", "detail", "advice"}
        assert check["status"] != "problem" or check["advice"], "a problem says what to do"
    return {check["name"]: check for check in done.json["checks"]}


# --- queues, workers, stats, top --------------------------------------------------------------------------------------


def test_pausing_a_queue(shop):
    id = shop.enqueue("mail", "x")
    [paused] = shop.ok("queues", "pause", "mail", "--json").json
    assert set(paused) == set(QueueInfo.__struct_fields__)
    assert (paused["name"], paused["paused"], paused["queued"]) == ("mail", True, 1)
    assert paused["oldest"] >= 0
    assert "paused" in shop.ok("queues", "list").out
    shop.drain()
    assert shop.states() == {id: "queued"}
    assert "mail is running" in shop.ok("queues", "resume", "mail").out
    shop.drain()
    assert shop.states() == {id: "completed"}


def test_workers_alive_and_dead(shop):
    assert shop.ok("workers", "list", "--json").json == []
    at(-3600, lambda store: [store.register(worker("old"), clock.SECOND)])
    at(0, lambda store: [store.register(worker("new", queues=("mail",)), 3600 * clock.SECOND)])
    known = {one["id"]: one for one in shop.ok("workers", "list", "--json").json}
    assert {id: one["alive"] for id, one in known.items()} == {"old": False, "new": True}
    assert known["new"]["queues"] == ["mail"]
    assert known["new"]["seen_at"].endswith("Z")
    out = shop.ok("workers", "list").out
    assert "dead" in out
    assert "alive" in out


def test_telling_workers(shop):
    at(0, lambda store: [store.register(worker(id), 3600 * clock.SECOND) for id in ("one", "two")])

    def states():
        return {line.split()[0]: line.split()[1] for line in shop.ok("workers", "list").out.splitlines()[1:]}

    assert states() == {"one": "alive", "two": "alive"}
    assert "worker one claims no more; it runs 0 jobs" in shop.ok("workers", "quiet", "one").out
    assert states() == {"one": "quiet", "two": "alive"}
    assert "worker one claims jobs" in shop.ok("workers", "wake", "one").out
    assert states() == {"one": "alive", "two": "alive"}
    told = shop.ok("workers", "stop", "one", "two", "--json").json
    assert {(one["id"], one["command"], one["alive"]) for one in told} == {("one", "stop", True), ("two", "stop", True)}
    assert states() == {"one": "stopping", "two": "stopping"}


@pytest.mark.parametrize("verb", ["quiet", "wake", "stop"])
def test_telling_a_worker_that_is_not_there(shop, verb):
    at(-3600, lambda store: [store.register(worker("dead"), clock.SECOND)])
    for id in ("nobody", "dead"):
        done = shop.run("workers", verb, id)
        assert (done.code, done.out) == (1, "")
        assert f"no living worker has the id {id!r}" in done.err
        assert "stoker workers list" in done.err
    assert shop.run("workers", verb).code == 2


def test_a_worker_that_is_told_to_stop_stops(shop, eventually):
    process = shop.spawn("worker")
    try:
        [id] = eventually(lambda: [one["id"] for one in shop.ok("workers", "list", "--json").json])
        shop.ok("workers", "stop", id)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert shop.ok("workers", "list", "--json").json == []


def test_stats(shop):
    shop.enqueue("resize", "a")
    shop.enqueue("mail", "a")
    shop.ok("worker", "-q", "mail", "--drain")
    found = shop.ok("stats", "--json").json
    assert set(found) == {"jobs", "queues", "workers"}
    assert found["jobs"] == {state.value: 0 for state in State} | {"queued": 1, "completed": 1}
    assert [queue["name"] for queue in found["queues"]] == ["default"]
    assert "completed" in shop.ok("stats").out


def test_top_without_a_terminal_shows_it_once(shop):
    shop.enqueue("broken")
    shop.drain()
    shop.enqueue("mail", "x")
    for command in (["top"], ["top", "--once"]):
        out = shop.ok(*command).out
        assert "mail" in out
        assert "[red]luck[/red]" in out
        assert "\x1b" not in out
    found = shop.ok("top", "--json").json
    assert set(found) == {"queues", "workers", "processing", "failed"}


# --- doctor -----------------------------------------------------------------------------------------------------------


def test_all_is_well(shop):
    shop.enqueue("resize", "a")
    shop.drain()
    found = checks(shop)
    assert "synchronous=full" in found["durability"]["detail"]
    assert found["store"]["detail"] == str(shop.folder / "jobs.db")
    for name in ("app", "sqlite", "integrity", "writable", "schema", "clock", "workers", "tasks"):
        assert found[name]["status"] == "ok", found[name]
    assert "all is well" in shop.ok("doctor").out


def test_a_store_that_is_not_there_yet_is_fine_and_stays_away(shop):
    assert "does not exist yet" in checks(shop)["file"]["detail"]
    assert not (shop.folder / "jobs.db").exists()


def test_without_an_app(shop, monkeypatch):
    shop.enqueue("resize", "a")
    shop.drain()
    monkeypatch.delenv("STOKER_APP")
    assert checks(shop, 0, "--url", "sqlite:///jobs.db")["app"]["status"] == "note"


def test_jobs_and_no_worker(shop):
    id = shop.enqueue("mail", "a")
    assert "no worker is running" in checks(shop, 1)["queue mail"]["detail"]
    at(0, lambda store: [store.register(worker("w", queues=("other",)), 3600 * clock.SECOND)])
    assert "serves" in checks(shop, 1)["queue mail"]["detail"]
    at(0, lambda store: [store.register(worker("v"), 3600 * clock.SECOND)])
    assert checks(shop)["queue mail"]["status"] == "ok"
    at(0, lambda store: [store.command("v", Command.QUIET)])
    assert "stoker workers wake v" in checks(shop)["queue mail"]["advice"]
    assert "stoker workers wake v" in shop.ok("jobs", "show", id).out
    at(0, lambda store: [store.command("v", Command.STOP)])
    assert "is stopping" in shop.ok("jobs", "show", id).out
    shop.ok("queues", "pause", "mail")
    assert "resume mail" in checks(shop)["queue mail"]["advice"]


def claimed(store, worker):
    job = NewJob(id=clock.IdSource()(), task="gone.task", payload="[[],{}]", keep_for=clock.SECOND)
    wants = ((), [Want(None, 1)], Routing(frozenset({"gone.task"})), 1)
    return [store.insert([job]), store.register(worker, clock.SECOND), store.exchange(worker.id, *wants)]


def test_jobs_of_dead_workers_and_of_tasks_that_are_gone(shop):
    at(-3600, lambda store: claimed(store, worker("dead")))
    found = checks(shop, 1)
    assert "stoker jobs requeue" in found["stuck jobs"]["advice"]
    assert "gone.task (1)" in found["unknown tasks"]["detail"]
    at(0, lambda store: [store.register(worker("alive"), 3600 * clock.SECOND)])
    assert checks(shop, 1)["stuck jobs"]["status"] == "note", "the living one gives them back"


def test_a_clock_that_is_behind(shop):
    at(3600, lambda store: [store.register(worker("ahead"), clock.SECOND)])
    assert "ahead" in checks(shop, 1)["clock"]["detail"]


def test_an_app_without_tasks(shop):
    shop.write("bare.py", "from stoker import Stoker\napp = Stoker('sqlite:///jobs.db')\n")
    assert "import the modules" in checks(shop, 1, "--app", "bare:app")["app"]["advice"]


def test_a_damaged_file(shop):
    shop.enqueue("resize", "a")
    (shop.folder / "jobs.db").write_bytes(b"this is no database" * 1000)
    assert "backup" in checks(shop, 1)["integrity"]["advice"]


def test_damage_inside(shop):
    for _ in range(20):
        shop.enqueue("resize", "a" * 3000)
    path = shop.folder / "jobs.db"
    for log in shop.folder.glob("jobs.db-*"):
        assert log.stat().st_size == 0
    data = bytearray(path.read_bytes())
    data[8192 : len(data) - 4096] = random.Random(7).randbytes(len(data) - 12288)
    path.write_bytes(data)
    assert checks(shop, 1)["integrity"]["status"] == "problem"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_not_be_written(shop):
    shop.enqueue("resize", "a")
    shop.folder.chmod(0o500)
    try:
        assert checks(shop, 1)["folder"]["status"] == "problem"
    finally:
        shop.folder.chmod(0o700)


def test_a_folder_that_is_not_there(shop):
    assert "mkdir" in checks(shop, 1, "--url", "sqlite:///no/such/jobs.db")["folder"]["advice"]


def test_memory_is_not_for_workers(shop):
    checks(shop, 1, "--url", "memory://")


def test_a_newer_store_is_a_problem(shop):
    shop.enqueue("resize", "a")
    at(0, lambda store: [])
    code = (
        "import sqlite3; c = sqlite3.connect('jobs.db'); c.execute(\"UPDATE stoker_meta SET value = '99'\"); c.commit()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=shop.folder, check=True, timeout=60)
    assert any("newer" in check["detail"] for check in checks(shop, 1).values())
    assert shop.run("stats").code == 1


# --- migrate, init, bench ---------------------------------------------------------------------------------------------


def test_migrate(shop):
    first = shop.ok("migrate", "--json").json
    assert first["applied"] == first["migrations"]
    assert first["applied"]
    assert shop.ok("migrate", "--json").json["applied"] == []
    assert "up to date" in shop.ok("migrate").out
    shop.ok("migrate", "--url", "memory://")
    shop.ok("migrate", "--sql", "--url", "memory://")


def test_the_migrations_make_a_schema(shop):
    sql = shop.ok("migrate", "--sql").out
    assert not (shop.folder / "jobs.db").exists()
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.executescript(sql)
    assert connection.execute("SELECT count(*) FROM stoker_jobs").fetchone() == (0,)
    connection.close()


def test_init_is_all_it_takes(shop, monkeypatch):
    monkeypatch.delenv("STOKER_APP")
    assert "stoker worker" in shop.ok("init").out
    id = shop.enqueue("hello", "Ada")
    shop.drain()
    assert shop.ok("jobs", "show", id, "--json").json["result"] == "Hello, Ada!"
    assert (shop.folder / "jobs.db").exists()


def test_init_never_overwrites(shop):
    shop.write("jobs.py", "mine")
    assert shop.ok("init", "--json").json == {"written": ["stoker.toml"], "kept": ["jobs.py"]}
    shop.write("stoker.toml", "mine = 1")
    assert "left as it is" in shop.ok("init").out
    assert (shop.folder / "jobs.py").read_text() == "mine"
    assert (shop.folder / "stoker.toml").read_text() == "mine = 1"


def test_bench_says_what_its_numbers_depend_on(shop):
    found = shop.ok("bench", "--jobs", "60", "--batch", "20", "--concurrency", "5", "--json").json
    assert (found["jobs"], found["batch"], found["concurrency"]) == (60, 20, 5)
    assert "synchronous=full" in found["durability"]
    for name in ("enqueue_one_per_second", "enqueue_batch_per_second", "drain_per_second"):
        assert found[name] > 0
    assert not (shop.folder / "jobs.db").exists(), "by default on a file of its own"
    assert "jobs/s" in shop.ok("bench", "--jobs", "5").out


def test_bench_on_a_store_leaves_nothing_and_touches_nobody(shop):
    id = shop.enqueue("resize", "a")
    shop.ok("bench", "--jobs", "20", "--url", "sqlite:///jobs.db")
    assert shop.states() == {id: "queued"}
    assert [queue["name"] for queue in shop.ok("queues", "list", "--json").json] == ["default"]
