"""Who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct
from starlette.requests import HTTPConnection

from stoker.errors import ConfigError


class Identity(Struct, frozen=True):
    """Whose jobs a request may see and change: those of its owner, or with `admin` all jobs and everything else."""

    owner: str | None
    admin: bool = False

    def __post_init__(self) -> None:
        if self.owner is not None and not isinstance(self.owner, str):
            raise ConfigError(f"the owner of an Identity is a text, not {self.owner!r}: write Identity(str(…))")
        if not self.admin and not self.owner:
            raise ConfigError("an Identity without an owner must be admin: Identity(owner=…) or Identity(None, True)")

    @property
    def name(self) -> str:
        """What the audit log calls it."""
        return self.owner or "admin"

    def reaches(self, owner: str | None) -> bool:
        """Whether it may see and change the jobs of that owner."""
        return self.admin or owner == self.owner


Identify = Callable[[HTTPConnection], Identity | None | Awaitable[Identity | None]]
"""Says who asks, from cookies, headers or whatever the app knows; None: nobody that is known."""

LOCAL = Identity(None, admin=True)
"""Whoever asks from this machine, where nothing says who may."""
