"""Mode `async`, from an empty folder, with nothing configured: real programs, from their start to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
from stoker import Stoker
app = Stoker({arguments})

@app.task
async def double(n: int) -> int:
    return n * 2

@app.task
def triple(n: int) -> int:
    return n * 3
"""

SYNC = """
if __name__ == "__main__":
    print(double.enqueue(2).result(30), triple.enqueue(2).result(30))
"""

ASYNC = """
import asyncio
async def main():
    handles = await asyncio.gather(*(double.aenqueue(n) for n in range(100)))
    print(sum([await handle for handle in handles]), await (await triple.aenqueue(1)))
if __name__ == "__main__":
    asyncio.run(main())
"""

CLOSING = """
if __name__ == "__main__":
    with app:
        print(triple.enqueue(5).result(30))
"""


def printed(folder: Path, script: str, **environ: str) -> str:
    (folder / "program.py").write_text(script)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=folder, env=clean | environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.mark.parametrize(("body", "expected"), [(SYNC, "4 6"), (ASYNC, "9900 3"), (CLOSING, "15")])
def test_it_needs_nothing_and_leaves_nothing(tmp_path: Path, body: str, expected: str) -> None:
    assert printed(tmp_path, START.format(arguments='mode="async"') + body) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


@pytest.mark.parametrize("mode", ["async", "foreground"])
def test_the_environment_sets_the_mode(tmp_path: Path, mode: str) -> None:
    assert printed(tmp_path, START.format(arguments="") + SYNC, STOKER_MODE=mode) == "4 6"
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_a_session_without_a_file_works_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START.format(arguments='mode="async"') + SYNC],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "4 6"


def test_the_program_ends_by_itself_with_jobs_that_are_for_later(tmp_path: Path) -> None:
    body = 'if __name__ == "__main__":\n    double.using(delay=3600).enqueue(1)\n    print("bye")\n'
    (tmp_path / "program.py").write_text(START.format(arguments='mode="async"') + body)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "bye"
    assert "1 jobs were dropped with the process that held them" in done.stderr
