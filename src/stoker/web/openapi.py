"""The OpenAPI document, made of the operations: what they take and answer, and how they refuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from msgspec import Struct

from stoker.web.operation import Access, Operation
from stoker.web.reply import JSON

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEM_MEDIA: Final = "application/problem+json"
_SECURITY: Final[Mapping[Access, Sequence[Mapping[str, Sequence[str]]]]] = {
    Access.ALL: [],
    Access.FOLLOWERS: [{"identity": []}, {"token": []}, {"bearer": []}],
    Access.PEOPLE: [{"identity": []}],
    Access.ADMINS: [{"identity": []}],
}
_ALWAYS: Final = {
    503: "the store cannot be reached now, or takes too long; ask again after `Retry-After` seconds",
}
_ASKED: Final = {401: "nobody is signed in, or the token is no good"}
_CLOSED: Final = {403: "not for this identity, or not from there"}
_UNKNOWN: Final = {404: "there is none of that name, or it is out of reach"}
_TOLD: Final = {
    400: "the body is not JSON",
    413: "the body is too large",
    415: "the body is not said to be JSON",
}
_WRONG: Final = {422: "what was said does not fit"}
_CHANGING: Final = {429: "too many requests; ask again after `Retry-After` seconds"}


class ProblemDetails(Struct):
    """What went wrong (RFC 9457)."""

    type: str
    """a word for programs: `urn:stoker:…`"""
    title: str
    status: int
    detail: str
    """a sentence for people"""


def document(operations: Sequence[Operation]) -> Mapping[str, Any]:
    """The document of these operations, but for where they are served."""
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, schemas)
        paths.setdefault(operation.address, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stoker",
            "version": version("stoker"),
            "description": "Background jobs: records for their owners, and what admins do. Errors are problem details.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


_SCHEMES: Final = {
    "identity": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "Whatever the application that this is a part of goes by to know who asks; often a cookie.",
    },
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A token of one job, which lets whoever has it follow that job.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same token in a header."},
}


def _schemas(operations: Iterable[Operation]) -> tuple[Mapping[Any, Any], Mapping[str, Any]]:
    """The schema of every type, and the definitions that they refer to."""
    kinds: dict[Any, None] = {ProblemDetails: None}
    for operation in operations:
        kinds |= dict.fromkeys(kind for kind in (operation.body, operation.answer, operation.query) if kind is not None)
    made, components = msgspec.json.schema_components(list(kinds), ref_template=_REFERENCE)
    return dict(zip(kinds, made, strict=True)), components


def _operation(operation: Operation, schemas: Mapping[Any, Any]) -> Mapping[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "tags": [operation.address.split("/")[1]],
        "security": _SECURITY[operation.access],
        "responses": {
            str(operation.status): _success(operation, schemas),
            **{str(status): {"description": text} for status, text in operation.also.items()},
            **{str(status): _problem(status, text, schemas) for status, text in sorted(_refusals(operation).items())},
        },
    }
    if operation.access is Access.ADMINS:
        described["description"] = "For admins."
    if parameters := [*_in_path(operation), *_in_query(operation), *_in_headers(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        needed = any(field.required for field in msgspec.structs.fields(operation.body))
        described["requestBody"] = {"required": needed, "content": {JSON: {"schema": schemas[operation.body]}}}
    return described


def _name(operation: Operation) -> str:
    words = [part for part in operation.address.split("/") if part and not part.startswith("{")]
    return "_".join((operation.method.lower(), *words, *(f"by_{name}" for name in operation.parameters)))


def _refusals(operation: Operation) -> Mapping[int, str]:
    found: dict[int, str] = {}
    if operation.access is not Access.ALL:
        found |= _ALWAYS | _ASKED | _CLOSED
    if operation.parameters:
        found |= _UNKNOWN
    if operation.body is not None:
        found |= _TOLD | _WRONG
    if operation.query is not None:
        found |= _WRONG
    if operation.method not in ("GET", "HEAD"):
        found |= _CHANGING | _WRONG
    return {**found, **operation.refuses}


def _success(operation: Operation, schemas: Mapping[Any, Any]) -> Mapping[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        described["content"] = {operation.media: {"schema": schemas[operation.answer]}}
    elif operation.status != 204:
        described["content"] = {operation.media: {"schema": {"type": "string"}}}
    if operation.tells:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in operation.tells.items()
        }
    return described


def _problem(status: int, text: str, schemas: Mapping[Any, Any]) -> Mapping[str, Any]:
    described: dict[str, Any] = {
        "description": text,
        "content": {_PROBLEM_MEDIA: {"schema": schemas[ProblemDetails]}},
    }
    if status in (429, 503):
        described["headers"] = {"retry-after": {"description": "seconds", "schema": {"type": "integer"}}}
    return described


def _in_path(operation: Operation) -> Iterable[Mapping[str, Any]]:
    for name in operation.parameters:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(operation: Operation) -> Iterable[Mapping[str, Any]]:
    if operation.query is None:
        return
    made = msgspec.json.schema(operation.query)
    for name, schema in made["$defs"][operation.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _given(schema)}


def _given(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a parameter that is there: null is said by leaving it out."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else schema


def _in_headers(operation: Operation) -> Iterable[Mapping[str, Any]]:
    for name, text in operation.headers.items():
        yield {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
