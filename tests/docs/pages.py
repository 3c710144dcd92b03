"""The pages of the documentation, and what stands in them: fenced blocks, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

_FENCE = re.compile(r"^```(.*)$")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?)\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its info string (`python`, `console`, …), its text, and the number of its first line."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Link:
    """One link as it is written."""

    text: str
    target: str
    line: int


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _lines(page: Path) -> Iterator[tuple[int, str, str | None]]:
    """Every line with its number and the info string of the block that it stands in; fences are left out."""
    kind: str | None = None
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = _FENCE.match(line.strip())
        if fence is None:
            yield number, line, kind
        elif kind is None:
            kind = fence[1].strip()
        else:
            kind = None
    assert kind is None, f"{page}: a block is not closed"


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    last = 0
    for number, line, kind in _lines(page):
        if kind is None:
            continue
        if found and number == last + 1:
            found[-1] = Block(kind, f"{found[-1].text}{line}\n", found[-1].line)
        else:
            found.append(Block(kind, f"{line}\n", number))
        last = number
    return found


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines outside blocks."""
    for number, line, kind in _lines(page):
        if kind is None:
            yield number, line


def links(page: Path) -> list[Link]:
    return [Link(found[1], found[2], number) for number, line in prose(page) for found in _LINK.finditer(line)]


def anchors(page: Path) -> set[str]:
    """The names by which the page's headings can be linked to, as forges make them."""
    found = (_HEADING.match(line) for _, line in prose(page))
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]) for heading in found if heading)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in plain}


def code_spans(page: Path) -> set[str]:
    """Everything that stands between backticks outside blocks."""
    return {span for _, line in prose(page) for span in re.findall(r"`([^`]+)`", line)}
