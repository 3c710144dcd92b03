"""A job's record as it is shown: without what is secret, and to others than admins without the server's insides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import asdict, replace

from stoker.errors import TaskError
from stoker.job import Job
from stoker.schedule_record import ScheduleRecord
from stoker.task import Registry
from stoker.web.identity import Identity

HIDDEN: Final = "[hidden]"
"""What stands in the place of a value that is not shown."""

TOO_DEEP: Final = "[nested too deeply to be shown]"
_DEEPEST: Final = 100
"""Lists and objects within each other that are shown."""

_NESTED: Final = (dict, list, tuple)
"""What JSON is decoded to that has values inside."""

_encoder = msgspec.json.Encoder(order="deterministic")


class Presenter:
    """Makes of a job's record what an identity sees of it."""

    def __init__(self, registry: Registry, redact: Collection[str]) -> None:
        self._registry = registry
        self._redact = redact

    def job(self, job: Job, identity: Identity | None) -> dict[str, Any]:
        """The record with the field names of `Job`. `identity` None, or out of whose reach: who has a token for it."""
        shown = self._redacted(job)
        facts = asdict(shown)
        facts["key"] = own_key(job.key, identity) if identity is not None and identity.reaches(job.owner) else None
        if identity is None or not identity.admin:
            facts["errors"] = [replace(failure, traceback=None, worker=None) for failure in job.errors]
            facts["worker"] = None
        return facts

    def arguments(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
        """Arguments by position and by name as they are shown."""
        names = self._names(task, args)
        return [HIDDEN if self._secret(name) else self._hide(arg) for name, arg in zip(names, args, strict=True)], (
            self._hide(kwargs)
        )

    def schedule(self, record: ScheduleRecord) -> ScheduleRecord:
        """The record of a schedule, for admins."""
        args, kwargs = self.arguments(record.task, record.args, record.kwargs)
        return replace(record, args=args, kwargs=kwargs)

    def _redacted(self, job: Job) -> Job:
        args, kwargs = self.arguments(job.task, job.args, job.kwargs)
        told = job.share is not None and self._secret(job.share.partition("=")[0])
        return replace(
            job,
            args=args,
            kwargs=kwargs,
            meta=self._hide(job.meta),
            share=HIDDEN if told else job.share,
            limit=HIDDEN if told and job.limit is not None else job.limit,
        )

    def _names(self, name: str, args: Sequence[Any]) -> Sequence[str]:
        """The names of the parameters that these arguments by position fill; '' where nobody here knows."""
        if name not in self._registry:
            return [""] * len(args)
        try:
            return [parameter for parameter, _, _ in self._registry.get(name).calls.named(args, {})]
        except (NameError, TaskError):  # its hints cannot be read here
            return [""] * len(args)

    def _secret(self, name: str) -> bool:
        return name.lower() in self._redact

    def _hide(self, value: Any, depth: int = 0) -> Any:
        """The same without the values of secret keys, as deep as it is shown."""
        if depth > _DEEPEST and isinstance(value, _NESTED):
            return TOO_DEEP
        if isinstance(value, dict):
            return {
                key: HIDDEN if self._secret(str(key)) else self._hide(inner, depth + 1) for key, inner in value.items()
            }
        if isinstance(value, list | tuple):  # a megabyte may be half a million numbers: no call for each of them
            return [self._hide(inner, depth + 1) if isinstance(inner, _NESTED) else inner for inner in value]
        return value


def encoded(value: Any) -> bytes:
    """JSON, times as in RFC 3339."""
    return _encoder.encode(value)


# --- keys: one owner's are nobody else's business --------------------------------------------------------------------


def stored_key(key: str, identity: Identity) -> str:
    """How a key that came over HTTP is kept, so that two owners who choose the same one do not meet."""
    return f"{_prefix(identity.owner)}{key}" if not identity.admin and identity.owner is not None else key


def own_key(key: str | None, identity: Identity) -> str | None:
    """The key as the owner wrote it."""
    if key is None:
        return None
    return key if identity.admin or identity.owner is None else key.removeprefix(_prefix(identity.owner))


def _prefix(owner: str) -> str:
    return f"{quote(owner, safe='@')}\N{MIDDLE DOT}"  # quoted: no owner's name can look like another's and a key
