"""Mode `async` in plain scripts: no store, no queue, no configuration."""

from __future__ import annotations

from faults.support import World, on_sqlite, until

pytestmark = on_sqlite

SCRIPT = """
import asyncio, os, sys, time, logging
from pathlib import Path
from stoker import Stoker, Context
app = Stoker(mode="async", grace={grace})

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

@app.task
async def work(n: int) -> int:
    say("ran", n, os.getpid())
    return n * 2

@app.task
async def hold(gate: str) -> None:
    say("started", gate)
    try:
        while not os.path.exists(gate):
            await asyncio.sleep(0.01)
        say("finished", gate)
    except asyncio.CancelledError:
        say("cancelled", gate)
        raise

@app.task
def hold_here(ctx: Context, gate: str) -> None:
    say("started", gate)
    while not os.path.exists(gate) and not ctx.cancelled:
        time.sleep(0.01)
    say("finished" if os.path.exists(gate) else "cancelled", gate)
    ctx.raise_if_cancelled()

@app.task
async def refuse(gate: str) -> None:
    say("started", gate)
    while not os.path.exists(gate):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            say("refused")

def wait_for(name):
    deadline = time.monotonic() + 60
    while not os.path.exists(name):
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""


def script(world: World, code: str, *, grace: float = 30.0):
    """Run as a script in an empty folder, with nothing set."""
    (world.folder / "program.py").write_text(SCRIPT.replace("{grace}", str(grace)) + code)
    return world.start("program.py", STOKER_URL="")


def test_jobs_run_and_results_come_back(world: World):
    program = script(world, "print([work.enqueue(n).result(60) for n in range(5)])")
    assert program.wait() == 0, program.log
    assert "[0, 2, 4, 6, 8]" in program.output
    assert not list(world.folder.glob("*.db*"))


def test_every_job_is_done_or_named_when_the_program_ends_at_once(world: World):
    program = script(world, "for n in range(200): say('id', n, work.enqueue(n).id)")
    assert program.wait() == 0, program.log
    lines = [line.split() for line in program.output.splitlines()]
    ran = {line[1] for line in lines if line[0] == "ran"}
    dropped = {line[1] for line in lines if line[0] == "id" and line[2] in program.log}
    assert len(ran) + len(dropped) == 200
    assert ran.isdisjoint(dropped)


def test_at_the_end_running_jobs_get_the_grace(world: World):
    program = script(world, "hold.enqueue('gate'); hold_here.enqueue('gate')\nwait_for('go')", grace=3600.0)
    until(lambda: program.output.count("started gate") == 2)
    (world.folder / "go").touch()
    (world.folder / "gate").touch()
    assert program.wait() == 0, program.log
    assert program.output.count("finished gate") == 2
    assert "dropped" not in program.log


def test_what_does_not_end_within_the_grace_is_named_as_dropped(world: World):
    code = "ids = [hold.enqueue('never').id, hold_here.enqueue('never').id]; say(*ids)\nwait_for('go')"
    program = script(world, code, grace=0.2)
    until(lambda: program.output.count("started never") == 2)
    (world.folder / "go").touch()
    assert program.wait() == 0, program.log
    ids = next(line for line in program.output.splitlines() if "-" in line).split()
    assert "2 jobs were dropped" in program.log
    assert all(id in program.log for id in ids)
    assert program.output.count("cancelled never") == 2


def test_a_job_that_refuses_to_end_does_not_keep_the_program_from_its_end(world: World):
    program = script(world, "say(refuse.enqueue('never').id)\nwait_for('go')", grace=0.2)
    until(lambda: "started never" in program.output)
    (world.folder / "go").touch()
    assert program.wait() == 0, program.log
    assert "1 jobs were dropped" in program.log


def test_closing_at_once(world: World):
    program = script(world, "handle = work.enqueue(7)\napp.close()\nsay('closed', handle.id)")
    assert program.wait() == 0, program.log
    assert "closed" in program.output
    assert "ran 7" in program.output or program.output.split()[-1] in program.log


def test_a_program_that_fails_still_gives_its_jobs_the_grace(world: World):
    program = script(world, "hold.enqueue('gate')\nwait_for('go')\nraise SystemExit(3)", grace=3600.0)
    until(lambda: "started gate" in program.output)
    (world.folder / "go").touch()
    (world.folder / "gate").touch()
    assert program.wait() == 3, program.log
    assert "finished gate" in program.output


def test_a_fork_runs_nothing_twice(world: World):
    code = """
import multiprocessing
def child(n):
    assert work.enqueue(n).result(60) == 2 * n
hold.enqueue("gate")
handles = [work.enqueue(n) for n in range(100)]
context = multiprocessing.get_context("fork")
processes = [context.Process(target=child, args=(1000 + n,)) for n in range(4)]
for process in processes: process.start()
handles += [work.enqueue(n) for n in range(100, 200)]
for process in processes:
    process.join(60)
    assert process.exitcode == 0, process.exitcode
for handle in handles: handle.result(60)  # what has not begun when the program ends is dropped
Path("gate").touch()
say("parent", os.getpid())
"""
    program = script(world, code)
    assert program.wait() == 0, program.log
    lines = [line.split() for line in program.output.splitlines()]
    [[_, parent]] = [line for line in lines if line[0] == "parent"]
    ran = [(int(line[1]), line[2]) for line in lines if line[0] == "ran"]
    assert sorted(n for n, _ in ran) == [*range(200), *range(1000, 1004)]
    assert all((pid == parent) == (n < 1000) for n, pid in ran)
    assert program.output.count("started gate") == 1
    assert program.output.count("finished gate") == 1
