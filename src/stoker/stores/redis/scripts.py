"""Reads the Lua files that stand beside the plans, and joins each verb with the parts that it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from stoker.stores.record import CODES

_USES = "-- uses:"

_STATES = (
    f"local {', '.join(state.value.upper() for state in CODES)} = {', '.join(str(code) for code in CODES.values())}\n"
)
"""The states as numbers, by their names: every script begins with it."""

_CONSTANTS: Final = re.compile(r"^local ([A-Z_]+(?:, [A-Z_]+)*) = (\d+(?:, \d+)*)(?: --.*)?\n", re.MULTILINE)
_WORDS: Final = re.compile(r"'(?:[^'\\\n]|\\.)*'|--[^\n]*|\b[A-Z][A-Z_]+\b")
"""A string or a comment, which stay as they are, or what may be a constant's name."""


def load_scripts(package: str, folder: str) -> Mapping[str, str]:
    """The scripts of a folder, by name, in order, each with its parts in front.

    The first line of a file names the parts that it uses (`-- uses: moves wake`); each stands in a script once, behind
    those that it uses itself. Numbers with names (`local MOST = 4000`) are put where they are named: Lua allows a
    function 200 locals, and a script is one function.
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
    return _folded(_STATES + "".join(parts[name] for name in order) + script)


def _folded(script: str) -> str:
    numbers: dict[str, str] = {}
    for names, values in _CONSTANTS.findall(script):
        numbers |= zip(names.split(", "), values.split(", "), strict=True)
    return _WORDS.sub(lambda word: numbers.get(word[0], word[0]), _CONSTANTS.sub("", script))
