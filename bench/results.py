"""What was measured, as JSON for scripts and as Markdown for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.measuring import ROUNDS, Facts

FOLDER = Path(os.environ.get("BENCH_RESULTS", Path(__file__).parent / "results"))


class Results:
    """The results of one store: sections that are not measured again stay as they are."""

    def __init__(self, store: str) -> None:
        self._path = FOLDER / f"{store}.json"
        self._facts: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def put(self, name: str, section: dict[str, Facts]) -> None:
        """Keep and write a section."""
        self._facts[name] = section
        if name != "machine":
            self._facts.setdefault("rounds", {})[name] = ROUNDS
        FOLDER.mkdir(exist_ok=True)
        self._path.write_text(json.dumps(self._facts, indent=2) + "\n")

    def describe(self, title: str, sections: Iterable[str]) -> None:
        """Write the Markdown."""
        machine = "\n".join(f"- {key}: {_shown(value)}" for key, value in self._facts["machine"].items())
        tables = [table(name, self._facts[name]) for name in sections if name in self._facts]
        rounds = ", ".join(f"{name} {number}" for name, number in self._facts["rounds"].items())
        head = f"# {title}, measured by `make bench`\n\n{machine}\n- rounds: {rounds}\n\nMedians."
        text = f"{head}\n\n" + "\n".join(tables)
        self._path.with_suffix(".md").write_text(text)


def table(name: str, section: dict[str, Facts]) -> str:
    """A section in Markdown."""
    columns = sorted({key for facts in section.values() for key in facts})
    lines = [f"## {name}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for side, facts in section.items():
        cells = (_shown(facts.get(key, "")) for key in columns)
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    return str(value)
