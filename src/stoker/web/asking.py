"""What requests say, checked: bodies, filters, pages. Whatever is wrong is a `Problem` that names it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from stoker.job import State
from stoker.store import Filter, Page
from stoker.web.problem import Problem

T = TypeVar("T")

MOST: Final = 500
"""Records in one page."""
_WORDS: Final = ("queue", "task", "tag", "owner", "workflow", "key", "text")
_PAGING: Final = ("limit", "before", "token")


async def body(request: Request, most: int) -> bytes:
    """The request's body. Raises a 413 as soon as it is known to be too large."""
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told) > most:
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


async def document(request: Request, kind: type[T], most: int) -> T:
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


def filter_of(params: QueryParams, *, others: tuple[str, ...] = _PAGING) -> Filter:
    """The filter that a query makes: `state` (also several, with commas), and the words of `app.jobs`."""
    for name in params:
        if name not in ("state", *_WORDS, *others):
            raise Problem(
                422, "invalid-filter", f"there is no filter {name!r}; the filters are state, {', '.join(_WORDS)}"
            )
    facts: dict[str, Any] = {name: _text(name, params[name]) for name in _WORDS if params.get(name)}
    if named := [part for text in params.getlist("state") for part in text.split(",") if part]:
        facts["states"] = tuple(_state(text) for text in named)
    return Filter(**facts)


def page_of(params: QueryParams) -> Page:
    """The page that a query asks for: `limit`, and `before`, the last id of the page before."""
    limit = params.get("limit") or "50"
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:6]) <= MOST:
        raise Problem(422, "invalid-page", f"limit must be a whole number from 1 to {MOST}, not {limit[:20]!r}")
    before = params.get("before") or None
    return Page(int(limit), None if before is None else _text("before", before))


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise Problem(422, "invalid-filter", f"a state is one of {', '.join(State)}, not {text[:50]!r}") from None


def _text(name: str, text: str) -> str:
    """What every store can look for: see rule 6 of the contract."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(422, "invalid-filter", f"{name} is not Unicode") from None
    if "\x00" in text:
        raise Problem(422, "invalid-filter", f"{name} cannot contain NUL")
    return text
