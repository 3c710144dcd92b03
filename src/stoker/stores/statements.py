"""Reads the statement and migration files that stand beside a store's plans."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

from stoker.stores.record import CODES, PARKED

_STATES = {state.value: str(code) for state, code in CODES.items()} | {"parked": str(PARKED)}


def _read(file: Traversable) -> str:
    """The text, with states (`$queued`) as the numbers that a database holds. JSON paths (`$.x`) stay as they are."""
    return Template(file.read_text("utf-8")).safe_substitute(_STATES)


def load_statements(package: str, name: str) -> Mapping[str, str]:
    """The named statements of a file: each begins with a line `-- name: NAME`."""
    found: dict[str, str] = {}
    for part in _read(files(package).joinpath(name)).split("-- name: ")[1:]:
        title, _, text = part.partition("\n")
        found[title.strip()] = text.strip()
    return found


def load_migrations(package: str) -> Mapping[str, str]:
    """The migrations of a store, by name (`0001_jobs`), in order."""
    folder = files(package).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): _read(folder.joinpath(name)) for name in names}


def split_statements(script: str) -> list[str]:
    """The single statements of a migration. A statement ends with a semicolon at the end of a line."""
    return [part.strip() for part in script.rstrip().removesuffix(";").split(";\n") if part.strip()]
