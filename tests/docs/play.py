"""Plays one page in the current directory: every block in order, in one namespace. `python play.py PAGE`

- `python` blocks run; one that begins with `# NAME.py` is also that file, which other processes can import. One that
  begins with `# NAME.py, continued` is added to it. A bare `await` is allowed, as in `python -m asyncio`.
- `python no-run` blocks are only compiled.
- `console` blocks hold commands (`$ …`) and what they print, in which `…` stands for anything. Each must end with 0,
  or with N where `(exit code N)` is the last line.
- `toml` blocks that begin with `# NAME.toml` are that file.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import json
import os
import re
import shlex
import socket
import sys
import tempfile
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

HERE = str(Path(__file__).parent)
sys.path[:] = [str(Path.cwd()), HERE, *(entry for entry in sys.path if entry != HERE)]

from pages import Block, blocks  # noqa: E402

_FILE = re.compile(r"^# (\w+)\.py(, continued)?$")
_TOML = re.compile(r"^# ([\w.]+\.toml)$")
_EXIT = re.compile(r"^\(exit code (\d+)\)$")


class Shell:
    """Runs command lines, each in a process of its own, forked from one that has imported what `stoker` needs."""

    def __init__(self, wanted: bool) -> None:
        self._ours, theirs = socket.socketpair()
        if wanted and os.fork() == 0:
            self._ours.close()
            self._serve(theirs)
        theirs.close()
        self._replies = self._ours.makefile("r")

    def run(self, command: str) -> tuple[int, str]:
        """The exit code, and what it printed."""
        self._ours.sendall(json.dumps(command).encode() + b"\n")
        code, printed = json.loads(self._replies.readline())
        return code, printed

    def _serve(self, wire: socket.socket) -> NoReturn:
        from stoker.cli.app import run as stoker

        for line in wire.makefile("r"):
            words = shlex.split(json.loads(line))
            assert words[0] == "stoker", words
            with tempfile.TemporaryFile() as printed:
                child = os.fork()
                if child == 0:
                    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                    os.dup2(printed.fileno(), 1)
                    os.dup2(printed.fileno(), 2)
                    code = stoker(words[1:])
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                printed.seek(0)
                wire.sendall(json.dumps([code, printed.read().decode()]).encode() + b"\n")
        os._exit(0)


class Player:
    def __init__(self, page: str, shell: Shell) -> None:
        self._page = page
        self._shell = shell
        self._names: dict[str, Any] = {"__name__": "page", "__builtins__": __builtins__}
        self._runner = asyncio.Runner()

    def play(self, block: Block) -> None:
        match block.kind:
            case "python":
                self._python(block)
            case "python no-run":
                self._compiled(block)
            case "console":
                self._console(block)
            case "toml":
                self._toml(block)

    def _compiled(self, block: Block) -> CodeType:
        text = "\n" * (block.line - 1) + block.text
        return compile(text, self._page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)

    def _python(self, block: Block) -> None:
        file = _FILE.match(block.text.splitlines()[0])
        code = self._compiled(block)
        if file is not None:
            self._module(file[1], block.text, more=file[2] is not None)
        elif code.co_flags & inspect.CO_COROUTINE:
            self._runner.run(self._awaited(code))
        else:
            exec(code, self._names)

    async def _awaited(self, code: CodeType) -> None:
        await eval(code, self._names)

    def _module(self, name: str, text: str, *, more: bool) -> None:
        """Write the file, and import it as a worker would."""
        path = Path(f"{name}.py")
        path.write_text((path.read_text() if more else "") + text)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        sys.modules["page"] = module
        self._names |= {key: value for key, value in vars(module).items() if not key.startswith("__")}

    def _toml(self, block: Block) -> None:
        file = _TOML.match(block.text.splitlines()[0])
        if file is not None:
            Path(file[1]).write_text(block.text)

    def _console(self, block: Block) -> None:
        for number, command, expected in commands(block):
            code = 0
            if expected and (ending := _EXIT.match(expected[-1])):
                code = int(ending[1])
                expected = expected[:-1]
            ended, printed = self._shell.run(command)
            where = f"{self._page}:{number}: {command}"
            assert ended == code, f"{where}\nended with {ended}:\n{printed}"
            assert not expected or pattern(expected).search(printed), f"{where}\nprinted:\n{printed}"


def commands(block: Block) -> list[tuple[int, str, list[str]]]:
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            found.append((number, line[2:], []))
        elif line.strip():
            found[-1][2].append(line.strip())
    return found


def pattern(lines: list[str]) -> re.Pattern[str]:
    """The lines in order, blanks of any length; `…` is anything on a line, and alone on a line any lines."""
    parts = []
    for line in lines:
        words = [".*".join(map(re.escape, word.split("…"))) for word in line.split()]
        parts.append(r"[\s\S]*" if line == "…" else r"[ \t]+".join(words))
    return re.compile(r"\s*\n\s*".join(parts))


def main() -> None:
    page = Path(sys.argv[1])
    found = blocks(page)
    player = Player(sys.argv[1], Shell(any(block.kind == "console" for block in found)))
    for block in found:
        player.play(block)
    sys.stdout.flush()
    os._exit(0)  # apps that a page leaves open may have threads; what it had to show was shown


if __name__ == "__main__":
    main()
