"""Serves the demo's site from a thread, beside what goes on in the terminal."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final

from starlette.types import ASGIApp

from stoker.app import Stoker
from stoker.errors import ConfigError, StokerError
from stoker.serving import HOST, PORT
from stoker.web.server import Server, listen, url_of
from stoker.worker.looping import run_loop

_UP: Final = 30.0
"""seconds that it gets to answer"""


class Host:
    """While this is open, the site is served at `url`: at the usual port, or at any if that one is taken."""

    def __init__(self, app: Stoker, site: ASGIApp) -> None:
        try:
            listener = listen(HOST, PORT, identified=False)
        except ConfigError:
            listener = listen(HOST, 0, identified=False)
        self.url = url_of(listener)
        self._up = threading.Event()
        self._server = Server(site, listener, part=app.engine.part, announce=self._up.set)
        self._thread = threading.Thread(target=self._run, name="stoker-demo-page", daemon=True)

    def __enter__(self) -> Host:
        self._thread.start()
        if not self._up.wait(_UP):
            raise StokerError("the demo's page could not be served")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()  # it looks at this ten times a second, so any thread may say it
        self._thread.join()

    def _run(self) -> None:
        run_loop(self._server.serve())
