"""The OpenAPI document: it says what the application does, and the application does what it says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance, unsupported_method
from starlette.routing import Route
from tests.web.conftest import ADMIN, declare, identify

from stoker import Stoker, batch
from stoker.bound import BoundCall
from stoker.store import Worker
from stoker.web import create
from stoker.web.api import Api
from stoker.web.asking import Conditions, Listing
from stoker.web.openapi import document
from stoker.web.reply import reply

CANARY = "CANARY"


class Subject:
    """An application with the jobs of two owners, one of whom has but one text. Nobody runs them."""

    def __init__(self) -> None:
        self.app = Stoker("memory://", mode="queue")
        declare(self.app)
        self.web: Any = create(self.app, identify, rate=None, max_body=100_000)
        self.document = json.loads(reply(document(Api(self.web.state.desk).operations)).body)
        self.mine: list[str] = []
        self.theirs: list[str] = []
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        store = self.app.engine.connection.store
        for owner, ids in (("ann", self.mine), (CANARY, self.theirs)):
            options = {"owner": owner, "queue": f"q-{owner}", "tags": [owner], "meta": {owner: owner}}
            calls = [self._call(owner, options) for _ in range(3)]
            ids += [job.id for job in await self.app.aenqueue_many(calls)]
            await self.app.jobs.acancel(ids[0], reason=owner)
            ids.append((await batch(calls[:2], then=calls[2]).aenqueue()).id)
        await self.app.schedules.aadd("every day", "jobs.add", args=(1,), name="schedule")
        worker = Worker(id="worker", host="here", pid=1, version="0", concurrency=1)
        await self.app.engine.arun(store.register(worker, 10**12))

    def _call(self, owner: str, options: Any) -> BoundCall:
        task = self.app.registry.get("jobs.echo")
        return BoundCall(self.app.engine, task, task.options.using(options), (owner,), {})


SUBJECT = Subject()
DOCUMENT = SUBJECT.document


def test_the_document_names_every_route_and_no_other() -> None:
    described = {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in SUBJECT.web.routes
        if isinstance(route, Route) and route.path != "/" and not route.path.startswith(("/ui", "/static"))
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == served


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else ())
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    found = set(walk(DOCUMENT))
    assert {"#/components/schemas/Job", "#/components/schemas/ProblemDetails"} <= found
    assert {reference.removeprefix("#/components/schemas/") for reference in found} <= schemas.keys()
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"identity", "token", "bearer"}


def test_filters_in_queries_and_bodies_are_the_same() -> None:
    assert set(Listing.__struct_fields__) - {"limit", "before"} == set(Conditions.__struct_fields__) - {"ids"}


# --- the application, asked whatever the document allows and what it does not -----------------------------------------

EXAMPLES = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
GENERATION = GenerationConfig(deterministic=True, max_examples=15, with_security_parameters=False)
CONFIG = SchemathesisConfig(
    seed=1, projects=ProjectsConfig(default=ProjectConfig(generation=GENERATION, continue_on_failure=True))
)
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", SUBJECT.web, config=CONFIG, headers={"x-user": ADMIN})
ENDLESS = "/jobs/{id}/events"
"""Of a job that nobody runs."""

NOT_CHECKED = [positive_data_acceptance, ignored_auth]
"""A schema cannot say which arguments fit which task, nor by which header this application knows who asks."""


@SCHEMA.parametrize()
@EXAMPLES
def test_what_admins_ask_is_answered_as_described(case: Any) -> None:
    case.call_and_validate(headers={"x-user": ADMIN}, excluded_checks=NOT_CHECKED)


@SCHEMA.parametrize()
@EXAMPLES
def test_what_an_owner_asks_tells_nothing_of_the_other(case: Any) -> None:
    said = case.call_and_validate(headers={"x-user": "ann"}, excluded_checks=NOT_CHECKED)
    assert CANARY not in said.text
    assert not any(id in said.text for id in SUBJECT.theirs)


@SCHEMA.exclude(path=ENDLESS).include(path_regex=r"\{").parametrize()
@settings(EXAMPLES, max_examples=5)
def test_what_is_there_is_answered_as_described(case: Any) -> None:
    if case.path.startswith("/workers"):
        ids = ["worker"]
    elif case.path.startswith(("/schedules", "/queues")):
        ids = ["schedule", f"q-{CANARY}"]
    else:
        ids = [*SUBJECT.mine, *SUBJECT.theirs]
    [parameter] = case.path_parameters
    for id in ids:
        case.path_parameters = {parameter: id}
        for who in ("ann", ADMIN):
            said = case.call(headers={"x-user": who})
            # to GET /schedules/a/run is to ask for the schedule `a/run`
            case.validate_response(said, excluded_checks=[*NOT_CHECKED, unsupported_method])
            if who == "ann" and id not in SUBJECT.theirs:
                assert CANARY not in said.text.replace(id, "")
            if who == "ann" and id in SUBJECT.theirs:
                assert said.status_code in (400, 404, 405, 413, 415, 422)
                assert CANARY not in said.text
