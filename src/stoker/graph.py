"""Workflows as they are put together: calls with what they wait for become jobs of one workflow. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from stoker.call import Call
from stoker.errors import WorkflowError
from stoker.job import NewJob, ParentFailure
from stoker.step import Step

_NOTHING: Final = object()


class Chain(NamedTuple):
    """Parts that run one after the other; each result is the next one's first argument."""

    parts: Sequence[Part]


class Batch(NamedTuple):
    """Parts that run side by side, and what runs after all of them."""

    parts: Sequence[Part]
    then: Part | None = None
    """if all completed"""
    on_failure: Part | None = None
    """if one did not"""
    always: Part | None = None


Part = Call | Chain | Batch


class Built(NamedTuple):
    """A part in its place."""

    ends: tuple[Step, ...]
    """the steps that the next part waits for"""
    value: Any
    """what the part returns: a step, or a list of such"""


class Graph:
    """The steps of one workflow, in an order in which each stands behind what it waits for."""

    def __init__(self, id: str, new_id: Callable[[], str]) -> None:
        self.id = id
        self._new_id = new_id
        self._jobs: list[NewJob] = []
        self._steps: dict[str, Step] = {}
        self._waited_for: set[str] = set()

    @property
    def jobs(self) -> Sequence[NewJob]:
        """The requests, in that order."""
        return self._jobs

    @property
    def last(self) -> list[Step]:
        """The steps that nothing waits for."""
        return [step for id, step in self._steps.items() if id not in self._waited_for]

    def add(
        self,
        part: Part,
        after: Iterable[Step] = (),
        on_parent_failure: ParentFailure = ParentFailure.CANCEL,
        *,
        value: Any = _NOTHING,
    ) -> Built:
        """Put a part behind steps; `value` is what it gets as the result before it. Raises `WorkflowError`."""
        after = tuple(after)
        if isinstance(part, Call):
            return self._add_call(part if value is _NOTHING else part.after(value), after, on_parent_failure)
        if isinstance(part, Chain):
            return self._add_chain(part, after, on_parent_failure, value)
        if isinstance(part, Batch):
            return self._add_batch(part, after, on_parent_failure, value)
        raise WorkflowError(f"a workflow is made of calls (task.call(…)), chains and batches, not of {part!r}")

    def _add_call(self, call: Call, after: Sequence[Step], on_parent_failure: ParentFailure) -> Built:
        parents = tuple(dict.fromkeys((*(step.id for step in after), *call.parents)))
        if unknown := [id for id in parents if id not in self._steps]:
            raise WorkflowError(f"{call!r} waits for {unknown[0]}, which is not a step of this workflow")
        step = Step(self._new_id(), call.task.name)
        self._jobs.append(call.new_job(step.id, parents=parents, on_parent_failure=on_parent_failure, workflow=self.id))
        self._steps[step.id] = step
        self._waited_for.update(parents)
        return Built((step,), step)

    def _add_chain(self, chain: Chain, after: Sequence[Step], policy: ParentFailure, value: Any) -> Built:
        if not chain.parts:
            raise WorkflowError("a chain needs at least one step")
        built = self.add(chain.parts[0], after, policy, value=value)
        for part in chain.parts[1:]:
            built = self.add(part, built.ends, value=built.value)
        return built

    def _add_batch(self, batch: Batch, after: Sequence[Step], policy: ParentFailure, value: Any) -> Built:
        members = [self.add(part, after, policy, value=value) for part in batch.parts]
        ends = tuple(step for member in members for step in member.ends) or tuple(after)
        done = ends
        if batch.then is not None:
            done += self.add(batch.then, ends, ParentFailure.CANCEL if members else policy).ends
        if batch.on_failure is not None and ends:
            self.add(batch.on_failure, ends, ParentFailure.ONLY)
        if batch.always is not None:
            self.add(batch.always, ends, ParentFailure.RUN)
        return Built(done, [member.value for member in members])


def policy_of(value: str) -> ParentFailure:
    """What people write as `on_parent_failure`. Raises `WorkflowError`."""
    known = {policy.value: policy for policy in (ParentFailure.CANCEL, ParentFailure.RUN, ParentFailure.HOLD)}
    if value not in known:
        raise WorkflowError(f"on_parent_failure must be one of {', '.join(map(repr, known))}, not {value!r}")
    return known[value]
