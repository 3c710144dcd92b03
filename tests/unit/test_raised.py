"""Exceptions as they are kept: of a sensible size, in text that every store can hold, whatever they do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stoker import InvalidArguments
from stoker.worker.attempt import raised


def caught(fail: Callable[[], object]) -> BaseException:
    try:
        fail()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def throw(error: BaseException) -> BaseException:
    def fail() -> None:
        raise error

    return caught(fail)


def test_type_message_and_traceback_are_kept() -> None:
    kept = raised(throw(ValueError("no such cat")))
    assert (kept.type, kept.message) == ("ValueError", "no such cat")
    assert kept.traceback is not None
    assert "in fail" in kept.traceback
    assert kept.traceback.rstrip().endswith("ValueError: no such cat")


class OwnError(LookupError): ...


def test_types_are_named_with_their_module_and_bases() -> None:
    kept = raised(throw(OwnError("x")))
    assert kept.type == f"{__name__}.OwnError"
    assert kept.lineage == (f"{__name__}.OwnError", "LookupError", "Exception", "BaseException")


def test_the_cause_is_part_of_the_traceback() -> None:
    def fail() -> None:
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("outer") from error

    kept = raised(caught(fail))
    assert "KeyError: 'missing'" in (kept.traceback or "")
    assert "direct cause" in (kept.traceback or "")


def test_a_long_message_is_cut_in_the_middle() -> None:
    kept = raised(throw(ValueError("<" + "x" * 1_000_000 + ">")))
    assert len(kept.message) < 5_000
    assert kept.message.startswith("<")
    assert kept.message.endswith(">")
    assert "characters left out" in kept.message
    assert len(kept.traceback or "") < 40_000


def test_a_deep_recursion_keeps_the_innermost_frames() -> None:
    def fall(depth: int) -> int:
        return fall(depth + 1) + 1 if depth < 800 else 1 // 0

    kept = raised(caught(lambda: fall(0)))
    assert kept.type == "ZeroDivisionError"
    assert len(kept.traceback or "") < 40_000
    assert "1 // 0" in (kept.traceback or "")


def test_a_recursion_error_is_kept() -> None:
    def fall() -> None:
        fall()

    assert raised(caught(fall)).type == "RecursionError"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\x00b", "a\\x00b"), ("a\ud800b", "a\\ud800b"), ("grüße 🐈", "grüße 🐈")],
)
def test_text_that_no_store_holds_is_spelt_out(text: str, kept: str) -> None:
    got = raised(throw(ValueError(text)))
    assert got.message == kept
    for part in (got.message, got.traceback or ""):
        assert "\x00" not in part
        part.encode()


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I will not say")


def test_an_exception_whose_text_raises_is_kept() -> None:
    kept = raised(throw(Mute()))
    assert kept.message == "<its text could not be made: RuntimeError>"


class Liar(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


def test_an_exception_whose_text_is_none_is_kept() -> None:
    assert raised(throw(Liar())).message == "<its text could not be made: TypeError>"


def test_a_group_shows_its_members() -> None:
    kept = raised(throw(ExceptionGroup("several", [ValueError("one"), KeyError("two")])))
    assert kept.type == "ExceptionGroup"
    assert "ValueError: one" in (kept.traceback or "")
    assert "KeyError: 'two'" in (kept.traceback or "")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_a_process_is_kept_like_any_other(error: BaseException) -> None:
    assert raised(throw(error)).type == type(error).__name__


def test_wrong_arguments_need_no_traceback() -> None:
    assert raised(throw(InvalidArguments("t() argument 'n': …"))).traceback is None
