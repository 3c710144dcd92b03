"""The workers of the memory store."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from stoker.store import Command, Worker


class Roster:
    """Workers by id, as they introduced themselves, and what they were told."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}

    def register(self, worker: Worker, now: int, lease: int) -> None:
        """Make it known and alive; known already, it stays who it is."""
        known = self._workers.get(worker.id)
        self._workers[worker.id] = replace(
            worker,
            started_at=known.started_at if known else now,
            seen_at=now,
            lease_until=now + lease,
            command=known.command if known else None,
        )

    def alive(self, name: str | None, now: int) -> bool:
        """Whether its lease has not run out."""
        known = self._workers.get(name or "")
        return known is not None and known.lease_until > now

    def renew(self, name: str, now: int, lease: int) -> None:
        """Extend the lease of one that is alive."""
        self._workers[name] = replace(self._workers[name], seen_at=now, lease_until=now + lease)

    def tell(self, name: str, command: Command | None, now: int) -> bool:
        """Leave it a command; False: it is not alive."""
        if not self.alive(name, now):
            return False
        self._workers[name] = replace(self._workers[name], command=command)
        return True

    def told(self, name: str) -> Command | None:
        """What it was told last."""
        known = self._workers.get(name)
        return None if known is None else known.command

    def lapsed(self, now: int) -> list[str]:
        """Those that are not alive."""
        return [name for name in self._workers if not self.alive(name, now)]

    def forget(self, name: str) -> None:
        """It is gone."""
        self._workers.pop(name, None)

    def census(self, running: Callable[[str], int]) -> list[Worker]:
        """All of them by start, each with the claims that it holds."""
        workers = [replace(worker, running=running(name)) for name, worker in self._workers.items()]
        return sorted(workers, key=lambda worker: (worker.started_at, worker.id))
