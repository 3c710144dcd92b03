"""Reads the Lua files that stand beside the plans, and joins each verb with the parts that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from stoker.stores.record import CODES

_USES = "-- uses:"

_STATES = (
    f"local {', '.join(state.value.upper() for state in CODES)} = {', '.join(str(code) for code in CODES.values())}\n"
)
"""The states as numbers, by their names: every script begins with it."""


def load_scripts(package: str, folder: str) -> Mapping[str, str]:
    """The scripts of a folder, by name, in order, each with its parts in front.

    The first line of a file names the parts that it uses (`-- uses: moves wake`); each stands in a script once, behind
    those that it uses itself.
    """
    here = files(package)
    parts = _texts(here.joinpath("parts"))
    return {name: _joined(text, parts) for name, text in sorted(_texts(here.joinpath(folder)).items())}


def _texts(folder: Traversable) -> dict[str, str]:
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return {name.removesuffix(".lua"): folder.joinpath(name).read_text("utf-8") for name in names}


def _joined(script: str, parts: Mapping[str, str]) -> str:
    order: dict[str, None] = {}

    def use(text: str) -> None:
        first = text.partition("\n")[0]
        if first.startswith(_USES):
            for name in first.removeprefix(_USES).split():
                if name not in order:
                    use(parts[name])
                    order[name] = None

    use(script)
    return _STATES + "".join(parts[name] for name in order) + script
