"""Processes that all begin at once: forked from one that has opened nothing, held back by a file."""

from __future__ import annotations

RACERS = """
import json, multiprocessing, os, random, sys, time
from stoker import Stoker
from stoker.clock import IdSource, to_span
from stoker.job import Claim, NewJob, Outcome, Verdict
from stoker.store import Routing, Want, Worker

def wait_for(name):
    deadline = time.monotonic() + 120
    while not os.path.exists(name):
        assert time.monotonic() < deadline
        time.sleep(0.001)

def say(value):
    os.write(1, (json.dumps(value) + "\\n").encode())

def introduced(name):
    return Worker(id=name, host="here", pid=os.getpid(), version="0", concurrency=8)

def race(racer, count):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=racer, args=(n,)) for n in range(count)]
    for process in processes:
        process.start()
    open("go", "w").close()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0, process.exitcode

"""
