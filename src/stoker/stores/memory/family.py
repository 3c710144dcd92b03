"""Who waits for whom, and what the end of a job means to those that wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from stoker.job import FINAL, NOT_NEEDED, PARENT_FAILED, ParentFailure, State
from stoker.stores.memory.shelf import Shelf
from stoker.stores.record import Record, list_of, strings


class Family:
    """Open parents by child, and children by open parent. An id may be there whose job is not yet."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._parents: dict[str, set[str]] = {}
        self._children: dict[str, dict[str, None]] = {}

    def open_parents(self, child: str) -> list[str]:
        """The jobs that this one still waits for, sorted."""
        return sorted(self._parents.get(child, ()))

    def link(self, parent: str, child: str) -> None:
        """Have the child wait for the parent."""
        self._parents.setdefault(child, set()).add(parent)
        self._children.setdefault(parent, {})[child] = None

    def _unlink(self, parent: str, child: str) -> None:
        self._parents[child].discard(parent)
        del self._children[parent][child]
        if not self._children[parent]:
            del self._children[parent]

    def part(self, child: str) -> None:
        """Have it wait for nothing any more."""
        for parent in self.open_parents(child):
            self._unlink(parent, child)
        self._parents.pop(child, None)

    # --- beginnings -------------------------------------------------------------------------------------------------

    def join(self, record: Record, now: int) -> None:
        """Find the place of a new job that has parents."""
        policy = policy_of(record)
        failed = False
        for parent in self._known_parents(record):
            if parent.state not in FINAL:
                self.link(parent.id, record.id)
            elif parent.state is not State.COMPLETED:
                failed = True
                if policy is ParentFailure.HOLD:
                    self.link(parent.id, record.id)
        if failed and policy is ParentFailure.CANCEL:
            self._cancel(record, PARENT_FAILED, now)
            return
        record.parent_failed = failed and policy is not ParentFailure.HOLD
        if not self._parents.get(record.id):
            self._release(record, now)

    def rejoin(self, record: Record, now: int) -> None:
        """Have a job that was retried wait for those of its parents that are unfinished."""
        parents = self._known_parents(record)
        record.parent_failed = any(parent.state in (State.FAILED, State.CANCELLED) for parent in parents)
        unfinished = [parent.id for parent in parents if parent.state not in FINAL]
        if unfinished:
            for parent in unfinished:
                self.link(parent, record.id)
            self._shelf.move(record, State.WAITING, now)

    def extend(self, record: Record, extended: str, now: int) -> None:
        """Have everything that waits for a job wait for this one as well."""
        for name in list(self._children.get(extended, ())):
            child = self._shelf.by_id[name]
            child.parents = strings((*list_of(child.parents), record.id))
            child.updated_at = now
            self.link(record.id, name)

    def is_needed(self, record: Record) -> bool:
        """Whether a job that is there for a failure might still see one."""
        if record.parents is None or policy_of(record) is not ParentFailure.ONLY:
            return True
        return any(parent.state is not State.COMPLETED for parent in self._known_parents(record))

    def _known_parents(self, record: Record) -> list[Record]:
        known = (self._shelf.by_id.get(id) for id in list_of(record.parents))
        return [parent for parent in known if parent is not None and parent is not record]

    # --- ends -------------------------------------------------------------------------------------------------------

    def conclude(self, ended: Iterable[Record], now: int, *, gone: bool = False) -> None:
        """Draw the consequences of jobs that ended, or are gone."""
        if not self._children:
            return
        ends = deque((record.id, record.state is State.COMPLETED and not gone, gone) for record in ended)
        for parent, _, _ in ends:
            self.part(parent)
        while ends:
            parent, well, gone = ends.popleft()
            for child in [self._shelf.by_id[id] for id in self._children.get(parent, ())]:
                policy = policy_of(child)
                if not well and (policy is ParentFailure.CANCEL or (gone and policy is ParentFailure.HOLD)):
                    self._cancel(child, PARENT_FAILED, now)
                elif well or policy is not ParentFailure.HOLD:
                    self._unlink(parent, child.id)
                    child.parent_failed = child.parent_failed or not well
                    child.updated_at = now
                    if not self._parents[child.id]:
                        self._release(child, now)
                if child.state in FINAL:
                    ends.append((child.id, False, False))

    def _release(self, record: Record, now: int) -> None:
        """It waits no more."""
        self._parents.pop(record.id, None)
        if policy_of(record) is ParentFailure.ONLY and not record.parent_failed:
            self._cancel(record, NOT_NEEDED, now)
        else:
            self._shelf.move(record, State.SCHEDULED if record.run_at > now else State.QUEUED, now)

    def _cancel(self, record: Record, why: str, now: int) -> None:
        self.part(record.id)
        record.error = why
        self._shelf.move(record, State.CANCELLED, now)


def policy_of(record: Record) -> ParentFailure:
    """What a parent's bad end means to the job."""
    return ParentFailure(record.on_parent_failure or ParentFailure.CANCEL)
