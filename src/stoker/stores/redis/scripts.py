"""Reads the Lua files that stand beside the plans, and joins each verb with the parts that it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from stoker.audit_store import AUDIT_KEPT
from stoker.job import LOGS_KEPT, LONGEST_LOG
from stoker.stores.record import CODES
from stoker.tally_store import TALLIES_KEPT

_USES: Final = re.compile(r"-- (seldom )?uses:(.*)\n")

_NUMBERS = {state.value.upper(): code for state, code in CODES.items()} | {
    "LONGEST_LOG": LONGEST_LOG,
    "LOGS_KEPT": LOGS_KEPT,
    "TALLIES_KEPT": TALLIES_KEPT,
    "AUDIT_KEPT": AUDIT_KEPT,
}
_CONTRACT = f"local {', '.join(_NUMBERS)} = {', '.join(map(str, _NUMBERS.values()))}\n"
"""Numbers of the contract, the states among them, by their names: every script begins with it."""

_CONSTANTS: Final = re.compile(r"^local ([A-Z_]+(?:, [A-Z_]+)*) = (\d+(?:, \d+)*)(?: --.*)?\n", re.MULTILINE)
_INNER: Final = "-- inner --\n"
_LOCALS: Final = re.compile(r"^local (?:function )?(\w+(?:, \w+)*)", re.MULTILINE)
_WORDS: Final = re.compile(r"'(?:[^'\\\n]|\\.)*'|--[^\n]*|\b[A-Z][A-Z_]+\b")
"""A string or a comment, which stay as they are, or what may be a constant's name."""


@cache
def load_scripts(package: str, folder: str) -> Mapping[str, str]:
    """The scripts of a folder, by name, in order, each with its parts in front.

    The first line of a file names the parts that it uses (`-- uses: moves wake`); each stands in a script once, behind
    those that it uses itself. Numbers with names (`local MOST = 4000`) are put where they are named: Lua allows a
    function 200 locals, and a script is one function.

    A part that begins with `-- seldom uses:` is there only after it was called by its name, which may be done again:
    each run of a script makes all its functions anew. What follows a line `-- inner --` is a function within the
    script: to find what a function refers to, Lua goes through all that others of its level do.
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
        header = _USES.match(text)
        for name in header[2].split() if header else ():
            if name not in order:
                use(parts[name])
                order[name] = None

    use(script)
    text = _CONTRACT + "".join(_part(name, parts[name]) for name in order) + script
    return _folded(text.replace(_INNER, "return (function()\n") + "\nend)()" * text.count(_INNER))


def _part(name: str, text: str) -> str:
    header = _USES.match(text)
    if header is None or not header[1]:
        return text
    constants = "".join(found[0] for found in _CONSTANTS.finditer(text))
    text = _CONSTANTS.sub("", text)
    names = ", ".join(_LOCALS.findall(text))
    body = re.sub(r"^local \w+(?:, \w+)*\n|^local ", "", text, flags=re.MULTILINE)
    declared = f"local {name}_made, {names}\nlocal function {name}()\n"
    return f"{constants}{declared}if {name}_made then return end\n{name}_made = true\n{body}end\n"


def _folded(script: str) -> str:
    numbers: dict[str, str] = {}
    for names, values in _CONSTANTS.findall(script):
        numbers |= zip(names.split(", "), values.split(", "), strict=True)
    return _WORDS.sub(lambda word: numbers.get(word[0], word[0]), _CONSTANTS.sub("", script))
