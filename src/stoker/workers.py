"""The worker processes of an app, as a person on call speaks to them. Each verb has a sync form and an a-form."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.engine import Engine, Script
from stoker.errors import WorkerNotFound
from stoker.store import Command, Worker


class Workers:
    """The worker processes of an app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[Worker]:
        """Workers that are alive, or whose jobs were not yet taken from them, by start."""
        return self._engine.run(self._engine.connection.store.census()).workers

    async def alist(self) -> Sequence[Worker]:
        """As `list`."""
        return (await self._engine.arun(self._engine.connection.store.census())).workers

    def quiet(self, id: str) -> None:
        """Have a worker claim no more; what it runs goes on, and it stays. Raises `WorkerNotFound`.

        It hears of it within a second. Others get what it leaves.
        """
        self._engine.play(self._tell(id, Command.QUIET))

    async def aquiet(self, id: str) -> None:
        """As `quiet`."""
        await self._engine.aplay(self._tell(id, Command.QUIET))

    def wake(self, id: str) -> None:
        """Have a quiet worker claim again; one that is stopping stops all the same. Raises `WorkerNotFound`."""
        self._engine.play(self._tell(id, None))

    async def awake(self, id: str) -> None:
        """As `wake`."""
        await self._engine.aplay(self._tell(id, None))

    def stop(self, id: str) -> None:
        """Have a worker stop as SIGTERM would: it claims no more, what runs gets the grace, the process ends.

        Raises `WorkerNotFound`. Its fleet does not replace it. Whoever runs its process may: systemd, Kubernetes.
        """
        self._engine.play(self._tell(id, Command.STOP))

    async def astop(self, id: str) -> None:
        """As `stop`."""
        await self._engine.aplay(self._tell(id, Command.STOP))

    def _tell(self, id: str, command: Command | None) -> Script[None]:
        told = yield self._engine.connection.store.command(id, command)
        if not told:
            raise WorkerNotFound(id)
