"""What the type checkers say of calls that fit and of calls that do not. Each runs once over both files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RIGHT, WRONG = HERE / "right.py", HERE / "wrong.py"

Found = set[tuple[str, int]]


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def mypy(_: Path) -> Found:
    lines = run("mypy", "--strict", "--no-error-summary", str(RIGHT), str(WRONG)).splitlines()
    found = [re.match(r"(?:.*/)?(\w+\.py):(\d+): error: ", line) for line in lines]
    return {(match[1], int(match[2])) for match in found if match}


def basedpyright(folder: Path) -> Found:
    project = folder / "pyrightconfig.json"  # ours leaves the wrong file out
    project.write_text(json.dumps({"include": [str(RIGHT), str(WRONG)], "pythonVersion": "3.11"}))
    report = json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(project)))
    return {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in report["generalDiagnostics"]
        if entry["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, basedpyright])
def test_wrong_lines_are_found_and_no_others(checker: Callable[[Path], Found], tmp_path: Path) -> None:
    lines = WRONG.read_text("utf-8").splitlines()
    expected = {("wrong.py", number) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(expected) > 20
    assert checker(tmp_path) == expected
