"""Server-sent events as they go over the wire."""

from __future__ import annotations

from typing import Any, Final

from stoker.web.present import encoded

MEDIA: Final = "text/event-stream"
HEADERS: Final = {
    "content-type": MEDIA,
    "cache-control": "no-store, no-transform",  # a proxy that compresses would hold events back
    "x-accel-buffering": "no",
}
"""Of every stream: nothing keeps it, and nothing between collects events before it passes them on."""
RECONNECT: Final = b"retry: 2000\n\n"
"""Tells browsers for how many milliseconds to wait before they connect again."""


def event(name: str, data: Any, id: str | None = None) -> bytes:
    """One event, its data as JSON; after one with an `id`, a browser that connects again says that it had it."""
    marked = b"" if id is None else b"id: %b\n" % id.encode()
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), marked, encoded(data))
