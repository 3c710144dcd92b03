"""An app that has its store open, and forks: the child works, the parent is unharmed, nothing is lost."""

from __future__ import annotations

from faults.support import World, with_option
from stoker.job import State

FORKED = """
import os, sys, json, threading, time, multiprocessing
from pathlib import Path
from faults.jobs import app, quick

def wait_for(name):
    deadline = time.monotonic() + 60
    while not Path(name).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid

def ended(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def enqueue(times):
    ids = [quick.enqueue().id for _ in range(times)]
    os.write(1, "".join(id + "\\n" for id in ids).encode())  # at once: others write there too

"""


def ids(output: str) -> list[str]:
    return [line for line in output.splitlines() if line]


def all_there(world: World, output: str, total: int) -> None:
    world.enqueued += ids(output)
    assert len(set(world.enqueued)) == total
    world.start_worker(drain=True, ready=False).wait()
    jobs = world.check()
    assert all(job.state is State.COMPLETED for job in jobs.values())
    assert len(jobs) == total


def test_os_fork(world: World):
    code = """
enqueue(5)
sys.stdout.flush()
for _ in range(4):
    ended(child(lambda: enqueue(5)))
    enqueue(5)
app.close()
"""
    all_there(world, world.run(FORKED + code), 45)


def test_multiprocessing(world: World):
    code = """
enqueue(5)
context = multiprocessing.get_context("fork")
processes = [context.Process(target=enqueue, args=(5,)) for _ in range(4)]
for process in processes:
    process.start()
enqueue(5)
for process in processes:
    process.join(60)
    assert process.exitcode == 0
app.close()
"""
    all_there(world, world.run(FORKED + code), 30)


def test_a_fork_while_other_threads_of_the_parent_enqueue(world: World):
    """The child gets a copy of the locks as they were at that instant, held by threads that it does not have."""
    code = """
going = True
def busily():
    while going:
        quick.enqueue()
threads = [threading.Thread(target=busily) for _ in range(3)]
for thread in threads:
    thread.start()
pids = [child(lambda: enqueue(3)) for _ in range(12)]
for pid in pids:
    ended(pid)
going = False
for thread in threads:
    thread.join()
app.close()
"""
    output = world.run(FORKED + code, STOKER_URL=with_option(world.url, "timeout=60"))
    jobs = world.jobs()
    assert len(ids(output)) == 36
    assert set(ids(output)) <= jobs.keys()


def test_a_fork_while_other_threads_of_the_parent_read(world: World):
    code = """
enqueue(5)
going = True
def busily():
    while going:
        app.jobs.list()
threads = [threading.Thread(target=busily) for _ in range(3)]
for thread in threads:
    thread.start()
pids = [child(lambda: enqueue(3)) for _ in range(12)]
for pid in pids:
    ended(pid)
going = False
for thread in threads:
    thread.join()
enqueue(5)
app.close()
"""
    all_there(world, world.run(FORKED + code), 46)


def test_a_parent_that_closes_before_its_child_enqueues(world: World):
    """Whoever closes a database last removes its log: it must not take the child for gone."""
    code = """
enqueue(3)
def late():
    wait_for("closed")
    enqueue(3)
pid = child(late)
app.close()
Path("closed").touch()
ended(pid)
"""
    all_there(world, world.run(FORKED + code), 6)


def test_a_parent_that_closes_while_its_child_has_enqueued(world: World):
    code = """
enqueue(3)
def work():
    enqueue(3)
    Path("enqueued").touch()
    wait_for("closed")
    enqueue(3)
pid = child(work)
wait_for("enqueued")
app.close()
Path("closed").touch()
ended(pid)
"""
    all_there(world, world.run(FORKED + code), 9)


def test_a_child_that_ends_does_not_harm_its_parent(world: World):
    code = """
enqueue(3)
def work():
    enqueue(3)
    app.close()
for _ in range(3):
    ended(child(work))
    enqueue(3)
context = multiprocessing.get_context("fork")
process = context.Process(target=enqueue, args=(3,))
process.start()
process.join(60)
assert process.exitcode == 0
enqueue(3)
app.close()
"""
    all_there(world, world.run(FORKED + code), 27)


def test_a_job_that_forks(world: World):
    for _ in range(10):
        world.enqueue("fork")
    worker = world.start_worker(drain=True, ready=False)
    assert worker.wait() == 0, worker.log
    jobs = world.check()
    assert len(jobs) == 20
    assert all(job.state is State.COMPLETED for job in jobs.values())
