"""What requests and answers of several families of routes say."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

LONGEST_REASON: Final = 1_000
"""Characters."""


class Nothing(Struct, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class Reason(Struct, forbid_unknown_fields=True):
    """Why somebody cancels."""

    reason: Annotated[str, Meta(max_length=LONGEST_REASON)] | None = None


class Counted(Struct):
    """How many jobs were changed, or would be."""

    count: int
