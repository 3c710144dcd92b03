"""What survives the trip from the enqueue to the worker and back: every type that is promised, nested too."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.codec import CallCodec, ResultCodec


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Tone(enum.StrEnum):
    DARK = "dark"


@dataclass
class Point:
    x: int
    y: float = 0.5
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Line:
    start: Point
    ends: tuple[Point, ...] = ()


class Photo(msgspec.Struct):
    id: uuid.UUID
    at: datetime
    where: Point | None = None


class Address(pydantic.BaseModel):
    street: str
    since: datetime


class Person(pydantic.BaseModel):
    name: str
    address: Address | None = None
    colours: set[Colour] = set()


class Row(TypedDict):
    a: int
    b: str


class Pair(NamedTuple):
    left: int
    right: str


UserId = NewType("UserId", int)

ID = uuid.UUID("0190f2c4-7b1c-7def-8123-456789abcdef")
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)

CASES: list[tuple[Any, Any]] = [
    (str, "grüße 🐈 \x00"),
    (int, -(2**63)),
    (int, 2**64 - 1),
    (int, 2**200),
    (float, 0.1),
    (float, 1e308),
    (bool, True),
    (None, None),
    (list[int], [1, 2]),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (dict[uuid.UUID, Decimal], {ID: Decimal("1.10")}),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2, 3)),
    (set[int], {1, 2}),
    (frozenset[Colour], frozenset({Colour.RED})),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"abc")),
    (datetime, MOMENT),
    (datetime, datetime(2026, 1, 1)),
    (date, date(2026, 2, 28)),
    (time, time(1, 2, 3)),
    (timedelta, timedelta(days=1, microseconds=1)),
    (uuid.UUID, ID),
    (Decimal, Decimal("123456789012345678901234567890.10")),
    (Colour, Colour.BLUE),
    (Level, Level.HIGH),
    (Tone, Tone.DARK),
    (Path, Path("/var/lib")),
    (Path | None, None),
    (Literal["a", "b"], "b"),
    (UserId, UserId(5)),
    (Annotated[int, msgspec.Meta(ge=1)], 1),
    (int | str | None, "x"),
    (Row, {"a": 1, "b": "c"}),
    (Pair, Pair(1, "a")),
    (Point, Point(1, 2.0, {"t"})),
    (Line, Line(Point(1), (Point(2), Point(3)))),
    (Photo, Photo(ID, MOMENT, Point(1))),
    (Person, Person(name="Ada", address=Address(street="s", since=MOMENT), colours={Colour.RED})),
    (Person | None, Person(name="Ada")),
    (list[Person], [Person(name="Ada")]),
    (dict[str, Person], {"a": Person(name="Ada")}),
    (list[dict[str, tuple[Photo, set[int]]]], [{"a": (Photo(ID, MOMENT), {1})}]),
    (Sequence[Point], [Point(1)]),
    (Mapping[str, Point], {"p": Point(1)}),
    (Any, {"a": [1, 2.5, None, True, {"b": "c"}]}),
    (list, [1, "a", None]),
    (dict, {"a": [1]}),
    (object, [1]),
]

NAMES = [f"{index}-{getattr(hint, '__name__', hint)}" for index, (hint, _) in enumerate(CASES)]


def taking(hint: Any) -> CallCodec:
    def task(value): ...

    task.__annotations__ = {"value": hint}
    return CallCodec(task, "task")


def trip(hint: Any, value: Any) -> Any:
    codec = taking(hint)
    (by_place,), nothing = codec.decode(codec.encode((value,), {}))
    none, by_name = codec.decode(codec.encode((), {"value": value}))
    assert (nothing, none) == ({}, ())
    assert by_name["value"] == by_place
    assert type(by_name["value"]) is type(by_place)
    return by_place


@pytest.mark.parametrize(("hint", "value"), CASES, ids=NAMES)
def test_an_argument_arrives_as_it_was_sent(hint: Any, value: Any) -> None:
    arrived = trip(hint, value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(("hint", "value"), CASES, ids=NAMES)
def test_a_result_comes_back_as_it_was_returned(hint: Any, value: Any) -> None:
    codec = ResultCodec(type(None) if hint is None else hint)
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


def test_an_instant_survives_in_any_zone() -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert trip(datetime, moment) == moment


def test_a_result_that_does_not_fit_its_hint_comes_back_as_plain_json() -> None:
    codec = ResultCodec(int)
    assert codec.decode(codec.encode("not a number")) == "not a number"


def test_a_result_without_a_hint_comes_back_as_plain_json() -> None:
    codec = ResultCodec(Any)
    assert codec.decode(codec.encode(Point(1, 2.0))) == {"x": 1, "y": 2.0, "tags": []}


HINTS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(codec="utf-8")),
    bytes: st.binary(),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    timedelta: st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)),
    uuid.UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Colour: st.sampled_from(Colour),
    Point: st.builds(
        Point, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sets(st.text("abc"), max_size=3)
    ),
}


def _wider(inner: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    def several(pair: tuple[Any, Any]) -> st.SearchStrategy[tuple[Any, Any]]:
        hint, value = pair
        wrap: list[Callable[[], tuple[Any, Any]]] = [
            lambda: (list[hint], [value, value]),
            lambda: (tuple[hint, ...], (value,)),
            lambda: (dict[str, hint], {"k": value}),
            lambda: (hint | None, value),
        ]
        return st.sampled_from(wrap).map(lambda make: make())

    return inner.flatmap(several)


leaves = st.sampled_from(list(HINTS)).flatmap(lambda hint: st.tuples(st.just(hint), HINTS[hint]))


@settings(max_examples=80, deadline=None)
@given(st.recursive(leaves, _wider, max_leaves=6))
def test_any_nesting_survives_the_trip(pair: tuple[Any, Any]) -> None:
    hint, value = pair
    assert trip(hint, value) == value
    codec = ResultCodec(hint)
    assert codec.decode(codec.encode(value)) == value


texts = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None)
@given(st.lists(json_values, max_size=4), st.dictionaries(st.text("abc", min_size=1), json_values, max_size=4))
def test_any_json_survives_the_trip_without_hints(args: list[Any], kwargs: dict[str, Any]) -> None:
    def task(*args, **kwargs): ...

    codec = CallCodec(task, "task")
    got_args, got_kwargs = codec.decode(codec.encode(args, kwargs))
    assert list(got_args) == args
    assert got_kwargs == kwargs
    assert list(got_kwargs) == list(kwargs)
