"""A handle of an enqueued job: its id, and ways to wait for it and to read it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from stoker import tokens
from stoker.codec import encode
from stoker.engine import Engine
from stoker.errors import JobCancelled, JobFailed, RemoteTraceback
from stoker.job import Job, State

R_co = TypeVar("R_co", covariant=True)


class JobHandle(Generic[R_co]):
    """One enqueued job. It holds no record: `refresh` reads the record as it is now."""

    __slots__ = ("_decode", "_engine", "created", "id")

    def __init__(self, engine: Engine, id: str, created: bool, decode: Callable[[str], R_co]) -> None:
        self._engine = engine
        self._decode = decode
        self.id = id
        self.created = created
        """False: an unfinished job with the same key was there, and this is it"""

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __await__(self) -> Generator[Any, None, R_co]:
        """The result, once the job has finished. Raises `JobFailed`, `JobCancelled`, `JobNotFound`."""
        job = yield from self._engine.await_end(self.id).__await__()
        return self._result(job)

    def result(self, timeout: float | None = None) -> R_co:
        """The result, for sync code; blocks up to `timeout` seconds (None: without end), then `TimeoutError`.

        Raises `JobFailed`, `JobCancelled`, `JobNotFound`.
        """
        return self._result(self._engine.wait(self.id, timeout))

    def refresh(self) -> Job:
        """The job's record as it is now. Raises `JobNotFound`."""
        return self._engine.play(self._engine.get(self.id))

    async def arefresh(self) -> Job:
        """The job's record as it is now, from async code."""
        return await self._engine.aplay(self._engine.get(self.id))

    def token(self, expires: float | timedelta = 3600) -> str:
        """A text that lets whoever has it follow this one job over HTTP, for so many seconds (or a timedelta).

        It reads, and changes nothing. Raises `InvalidOption`, and `MissingExtra` without the extra `web`.
        """
        return tokens.sign(self._engine.play(self._engine.secret()), self.id, expires)

    async def atoken(self, expires: float | timedelta = 3600) -> str:
        """As `token`, from async code."""
        return tokens.sign(await self._engine.aplay(self._engine.secret()), self.id, expires)

    def _result(self, job: Job) -> R_co:
        if job.state is not State.COMPLETED:
            raise not_completed(job)
        return self._decode(encode(job.result))


def not_completed(job: Job) -> JobFailed | JobCancelled:
    """The error that says how a job ended that did not complete; its cause is the worker's traceback."""
    if job.state is State.CANCELLED:
        return JobCancelled(job.id, job.error)
    last = job.errors[-1] if job.errors else None
    if last is None:
        return JobFailed(job.id, "unknown", job.error or "")
    error = JobFailed(job.id, last.type, last.message, last.traceback)
    error.__cause__ = RemoteTraceback(last.traceback) if last.traceback else None
    return error
