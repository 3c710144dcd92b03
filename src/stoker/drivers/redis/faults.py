"""What a server's refusals and a broken connection mean, and what to do about them."""

from __future__ import annotations

import re
from typing import Final

import hiredis

from stoker.errors import ConfigError, StokerError, StoreBroken, StoreUnavailable

_CODE: Final = re.compile(
    r"\b(NOAUTH|WRONGPASS|NOPERM|OOM|READONLY|MISCONF|LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|WRONGTYPE"
    r"|ASK|MOVED|UNKILLABLE|NOTBUSY)\b"
)
_COMMAND: Final = re.compile(r"'([a-z|]+)' command|run the '([a-z|]+)'", re.IGNORECASE)

_CAUSES: Final[dict[str, tuple[type[StokerError], str]]] = {
    "NOAUTH": (ConfigError, "it wants a password; write it into the URL: redis://USER:PASSWORD@HOST"),
    "WRONGPASS": (ConfigError, "it does not accept this user and password"),
    "OOM": (StoreUnavailable, "its memory is full (maxmemory); nothing of this call was written"),
    "READONLY": (StoreUnavailable, "it is a replica, or has become one, and takes no writes"),
    "MISCONF": (StoreUnavailable, "it cannot write its data to disk; look at its log and at the disk"),
    "LOADING": (StoreUnavailable, "it is starting and still reads its data"),
    "BUSY": (StoreUnavailable, "it is busy with somebody's script"),
    "CLUSTERDOWN": (StoreUnavailable, "the cluster has nobody who serves these keys now"),
    "MASTERDOWN": (StoreUnavailable, "it is a replica that has lost its primary"),
    "TRYAGAIN": (StoreUnavailable, "the cluster is moving these keys to another node"),
    "ASK": (StoreUnavailable, "the cluster is moving these keys to another node; calls wait until all are there"),
    "MOVED": (StoreUnavailable, "the cluster is moving these keys to another node"),
    "NOREPLICAS": (StoreUnavailable, "it has fewer replicas than it is set to need for a write"),
    "WRONGTYPE": (StoreBroken, "keys with this prefix hold something that is not Stoker's; choose another ?prefix="),
}


def refusal(error: hiredis.ReplyError, place: str) -> StokerError:
    """An error that the server answered with, as one of ours."""
    text = str(error)
    code = _CODE.search(text)
    name = code[1] if code else ""
    made: StokerError
    if name == "NOPERM" or "can't run this command" in text or "has no permissions" in text:
        made = ConfigError(f"{place}: {_denied(text)}")
    elif "invalid password" in text or "invalid username-password" in text or "without any password configured" in text:
        made = ConfigError(f"{place}: {_CAUSES['WRONGPASS'][1]} ({text})")
    elif name in _CAUSES:
        kind, advice = _CAUSES[name]
        made = kind(f"{place}: {advice} ({text})")
    elif "DB index" in text or "SELECT is not allowed" in text:
        made = ConfigError(f"{place}: it has no database of that number ({text})")
    elif "unknown command" in text.lower():
        made = ConfigError(f"{place}: Stoker needs Redis 6.2 or newer, or Valkey, with scripts ({text})")
    else:
        made = StoreUnavailable(f"{place}: the server refused: {text}")
    made.__cause__ = error
    return made


def _denied(text: str) -> str:
    found = _COMMAND.search(text)
    if found is None:
        return f"this user may not do all that it takes; allow it the keys and channels of the prefix ({text})"
    command = found[1] or found[2]
    return (
        f"this user may not run the command {command.upper()}; allow it: "
        f"ACL SETUSER NAME +{command.lower()} ~PATTERN &PATTERN ({text})"
    )


def breakdown(error: BaseException, place: str) -> StoreUnavailable:
    """A connection that could not be made, or that ended in the middle of a call."""
    text = str(error) or type(error).__name__
    made = StoreUnavailable(f"{place}: {text}; is the server running, and can it be reached from here?")
    made.__cause__ = error
    return made
