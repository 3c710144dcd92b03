"""Reads the statement and migration files that stand beside a store's plans."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files


def load_statements(package: str, name: str) -> Mapping[str, str]:
    """The named statements of a file: each begins with a line `-- name: NAME`."""
    found: dict[str, str] = {}
    for part in files(package).joinpath(name).read_text("utf-8").split("-- name: ")[1:]:
        title, _, text = part.partition("\n")
        found[title.strip()] = text.strip()
    return found


def load_migrations(package: str) -> Mapping[str, str]:
    """The migrations of a store, by name (`0001_jobs`), in order."""
    folder = files(package).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): folder.joinpath(name).read_text("utf-8") for name in names}


def split_statements(script: str) -> list[str]:
    """The single statements of a migration. A statement ends with a semicolon at the end of a line."""
    return [part.strip() for part in script.rstrip().removesuffix(";").split(";\n") if part.strip()]
