"""Whether the server that runs this process is about to end."""

from __future__ import annotations

import signal


def departing() -> bool:
    """Whether the server was told to end.

    Servers let open responses end before they tell an application, and a stream has no end of its own. Uvicorn handles
    signals with a method of its server object, which knows; of other servers nothing is known (False).
    """
    handler = signal.getsignal(signal.SIGTERM)
    return getattr(getattr(handler, "__self__", None), "should_exit", False) is True
