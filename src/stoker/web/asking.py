"""What requests say, checked: bodies, filters, pages. Whatever is wrong is a `Problem` that names it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.datastructures import QueryParams
from starlette.requests import Request

from stoker.clock import SECOND, to_span
from stoker.errors import LONGEST
from stoker.job import State, is_storable
from stoker.store import Filter, Page
from stoker.web.problem import Problem

T = TypeVar("T")

MOST: Final = 500
"""Records in one page."""
_LONGEST_NAME: Final = 255
_AT_ONCE: Final = 10_000
"""Ids that one request may name."""
_WORDS: Final = ("queue", "task", "owner", "tag", "workflow", "key", "text")
FIELDS: Final = ("state", *_WORDS, "older_than")
"""All conditions that people can name, in the order in which they are told."""
_STATES: Final = "|".join(State)
_PAGING: Final = ("limit", "before", "token")
_LIMIT: Final = re.compile(r"[0-9]{1,6}")


# --- bodies -----------------------------------------------------------------------------------------------------------


async def body(request: Request, most: int) -> bytes:
    """The request's body. Raises a 413 as soon as it is known to be too large."""
    told = request.headers.get("content-length", "0")
    if told.isascii() and told.isdigit() and (len(told) > 18 or int(told) > most):
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most: int) -> Problem:
    return Problem(413, "body-too-large", f"a request's body may have {most:,} bytes here")


async def json_body(request: Request, kind: type[T], most: int) -> T:
    """The body as JSON of that type; none is the type's defaults. Raises a 400, 413, 415 or 422."""
    raw = await body(request, most)
    if not raw:
        raw = b"{}"
    elif request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported-media-type", "send JSON, with the header content-type: application/json")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid-body", f"the body does not fit: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed-json", f"the body is not JSON: {error}") from None


# --- filters and pages ------------------------------------------------------------------------------------------------


class Conditions(Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Which jobs; every field that is given must match."""

    ids: Annotated[list[str], Meta(max_length=_AT_ONCE)] | None = None
    state: State | list[State] | None = None
    """one, or several of which one must match"""
    queue: str | None = None
    task: str | None = None
    """the whole name"""
    tag: str | None = None
    owner: str | None = None
    workflow: str | None = None
    key: str | None = None
    text: str | None = None
    """occurs in the arguments"""
    older_than: Annotated[float, Meta(ge=0, le=LONGEST)] | None = None
    """seconds for which nothing has happened to the job"""

    @property
    def filter(self) -> Filter:
        """The same for a store. Raises a 422 for text that no store can look for."""
        facts: dict[str, Any] = {
            name: _text(name, value) for name in _WORDS if (value := getattr(self, name)) is not None
        }
        if empty := [name for name in facts if not facts[name]]:
            raise Problem(422, "invalid-filter", f"{empty[0]} is empty: say what it must be, or leave it out")
        if self.ids is not None:
            facts["ids"] = tuple(dict.fromkeys(_text("ids", id) for id in self.ids))
        if self.state is not None:
            facts["states"] = (self.state,) if isinstance(self.state, State) else tuple(self.state)
        if self.older_than is not None:
            facts["idle_for"] = to_span(self.older_than)
        return Filter(**facts)


class Listing(Struct, kw_only=True):
    """The parameters of a list's query."""

    state: Annotated[str, Meta(pattern=f"^(({_STATES})(,({_STATES}))*)?$")] | None = None
    """one, or several with commas"""
    queue: str | None = None
    task: str | None = None
    tag: str | None = None
    owner: str | None = None
    workflow: str | None = None
    key: str | None = None
    text: str | None = None
    older_than: Annotated[float, Meta(ge=0, le=LONGEST)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 50
    before: str | None = None
    """`next` of the page before"""


class Paging(Struct, kw_only=True):
    """The parameters of a list without filters."""

    limit: Annotated[int, Meta(ge=1, le=MOST)] = 50
    before: str | None = None
    """`next` of the page before"""


def filter_of(params: QueryParams, *, others: tuple[str, ...] = _PAGING) -> Filter:
    """The filter that a query makes: `state` (also several, with commas), and the words of `app.jobs`."""
    for name in params:
        if name not in (*FIELDS, *others):
            known = ", ".join(FIELDS)
            raise Problem(422, "invalid-filter", f"there is no filter {name[:50]!r}; the filters are {known}")
    words: dict[str, Any] = {name: params[name] for name in _WORDS if params.get(name)}
    states = [_state(part) for text in params.getlist("state") if text for part in text.split(",")]
    age = params.get("older_than")
    return Conditions(state=states or None, older_than=None if age is None else _age(age), **words).filter


def filter_words(which: Filter) -> str:
    """A filter as people write it: `state=failed queue=mail`, the ids, or `all jobs`."""
    texts = {
        "state": ",".join(which.states or ()),
        **{name: getattr(which, name) for name in _WORDS},
        "older_than": None if which.idle_for is None else f"{which.idle_for / SECOND:g}",
    }
    if () in (which.ids, which.states):
        return "no jobs"
    words = [f"{name}={texts[name]}" for name in FIELDS if texts[name]]
    return " ".join([*words, ", ".join(which.ids or ())]).strip() or "all jobs"


def page_of(params: QueryParams) -> Page:
    """The page that a query asks for: `limit`, and `before`, the last id of the page before."""
    limit = params.get("limit", "50")
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MOST:
        raise Problem(422, "invalid-page", f"limit must be a whole number from 1 to {MOST}, not {limit[:20]!r}")
    before = params.get("before") or None
    return Page(int(limit), None if before is None else _text("before", before))


def queue_name(text: str) -> str:
    """The name of a queue, also of one that nothing is in yet. Raises a 422."""
    if not 1 <= len(text) <= _LONGEST_NAME or not is_storable(text):
        raise Problem(422, "invalid-queue", f"a queue's name is a text of 1 to {_LONGEST_NAME} characters")
    return text


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise Problem(422, "invalid-filter", f"a state is one of {', '.join(State)}, not {text[:50]!r}") from None


def _age(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST:
        raise Problem(422, "invalid-filter", f"older_than must be zero or more seconds, not {text[:20]!r}")
    return seconds


def _text(name: str, text: str) -> str:
    """What every store can look for: see rule 6 of the contract."""
    if not is_storable(text):
        raise Problem(422, "invalid-filter", f"{name} must be Unicode without NUL")
    return text
