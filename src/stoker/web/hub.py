"""Watches jobs for any number of streams, with one question to the store for all of them."""

from __future__ import annotations

from stoker.engine import Engine


class Hub:
    """Whoever follows a job subscribes here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
