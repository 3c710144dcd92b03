"""Which app, or which store, a command works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from stoker.app import Stoker
from stoker.errors import ConfigError, StoreUnavailable
from stoker.settings import load
from stoker.target import load_app

AppOption = Annotated[
    str | None,
    typer.Option("--app", "-a", metavar="MODULE:ATTR", help="The app. Else STOKER_APP, or `app` in stoker.toml."),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Where jobs live, to work without the app's code."),
]


@dataclass(frozen=True)
class Code:
    """The app, whose code the command needs."""

    app: AppOption = None

    @property
    def target(self) -> str:
        """The name of the app. Raises `ConfigError` where none is set."""
        target = self.app or load().app
        if target is None:
            raise ConfigError(
                "which app? Give --app MODULE:ATTRIBUTE, or set STOKER_APP, or app in stoker.toml or under "
                "[tool.stoker] in pyproject.toml. To begin from nothing: stoker init"
            )
        return target

    @contextmanager
    def opened(self) -> Iterator[Stoker]:
        """The app, closed at the end."""
        with load_app(self.target) as app:
            yield app


@dataclass(frozen=True)
class Where:
    """The app, or just the store: enough to manage jobs."""

    app: AppOption = None
    url: UrlOption = None

    @contextmanager
    def found(self) -> Iterator[tuple[Stoker, str | None]]:
        """The app, or one without tasks on the store, whatever state it is in; and the app's name if it has one."""
        if self.app and self.url:
            raise typer.BadParameter("an app knows its own URL; give one of --app and --url", param_hint="--url")
        target = None if self.url else self.app or load().app
        with Stoker(self.url, mode="queue") if target is None else self._loaded(target) as app:
            yield app, target

    def _loaded(self, target: str) -> Stoker:
        try:
            return load_app(target)
        except ConfigError as error:
            raise ConfigError(f"{error}\nTo manage jobs without the app's code, give --url URL") from error

    @contextmanager
    def opened(self, *, makes: bool = False) -> Iterator[Stoker]:
        """An app on a store that other processes share. `makes`: a store that is not there yet is made."""
        with self.found() as (app, target):
            store, driver = app.engine.connection
            if not store.traits.shared:
                mode = "" if app.settings.mode == "queue" else f" (mode {app.settings.mode!r})"
                raise ConfigError(
                    f"these jobs live in the memory of the process that made them{mode}; no command can see them. "
                    "Use a store that processes share, as sqlite:///jobs.db"
                )
            if target is None and not makes and not driver.exists():
                raise StoreUnavailable(
                    f"there is no store at {driver.place} yet. In the right folder? Give --url or --app; "
                    "`stoker migrate` makes an empty one"
                )
            yield app
