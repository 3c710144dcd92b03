"""Any text comes back as it went in, in every field, through every verb.

Text is Unicode without NUL and without lone surrogates; whoever calls a store sees to that. In JSON documents both may
stand escaped.
"""

from __future__ import annotations

import msgspec
import pytest

from stoker.job import Failure, NewJob, Progress, State, Verdict
from stoker.store import Filter, Worker
from stoker.testing.conformance.find import TEXTS
from stoker.testing.conformance.rig import DAY, LEASE, Rig, ids, verdict

UNUSUAL = (
    *TEXTS,
    "null",
    "0",
    "1e999",
    "true",
    '{"a":1}',
    "[1]",
    '"',
    "\\u0000 as six letters",
    "\x01\x1f\x7f\x85",
    "\u2028\u2029\ufeff\ufffd\uffff",
    "right\u202eto left",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\U0010ffff",
    "\r\n" * 3,
    "long " * 50_000,
)
short = [text if len(text) < 30 else f"{text[:10]}…" for text in UNUSUAL]


def json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize("text", UNUSUAL, ids=map(ascii, short))
def test_a_text_survives_in_every_field(rig: Rig, text: str) -> None:
    job = NewJob(
        id=rig.new_id(),
        task=text,
        payload=json([[text, {text: text}], {"k": text}]),
        queue=text,
        keep_for=DAY,
        owner=text,
        key=text,
        tags=(text, "other"),
        overrides=json({text: text}),
        meta=json([text]),
        parents=(),
        workflow=text,
        schedule=text,
    )
    assert rig.run(rig.store.insert([job]))[0].created
    worker = Worker(
        id=f"w{text}",
        host=text,
        pid=1,
        version=text,
        queues=(text, "other"),
        tags=(text,),
        concurrency=1,
    )
    rig.run(rig.store.register(worker, LEASE))
    known = rig.worker(worker.id)
    assert known is not None
    assert (known.host, known.version, known.queues, known.tags) == (text, text, (text, "other"), (text,))

    (claim,) = rig.claim(worker.id, queue=text, tasks={text}, tags={text})
    assert (claim.id, claim.task, claim.queue, claim.payload) == (job.id, text, text, job.payload)
    assert (claim.owner, claim.overrides) == (text, job.overrides)

    rig.beat(worker.id, Progress(claim.ref, claim.fence, None, text, json(text)), lease=LEASE)
    assert (rig.read(job.id).message, rig.read(job.id).checkpoint) == (text, text)

    told = Failure(attempt=1, type=text, message=text, traceback=text)
    words = {"message": f"{text}!", "checkpoint": json([text, 2])}
    assert rig.settle(verdict(claim, Verdict.RETRY, failure=told, **words)) == []
    (claim,) = rig.claim(worker.id, tasks={text, "other"})
    assert claim.checkpoint == words["checkpoint"]
    assert rig.settle(verdict(claim, Verdict.COMPLETED, result=json({"r": text}))) == []

    found = rig.read(job.id)
    assert found.args == [text, {text: text}]
    assert found.kwargs == {"k": text}
    assert (found.task, found.queue, found.owner, found.key, found.tags) == (text, text, text, text, (text, "other"))
    assert (found.overrides, found.meta, found.workflow, found.schedule) == ({text: text}, [text], text, text)
    assert (found.message, found.checkpoint, found.result) == (f"{text}!", [text, 2], {"r": text})
    (entry,) = found.errors
    assert (entry.type, entry.message, entry.traceback, entry.worker) == (text, text, text, worker.id)

    exact = Filter(task=text, queue=text, owner=text, key=text, tag=text, workflow=text, ids=(job.id,))
    assert rig.run(rig.store.find(exact)) == [found]
    assert rig.delete(job.id) == 1
    assert rig.run(rig.store.restore([found])) == 1
    assert rig.read(job.id) == found


def test_a_text_survives_as_error_and_reason(rig: Rig) -> None:
    for text in filter(None, UNUSUAL):
        task, person, waiting, recovered = rig.begin(), rig.begin(), rig.enqueue(), rig.begin()
        rig.settle(verdict(task, Verdict.CANCELLED, reason=text))
        rig.cancel(person.id, waiting, recovered.id, reason=text)
        rig.settle(verdict(person, Verdict.RELEASED))
        rig.lose("worker")
        rig.recover_all()
        for id in (task.id, person.id, waiting, recovered.id):
            assert (rig.state(id), rig.read(id).error) == (State.CANCELLED, text)


def test_the_error_is_the_failures_one_line(rig: Rig) -> None:
    for text in UNUSUAL:
        claim = rig.begin()
        told = Failure(attempt=1, type="builtins.ValueError", message=text)
        rig.settle(verdict(claim, Verdict.FAILED, failure=told))
        error = rig.read(claim.id).error
        assert error == told.summary
        assert len(told.summary) <= 500


def test_a_queue_of_any_name_can_be_paused(rig: Rig) -> None:
    rig.hire()
    for text in UNUSUAL:
        id = rig.enqueue(queue=text)
        rig.run(rig.store.pause(text, True))
        assert rig.claim() == []
        assert rig.queue(text).paused
        rig.run(rig.store.pause(text, False))
        assert ids(rig.claim()) == [id]


def test_nul_stands_escaped_in_documents(rig: Rig) -> None:
    text = "a\0b"
    claim = rig.begin(payload=json([[text], {text: text}]), meta=json(text), overrides=json(text))
    assert json(text) == '"a\\u0000b"'
    assert claim.payload == json([[text], {text: text}])
    told = Failure(attempt=1, type="t", message=text, traceback=text)
    rig.settle(verdict(claim, Verdict.RETRY, checkpoint=json(text), failure=told))
    (claim,) = rig.claim()
    assert claim.checkpoint == json(text)
    rig.settle(verdict(claim, Verdict.COMPLETED, result=json({text: [text]}), checkpoint=json([text])))
    job = rig.read(claim.id)
    assert (job.args, job.kwargs, job.meta, job.overrides) == ([text], {text: text}, text, text)
    assert (job.result, job.checkpoint) == ({text: [text]}, [text])
    assert job.errors[0].message == text


def test_a_megabyte_travels(rig: Rig) -> None:
    text = "x" * 1_048_576
    claim = rig.begin(payload=json([[text], {}]))
    assert claim.payload == json([[text], {}])
    rig.beat("worker", Progress(claim.ref, claim.fence, None, None, json(text)))
    rig.settle(verdict(claim, Verdict.COMPLETED, result=json(text)))
    job = rig.read(claim.id)
    assert job.args[0] == job.checkpoint == job.result == text


def test_numbers_of_any_size_are_as_they_were(rig: Rig) -> None:
    payload = "[[0,-1,9007199254740993,-9223372036854775808,18446744073709551615,1e300,0.1,-0.0],{}]"
    claim = rig.begin(payload=payload)
    assert claim.payload == payload
    rig.settle(verdict(claim, Verdict.COMPLETED, result="[9007199254740993,0.1]"))
    job = rig.read(claim.id)
    assert list(job.args) == [0, -1, 9007199254740993, -(2**63), 2**64 - 1, 1e300, 0.1, -0.0]
    assert job.result == [9007199254740993, 0.1]
    assert ids([claim]) == [job.id]
