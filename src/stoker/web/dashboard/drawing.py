"""The picture of a workflow: its steps at their places, with what each of them is and does. Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from msgspec import Struct

from stoker.job import FINAL, Job, State
from stoker.parents import missed
from stoker.store import Flow
from stoker.web.dashboard.folding import Folded, Member, fold
from stoker.web.dashboard.graph import HEIGHT, WIDTH, Layout, layout
from stoker.web.dashboard.words import line, percent, span
from stoker.workflow_record import record_of

MARGIN: Final = 24
"""Pixels around the picture."""
_COLUMNS: Final = 20
"""Letters of a label."""
RAIL: Final = WIDTH - 32
"""Pixels that the bar of a step is long."""
_THIN: Final = 3.0
_MOST_PARENTS: Final = 3
"""Of those that a step waits for, so many are named."""


class Bar(Struct, frozen=True):
    """A part of a step's bar."""

    state: State
    x: float
    width: float


class Node(Struct, frozen=True, kw_only=True):
    """A step, or many that are alike, as it is drawn and told."""

    key: str
    """the first job's id"""
    x: int
    y: int
    task: str
    label: str
    """the task's last name, short enough to be drawn"""
    many: int
    state: State
    unneeded: bool
    note: str
    """what there is to say besides its name"""
    counts: Sequence[tuple[State, int]]
    bars: Sequence[Bar]
    progress: float | None
    href: str
    """its page, below the mount"""
    parents: Sequence[str]
    """names of the first that it waits for"""
    more_parents: int
    """how many it waits for besides"""
    held: bool
    """something that it waits for ended badly"""

    @property
    def retriable(self) -> bool:
        """Whether it is one job from which on all can be retried."""
        return self.many == 1 and not self.unneeded and not self.held and self.state in (State.FAILED, State.CANCELLED)


class Line(Struct, frozen=True):
    """An edge: how it goes, and how the step that it comes from stands."""

    path: str
    state: State


class Drawing(Struct, frozen=True):
    """The whole picture."""

    width: int
    height: int
    nodes: Sequence[Node]
    """each behind those that it waits for"""
    lines: Sequence[Line]
    node_width: int = WIDTH
    node_height: int = HEIGHT
    rail: int = RAIL


def draw(workflow: str, jobs: Sequence[Job]) -> Drawing | None:
    """The picture of a workflow's jobs; None where there are too many that differ."""
    folded = fold([Member(job.id, job.task, job.parents) for job in jobs])
    if folded is None:
        return None
    placed = layout(len(folded.groups), folded.edges)
    groups = [[jobs[step] for step in group] for group in folded.groups]
    nodes = _nodes(workflow, groups, folded, placed)
    lines = [Line(curve.path, nodes[curve.source].state) for curve in placed.curves]
    ordered = sorted(nodes, key=lambda node: (node.x, node.y))
    return Drawing(placed.width + 2 * MARGIN, placed.height + 2 * MARGIN, ordered, lines)


def _nodes(workflow: str, groups: Sequence[Sequence[Job]], folded: Folded, placed: Layout) -> list[Node]:
    parents: list[list[str]] = [[] for _ in groups]
    for source, target in folded.edges:
        parents[target].append(_called(groups[source]))
    known = {job.id: job for group in groups for job in group}
    return [
        _node(workflow, group, spot.x, spot.y, names, held=any(missed(group[0], known)))
        for group, spot, names in zip(groups, placed.spots, parents, strict=True)
    ]


def _node(workflow: str, jobs: Sequence[Job], x: int, y: int, parents: Sequence[str], *, held: bool) -> Node:
    first, many = jobs[0], len(jobs)
    counts = Counter(job.state for job in jobs)
    state = first.state if many == 1 else record_of(Flow(id="", counts=counts, created_at=0, updated_at=0)).state
    progress = first.progress if many == 1 else sum(counts[one] for one in FINAL) / many
    told = [(one, counts[one]) for one in State if counts[one]]
    return Node(
        key=first.id,
        x=x,
        y=y,
        task=first.task,
        label=cut(first.task.rpartition(".")[2] or first.task, _COLUMNS if many == 1 else _COLUMNS - 7),
        many=many,
        state=state,
        unneeded=all(job.unneeded for job in jobs),
        note=_note(first) if many == 1 else ", ".join(f"{number:,} {one.value}" for one, number in told[::-1][:2]),
        counts=told,
        bars=shares(counts, RAIL, _THIN) if many > 1 else _bar(first),
        progress=progress,
        href=f"ui/jobs/{quote(first.id, safe='')}" if many == 1 else listed(workflow, task=first.task),
        parents=parents[:_MOST_PARENTS],
        more_parents=max(0, len(parents) - _MOST_PARENTS),
        held=held,
    )


def listed(workflow: str, **others: str) -> str:
    """The list of a workflow's jobs, below the mount."""
    return f"ui/jobs?{urlencode({'workflow': workflow, **others})}"


def _called(jobs: Sequence[Job]) -> str:
    name = line(jobs[0].task.rpartition(".")[2] or jobs[0].task, 60)
    return name if len(jobs) == 1 else f"{name} \N{MULTIPLICATION SIGN} {len(jobs):,}"


def _note(job: Job) -> str:
    if job.unneeded:
        return "not needed"
    parts = [job.state.value]
    if job.state is State.PROCESSING and job.progress is not None:
        parts.append(percent(job.progress))
    elif job.started_at is not None and job.finished_at is not None:
        parts.append(span((job.finished_at - job.started_at).total_seconds()))
    elif job.state is State.WAITING and job.open_parents:
        parts.append(f"for {len(job.open_parents):,}")
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    return " · ".join(parts)


def _bar(job: Job) -> list[Bar]:
    return [Bar(job.state, 0, round(RAIL * job.progress, 1))] if job.progress else []


def shares(counts: Mapping[State, int], length: float, thin: float) -> list[Bar]:
    """A bar of so much of what has ended, state by state, and of what runs; whatever there is can be seen."""
    total = sum(counts.values())
    order = (State.COMPLETED, State.FAILED, State.CANCELLED, State.PROCESSING)
    shown = [state for state in order if counts.get(state)]
    widths = [max(thin, length * counts[state] / total) for state in shown]
    if sum(widths) > length:
        widths[widths.index(max(widths))] -= sum(widths) - length
    return [
        Bar(state, round(sum(widths[:place]), 2), round(width, 2))
        for place, (state, width) in enumerate(zip(shown, widths, strict=True))
    ]


def cut(text: str, columns: int) -> str:
    """The text, or as much of it as has room with an ellipsis; wide letters count twice."""
    text = " ".join(text.split())
    room = columns
    for at, letter in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return f"{text[: max(0, at - 1)]}…"
    return text
