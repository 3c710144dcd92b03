"""Calls and signatures: every way to pass arguments, and what a wrong call is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from stoker import Context, InvalidArguments, PayloadTooLarge, TaskError
from stoker.codec import MAX_PAYLOAD, CallCodec, ResultCodec, encode


@dataclass
class Point:
    x: int


class Model(pydantic.BaseModel):
    n: int


def plain(a: int, b: str = "x", *, c: float = 1.0) -> None: ...


def strict(a: int, /, b: int, *, c: int) -> None: ...


def rest(a: int, *more: int, **named: str) -> None: ...


def nested(points: list[Point], table: dict[str, list[int]] | None = None) -> None: ...


def modelled(model: Model) -> None: ...


def untyped(value, *more, **named) -> None: ...


def trip(fn: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    codec = CallCodec(fn, "task")
    return codec.decode(codec.encode(args, kwargs))


def refusal(fn: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        trip(fn, *args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"),
    [
        (plain, (1,), {}),
        (plain, (1, "y"), {}),
        (plain, (), {"a": 1}),
        (plain, (1,), {"b": "y", "c": 2.0}),
        (strict, (1,), {"b": 2, "c": 3}),
        (strict, (1, 2), {"c": 3}),
        (rest, (1,), {}),
        (rest, (1, 2, 3), {"z": "1", "y": "2", "x": "3"}),
        (rest, (), {"a": 1, "z": "1"}),
        (untyped, ([1, {"a": None}], "b"), {"c": 1.5}),
    ],
)
def test_arguments_arrive_the_way_they_were_passed(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    got_args, got_kwargs = trip(fn, *args, **kwargs)
    assert (got_args, got_kwargs) == (args, kwargs)
    assert list(got_kwargs) == list(kwargs)


def test_defaults_do_not_travel() -> None:
    assert CallCodec(plain, "task").encode((1,), {}) == "[[1],{}]"


def test_a_parameter_may_be_called_args_or_kwargs() -> None:
    def odd(args: int, kwargs: str) -> None: ...

    assert trip(odd, 1, kwargs="a") == ((1,), {"kwargs": "a"})


def test_a_keyword_may_have_the_name_of_a_positional_only_parameter() -> None:
    def odd(x: int, /, **named: int) -> None: ...

    assert trip(odd, 1, x=5) == ((1,), {"x": 5})


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "words"),
    [
        (plain, (), {}, "task(): missing a required argument: 'a'; it takes (a: int, b: str = 'x', *, c: float = 1.0)"),
        (plain, (1, "x", 2.0), {}, "task(): too many positional arguments; it takes (a: int,"),
        (plain, (1,), {"d": 1}, "task(): got an unexpected keyword argument 'd'; it takes"),
        (plain, (1,), {"a": 2}, "task(): multiple values for argument 'a'"),
        (plain, ("1",), {}, "task() argument 'a': expected `int`, got `str`"),
        (plain, (1.5,), {}, "task() argument 'a': expected `int`, got `float`"),
        (plain, (True,), {}, "task() argument 'a': expected `int`, got `bool`"),
        (plain, (None,), {}, "task() argument 'a': expected `int`, got `null`"),
        (plain, (1, 2), {}, "task() argument 'b': expected `str`, got `int`"),
        (plain, (1,), {"c": "x"}, "task() argument 'c': expected `float`, got `str`"),
        (strict, (1, 2), {}, "argument: 'c'; it takes (a: int, /, b: int, *, c: int)"),
        (strict, (), {"a": 1, "b": 2, "c": 3}, "'a'"),
        (rest, (1, 2, "x"), {}, "task() argument 'more': expected `int`, got `str`"),
        (rest, (1,), {"z": 5}, "task() argument 'z': expected `str`, got `int`"),
        (nested, ([{"x": "1"}],), {}, "task() argument 'points': expected `int`, got `str` (at points[0].x)"),
        (nested, ([{}],), {}, "task() argument 'points': object missing required field `x` (at points[0])"),
        (nested, ([],), {"table": {"a": ["x"]}}, "argument 'table': expected `int`, got `str` (at table[...][0])"),
        (modelled, ({"n": "many"},), {}, "task() argument 'model': 1 validation error for Model"),
        (modelled, (5,), {}, "task() argument 'model': 1 validation error for Model"),
        (untyped, (object(),), {}, "task() argument 'value': builtins.object has no JSON form; pass a JSON value"),
        (untyped, (1, object()), {}, "task() argument 'more': builtins.object has no JSON form"),
        (untyped, (1,), {"k": object()}, "task() argument 'k': builtins.object has no JSON form"),
        (untyped, (print,), {}, "has no JSON form"),
        (untyped, (float("nan"),), {}, "task() argument 'value': nan has no JSON form"),
        (untyped, ({"a": [float("-inf")]},), {}, "task() argument 'value': -inf has no JSON form"),
        (plain, (1,), {"c": float("inf")}, "task() argument 'c': inf has no JSON form"),
        (untyped, ("\ud800",), {}, "task() argument 'value': 'utf-8' codec can't encode character '\\ud800'"),
    ],
)  # fmt: skip
def test_a_wrong_call_names_the_argument(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], words: str) -> None:
    assert words in refusal(fn, *args, **kwargs)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1}, "set"),
        (b"x", "bytes"),
        (Point(1), "Point"),
        (Model(n=1), "Model"),
        ([{"deep": ({1},)}], "set"),
        ({1: "a"}, "dict whose keys are not texts"),
    ],
)
@pytest.mark.parametrize("place", ["value", "more", "named"])
def test_without_a_hint_nothing_changes_its_type_silently(value: Any, kind: str, place: str) -> None:
    args = {"value": (value,), "more": (1, value), "named": (1,)}[place]
    words = refusal(untyped, *args, **({"named": value} if place == "named" else {}))
    assert f"task() argument {place!r}: no type hint says that it holds a {kind}" in words
    assert "annotate the parameter" in words


def test_a_hint_of_anything_is_no_hint() -> None:
    def loose(a: Any = None, b: dict[str, Any] | None = None, c: list[Any] = [], d: dict = {}, e: object = 0): ...

    for name in "acde":
        assert "no type hint says that it holds a set" in refusal(loose, **{name: {"k": {1}} if name == "d" else [{1}]})
    assert trip(loose, b={"a": (1, "b")}) == ((), {"b": {"a": [1, "b"]}})


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "task() argument 'value': " in refusal(untyped, loop)


def test_a_payload_may_be_a_mebibyte_and_no_more() -> None:
    fits = "x" * (MAX_PAYLOAD - len('[[""],{}]'))
    assert trip(untyped, fits) == ((fits,), {})
    with pytest.raises(
        PayloadTooLarge, match=r"arguments of task\(\) take 1,048,577 bytes as JSON; the limit is 1,048,576"
    ):
        trip(untyped, fits + "x")
    with pytest.raises(PayloadTooLarge, match=r"the result takes 1,048,577 bytes as JSON; .* return a reference to it"):
        ResultCodec(Any).encode("x" * (MAX_PAYLOAD - 1))


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": float("-inf"), "b": None}, object(), "\ud800"])
def test_a_result_without_json_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ResultCodec(Any).encode(value)
    with pytest.raises(InvalidArguments):
        encode(value)


# --- the context ----------------------------------------------------------------------------------------------------


def leading(ctx: Context, a: int, b: int = 2) -> None: ...


def between(a: int, ctx: Context, b: int = 2) -> None: ...


def trailing(a: int, b: int = 2, ctx: Context | None = None) -> None: ...


def by_keyword(a: int, b: int = 2, *, ctx: Context) -> None: ...


def before_rest(a: int, ctx: Context, *more: int) -> None: ...


@pytest.mark.parametrize("fn", [leading, between, trailing, by_keyword])
@pytest.mark.parametrize(("args", "kwargs"), [((1,), {}), ((1, 3), {}), ((), {"a": 1, "b": 3}), ((1,), {"b": 3})])
def test_the_context_stands_anywhere(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    codec = CallCodec(fn, "task")
    context = Context(job_id="x", task="task")
    got = codec.with_context(*codec.decode(codec.encode(args, kwargs)), context)
    bound = codec._signature.bind(*got[0], **got[1])
    bound.apply_defaults()
    assert bound.arguments == {"ctx": context, "a": 1, "b": 3 if 3 in (*args, *kwargs.values()) else 2}


def test_the_context_stands_before_the_rest() -> None:
    codec = CallCodec(before_rest, "task")
    context = Context(job_id="x", task="task")
    assert codec.with_context(*codec.decode(codec.encode((1, 2, 3), {})), context) == ((1, context, 2, 3), {})


def test_the_context_is_no_argument() -> None:
    assert "it takes (a: int, b: int = 2)" in refusal(leading)
    assert "unexpected keyword argument 'ctx'" in refusal(leading, 1, ctx=None)


def test_there_is_one_context() -> None:
    def two(a: Context, b: Context) -> None: ...

    def many(*a: Context) -> None: ...

    with pytest.raises(TaskError, match="only one parameter can be the Context"):
        CallCodec(two, "task")
    with pytest.raises(TaskError, match=r"\*a cannot be the Context"):
        CallCodec(many, "task")


# --- signatures that cannot work ------------------------------------------------------------------------------------


def test_a_union_that_json_cannot_tell_apart_is_refused_at_once() -> None:
    def ambiguous(value: Point | Model) -> None: ...

    with pytest.raises(TaskError, match=r"task task: a parameter's type cannot travel as JSON: .*union") as caught:
        CallCodec(ambiguous, "task")
    assert "Unset" not in str(caught.value)


def test_a_private_name_is_refused_at_once() -> None:
    def private(__a: int) -> None: ...

    with pytest.raises(TaskError, match="a parameter's name cannot begin with __: __a"):
        CallCodec(private, "task")
