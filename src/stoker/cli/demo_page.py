"""The demo's page beside its run in the terminal: whether there is one, and how long it stays."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.app import Stoker
from stoker.cli.demo_screen import DemoScreen
from stoker.demo.interrupt import Interrupt
from stoker.errors import MissingExtra
from stoker.serving import importing_web

if TYPE_CHECKING:
    from stoker.demo.crew import Crew
    from stoker.demo.offer import Offer
    from stoker.demo.page.host import Host
    from stoker.demo.page.site import Site


class DemoPage:
    """A page that is there while the demo runs."""

    def __init__(self, site: Site, host: Host, crew: Crew, *, stays: bool) -> None:
        self._site = site
        self._host = host
        self._crew = crew
        self.stays = stays
        """whether it is there after the run, until somebody ends it"""

    @property
    def enqueued(self) -> Sequence[str]:
        """The ids of the jobs that came from it."""
        return self._site.enqueued

    def stay(self, screen: DemoScreen, interrupt: Interrupt) -> None:
        """Be there, with a worker, until the person wants to end."""
        screen.staying(self._host.url)
        while not interrupt.wanted:
            self._crew.keep_one()


@contextmanager
def page_of(
    app: Stoker, offer: Offer, crew: Crew, log: Path, screen: DemoScreen, wish: bool | None
) -> Iterator[DemoPage | None]:
    """Serve the page. `wish`: True, and it stays; False, and there is none; None: it stays for a person at a terminal.

    Without the extra `web` there is none; raises `MissingExtra` where it was wished for.
    """
    if wish is False:
        yield None
        return
    try:
        with importing_web():
            from stoker.demo.page.host import Host
            from stoker.demo.page.site import Site
    except MissingExtra as error:
        if wish:
            raise
        screen.no_page(str(error))
        yield None
        return
    logging.basicConfig(filename=log, level="WARNING")  # nothing may write into the terminal's live bar
    site = Site(app, app.engine.play(app.engine.secret()), offer, crew)
    with Host(app, site.application) as host:
        screen.page(host.url)
        yield DemoPage(site, host, crew, stays=wish or (sys.stdin.isatty() and sys.stdout.isatty()))
