"""What a task logs, on its way: nothing is lost unsaid, nothing is doubled, and it never grows beyond its bound."""

from __future__ import annotations

import logging
import threading

import pytest

from stoker import clock
from stoker.context import Context
from stoker.job import LONGEST_LOG
from stoker.logbook import LONGEST_ENTRY, Logbook, entry

AT = 1_795_874_102_123_456
"""2026-11-28T13:55:02.123456Z"""


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: AT)


def context() -> Context:
    return Context(job_id="1", task="logbook.task")


def lines(*numbers: int) -> str:
    return "".join(f"line {number}\n" for number in numbers)


# --- the buffer -------------------------------------------------------------------------------------------------------


def test_lines_are_taken_once_and_in_order() -> None:
    book = Logbook()
    assert book.take() is None
    book.add("line 1\n")
    book.add(lines(2, 3))
    assert book.take() == lines(1, 2, 3)
    assert book.take() is None


def test_what_did_not_arrive_stands_before_what_came_since() -> None:
    book = Logbook()
    book.add(lines(1, 2))
    book.take()
    book.add(lines(3))
    book.put_back()
    assert book.take() == lines(1, 2, 3)


def test_what_arrived_is_not_put_back_later() -> None:
    book = Logbook()
    book.add(lines(1))
    book.take()
    book.add(lines(2))
    book.take()
    book.put_back()
    book.put_back()
    assert book.take() == lines(2)


def test_the_oldest_whole_lines_make_room_and_are_counted() -> None:
    book = Logbook()
    line = "x" * 999 + "\n"
    for _ in range(100):
        book.add(line)
    kept = LONGEST_LOG // 1000
    assert book.take() == f"… {100 - kept} lines left out …\n" + line * kept
    book.add(line)
    assert book.take() == line


def test_the_bound_holds_for_what_is_put_back_and_its_count_goes_on() -> None:
    book = Logbook()
    line, kept = "x" * 999 + "\n", LONGEST_LOG // 1000
    for _ in range(kept + 2):
        book.add(line)
    book.take()
    for _ in range(5):
        book.add("y" * 999 + "\n")
    book.put_back()
    text = book.take()
    assert text is not None
    note, *rest = text.splitlines()
    assert note == "… 7 lines left out …"
    assert rest == ["x" * 999] * (kept - 5) + ["y" * 999] * 5


def test_the_lines_of_one_entry_make_room_one_by_one() -> None:
    book = Logbook()
    book.add("a\nb\nc\n" + "x" * (LONGEST_LOG - 6) + "\n")
    assert book.take() == "… 1 lines left out …\nb\nc\n" + "x" * (LONGEST_LOG - 6) + "\n"


def test_nothing_is_lost_between_threads() -> None:
    book, taken, done = Logbook(), [], threading.Event()

    def write(name: int) -> None:
        for number in range(500):
            book.add(f"{name} {number}\n")

    def read() -> None:
        while not done.is_set():
            taken.append(book.take() or "")

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    done.set()
    reader.join(30)
    found = "".join([*taken, book.take() or ""]).splitlines()
    for name in range(4):
        assert [line for line in found if line.startswith(f"{name} ")] == [f"{name} {number}" for number in range(500)]
    assert len(found) == 2000


# --- the logger -------------------------------------------------------------------------------------------------------


def test_one_line_says_when_how_grave_and_what() -> None:
    said = context()
    said.log.info("mind the %s", "gap")
    said.log.warning("%(a)s of %(b)d", {"a": "one", "b": 2})
    said.log.critical("100 %")
    assert said.take_log() == (
        "2026-11-28T13:55:02.123Z INFO mind the gap\n"
        "2026-11-28T13:55:02.123Z WARNING one of 2\n"
        "2026-11-28T13:55:02.123Z CRITICAL 100 %\n"
    )


def test_an_exception_has_its_traceback() -> None:
    said = context()
    try:
        raise ValueError("no luck")
    except ValueError as error:
        said.log.exception("it failed")
        kept = error
    said.log.error("again", exc_info=kept)
    said.log.info("no more", exc_info=False)
    text = said.take_log() or ""
    first, second = text.split("ERROR it failed\n")[1].split("2026-11-28T13:55:02.123Z ERROR again\n")
    assert first == second.removesuffix("2026-11-28T13:55:02.123Z INFO no more\n")
    assert first.startswith("Traceback (most recent call last):\n")
    assert first.endswith("ValueError: no luck\n")


def test_levels_below_info_are_kept_where_the_logger_is_enabled_for_them(caplog: pytest.LogCaptureFixture) -> None:
    said = context()
    logger = logging.getLogger("stoker.task.logbook.task")
    with caplog.at_level(logging.CRITICAL, logger.name):
        said.log.info("kept, though nobody listens")
        said.log.debug("dropped")
        assert said.log.isEnabledFor(logging.INFO)
        assert not said.log.isEnabledFor(logging.DEBUG)
    assert caplog.records == []
    with caplog.at_level(logging.DEBUG, logger.name):
        said.log.debug("a detail")
    assert [record.getMessage() for record in caplog.records] == ["a detail"]
    assert [line.split(" ", 1)[1] for line in (said.take_log() or "").splitlines()] == [
        "INFO kept, though nobody listens",
        "DEBUG a detail",
    ]


def test_the_ordinary_logger_gets_it_as_before(caplog: pytest.LogCaptureFixture) -> None:
    said = context()
    with caplog.at_level(logging.INFO):
        said.log.info("mind the %s", "gap")
        said.log.log(logging.ERROR, "deeper", stacklevel=1)
    for record in caplog.records:
        assert (record.name, record.job_id, record.attempt) == ("stoker.task.logbook.task", "1", 1)  # type: ignore[attr-defined]
        assert (record.filename, record.funcName) == ("test_logbook.py", "test_the_ordinary_logger_gets_it_as_before")
    assert [record.getMessage() for record in caplog.records] == ["mind the gap", "deeper"]


def test_what_no_store_can_hold_is_written_otherwise() -> None:
    assert entry(logging.INFO, "a\x00b\udc80c", ()).endswith("INFO a\\x00b\\udc80c\n")


def test_a_long_entry_loses_its_middle_and_fits_whatever_is_in_it() -> None:
    text = entry(logging.INFO, "\udc80" * LONGEST_LOG, ())
    assert "characters left out …" in text
    assert LONGEST_ENTRY < len(text) < LONGEST_LOG
    book = Logbook()
    book.add(text)
    assert book.take() == text


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(("msg", "args"), [(Broken(), ()), ("%d", ("x",)), ("%s %s", ("one",)), ("%s", (Broken(),))])
def test_a_message_that_cannot_be_made_stops_nothing(
    msg: object, args: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # as in production: no complaint of its own
    text = entry(logging.ERROR, msg, args)
    assert text.startswith("2026-11-28T13:55:02.123Z ERROR <its text could not be made: ")


def test_a_line_is_news_but_does_not_press() -> None:
    told: list[Context] = []
    said = Context(job_id="1", task="logbook.task", report=told.append)
    assert (said.news, said.logbook) == (False, None)
    said.log.debug("nobody hears this")
    assert (said.news, said.logbook, told) == (False, None, [])
    said.log.info("something")
    assert (said.news, said.pressing, told) == (True, False, [said])


def test_who_logs_while_its_own_thread_is_at_the_book_waits_for_nobody() -> None:
    """A garbage collector may run there, and what it collects may log."""
    book = Logbook()

    def collect() -> None:
        with book._lock:
            book.add("from the collector\n")

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert book.take() == "from the collector\n"
