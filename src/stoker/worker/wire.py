"""What a worker and its child processes say to each other: messages with their length in front."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from stoker.job import Claim, Ending


class Hello(Struct, frozen=True, tag=True):
    """To the child, first: how to import what the worker imports."""

    path: list[str]


class Begin(Struct, frozen=True, tag=True):
    """To the child: run this attempt."""

    module: str
    qualname: str
    claim: Claim


class Stop(Struct, frozen=True, tag=True):
    """To the child: this attempt should stop. It may have ended already."""

    ref: int
    fence: int
    reason: str


class Said(Struct, frozen=True, tag=True):
    """From the child: what the task reported."""

    progress: float | None
    message: str | None
    checkpoint: str | None
    """None: nothing new was saved since the last report"""
    log: str | None
    """what was logged since the last report"""


class Ended(Struct, frozen=True, tag=True):
    """From the child: the attempt ended."""

    ending: Ending


ToChild = Hello | Begin | Stop
FromChild = Said | Ended

HEADER = 4
"""Bytes of a message's length, big end first."""

to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)


def packed(message: ToChild | FromChild) -> bytes:
    """A message as it goes over the wire."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER) + body
