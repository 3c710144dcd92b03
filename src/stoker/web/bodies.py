"""What requests and answers of several families of routes say."""

from __future__ import annotations

from msgspec import Struct


class Nothing(Struct, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class Reason(Struct, forbid_unknown_fields=True):
    """Why somebody cancels."""

    reason: str | None = None


class Counted(Struct):
    """How many jobs were changed, or would be."""

    count: int
