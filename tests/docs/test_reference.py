"""The reference pages name what there is: no more, no less."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec
import pytest
import typer

import stoker
from docs.pages import PAGES, ROOT, blocks, code_spans, name_of
from stoker import events
from stoker.app import Stoker
from stoker.cli.app import app as cli
from stoker.job import TRANSITIONS, Job, State
from stoker.jobs import Jobs
from stoker.locks import Lock, Locks
from stoker.options import _CLEAN
from stoker.queues import Queues
from stoker.schedules import Schedules
from stoker.settings import Settings
from stoker.workers import Workers
from stoker.workflow import Running, Workflow
from stoker.workflows import Workflows

REFERENCE = ROOT / "docs" / "reference"

# --- the command line -------------------------------------------------------------------------------------------------


def commands(command: Any, path: str) -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {path: command}
    found: dict[str, Any] = {}
    for name, inner in command.commands.items():
        found |= commands(inner, f"{path} {name}")
    return found


COMMANDS = commands(typer.main.get_command(cli), "stoker")
SHARED = {"--app", "--url", "--json", "--help"}


def long_options(command: Any) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("--")}


def all_options(command: Any) -> set[str]:
    return {name for one in command.params for name in one.opts if name.startswith("-")} | {"--help", "-h"}


def sections() -> dict[str, str]:
    text = (REFERENCE / "cli.md").read_text("utf-8")
    parts = re.split(r"^### `(stoker[^`]*)`.*$", text, flags=re.MULTILINE)
    return {" ".join(re.findall(r"^stoker(?: [a-z]+)*", name)): body for name, body in zip(parts[1::2], parts[2::2])}


def test_the_commands_are_those_of_the_help():
    assert sorted(sections()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_options_of_a_command_are_those_of_its_help(name):
    body = re.split(r"^## ", sections()[name], flags=re.MULTILINE)[0]
    said = set(re.findall(r"`(--[a-z-]+)", body))
    if "the filters" in body:
        said |= filters()
    if "the approval" in body:
        said |= {"--yes", "--dry-run"}
    if "the options of `stoker worker`" in body:
        said |= long_options(COMMANDS["stoker worker"])
    assert said - SHARED == long_options(COMMANDS[name]) - SHARED


def filters() -> set[str]:
    text = (REFERENCE / "cli.md").read_text("utf-8")
    [line] = re.findall(r"^\*\*The filters\*\*[\s\S]*?\n\n", text, re.MULTILINE)
    return set(re.findall(r"`(--[a-z-]+)", line))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_that_are_shown_exist(page):
    wrong = []
    for block in blocks(page):
        if block.kind not in {"sh", "console"}:
            continue
        for line in block.text.splitlines():
            for call in re.split(r"\|\||&&|[|;]", line.partition(" # ")[0]):
                words = call.removeprefix("$ ").split()
                if words and words[0] == "stoker" and not understood(words):
                    wrong.append(call)
    assert wrong == []


def understood(words: list[str]) -> bool:
    command: Any = typer.main.get_command(cli)
    options = all_options(command) | {"--version"}
    for word in words[1:]:
        inner = getattr(command, "commands", {}).get(word)
        if inner is not None:
            command = inner
            options |= all_options(command)
    flags = {
        word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1 and not word[1].isdigit()
    }
    return (not hasattr(command, "commands") and flags <= options) or flags <= {"--help", "--version"}


# --- names ------------------------------------------------------------------------------------------------------------


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def named(page: str) -> set[str]:
    """Every name that occurs in the code of a page."""
    path = REFERENCE / page
    texts = code_spans(path) | {block.text for block in blocks(path)}
    return {name for text in texts for name in re.findall(r"[A-Za-z_]\w*", text)}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(set(stoker.__all__), id="stoker"),
        pytest.param(public(Stoker), id="Stoker"),
        pytest.param(public(stoker.BoundTask), id="BoundTask"),
        pytest.param(public(stoker.JobHandle) - {"_decode"}, id="JobHandle"),
        pytest.param(public(Jobs), id="Jobs"),
        pytest.param(public(Queues), id="Queues"),
        pytest.param(public(Workers), id="Workers"),
        pytest.param(public(Schedules), id="Schedules"),
        pytest.param(set(stoker.ScheduleRecord.__struct_fields__), id="ScheduleRecord"),
        pytest.param(set(_CLEAN), id="options"),
        pytest.param(set(Job.__struct_fields__), id="Job"),
    ],
)
def test_the_api_page_names_everything(names):
    assert names - named("api.md") == set()


@pytest.mark.parametrize(
    "kind", [Workflow, stoker.WorkflowHandle, Workflows, Running, Locks, Lock], ids=lambda kind: kind.__name__
)
def test_the_page_of_workflows_and_locks_names_everything(kind):
    assert public(kind) - {"of"} - named("workflows.md") == set()


def test_the_page_of_workflows_has_every_field_of_a_record():
    assert set(stoker.WorkflowRecord.__struct_fields__) - named("workflows.md") == set()


def test_the_settings_page_has_every_setting_with_its_default():
    rows = re.findall(
        r"^\| `(\w+)` \| `(STOKER_\w+)` \| (?:`([^`]*)`|none) \|", (REFERENCE / "settings.md").read_text(), re.MULTILINE
    )
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    expected = {
        name: (
            f"STOKER_{name.upper()}",
            ""
            if field.default is None
            else f"{field.default:g}"
            if isinstance(field.default, float)
            else str(field.default),
        )
        for name, field in fields.items()
    }
    assert {name: (variable, default) for name, variable, default in rows} == expected


def test_the_events_page_has_every_event():
    kinds = {kind.__name__: kind for kind in get_args(events.Event)}
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", (REFERENCE / "events.md").read_text("utf-8"), re.MULTILINE)
    said = {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
    assert said == {name: set(kind.__struct_fields__) for name, kind in kinds.items()}


def test_the_states_page_has_every_state_and_move():
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", (REFERENCE / "states.md").read_text("utf-8"), re.MULTILINE)
    said = {State(name): frozenset(State(word) for word in re.findall(r"`(\w+)`", moves)) for name, moves in rows}
    assert said == dict(TRANSITIONS)
