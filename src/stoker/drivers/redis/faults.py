"""What a server's refusals and a broken connection mean, and what to do about them."""

from __future__ import annotations

import re
from typing import Final

from redis import exceptions as theirs

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


_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (theirs.NoPermissionError, "NOPERM"),
    (theirs.OutOfMemoryError, "OOM"),
    (theirs.ReadOnlyError, "READONLY"),
    (theirs.BusyLoadingError, "LOADING"),
    (theirs.MasterDownError, "MASTERDOWN"),
    (theirs.ClusterDownError, "CLUSTERDOWN"),
    (theirs.TryAgainError, "TRYAGAIN"),
    (theirs.MovedError, "MOVED"),
    (theirs.AskError, "ASK"),
)
"""Where redis-py has a class for a server's refusal, it takes the code away from the text."""


def problem(error: Exception, place: str) -> StokerError:
    """What redis-py raised, as one of ours: the server refused, or it could not be reached, or not be heard."""
    text = str(error) or type(error).__name__
    made: StokerError
    if isinstance(error, theirs.AuthenticationError | theirs.AuthenticationWrongNumberOfArgsError):
        advice = _CAUSES["NOAUTH" if "required" in text.lower() else "WRONGPASS"][1]
        made = ConfigError(f"{place}: {advice} ({text})")
    elif (code := _code_of(error, text)) == "NOPERM" or "can't run this command" in text:
        made = ConfigError(f"{place}: {_denied(text)}")
    elif code in _CAUSES:
        kind, advice = _CAUSES[code]
        made = kind(f"{place}: {advice} ({text})")
    elif "DB index" in text or "SELECT is not allowed" in text:
        made = ConfigError(f"{place}: it has no database of that number ({text})")
    elif "unknown command" in text.lower():
        made = ConfigError(f"{place}: Stoker needs Redis 6.2 or newer, or Valkey, with scripts ({text})")
    elif isinstance(error, theirs.ResponseError):
        made = StoreUnavailable(f"{place}: the server refused: {text}")
    else:
        made = StoreUnavailable(f"{place}: {text}; is the server running, and can it be reached from here?")
    made.__cause__ = error
    return made


def _code_of(error: Exception, text: str) -> str:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    found = _CODE.search(text)
    return found[1] if found is not None else ""


def _denied(text: str) -> str:
    found = _COMMAND.search(text)
    if found is None:
        return f"this user may not do all that it takes; allow it the keys and channels of the prefix ({text})"
    command = found[1] or found[2]
    return (
        f"this user may not run the command {command.upper()}; allow it: "
        f"ACL SETUSER NAME +{command.lower()} ~PATTERN &PATTERN ({text})"
    )
