"""What a page of the dashboard is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct
from starlette.responses import Response

from stoker.web.dashboard.form import Form
from stoker.web.dashboard.visit import Visit

Facts = Mapping[str, Any]
"""What a template is given, besides `visit`."""


class Tab(Struct, frozen=True):
    """A page's place in the navigation."""

    title: str
    icon: str
    """the name of a symbol in `icons.html`"""
    key: str
    """after `g` it goes there"""


class Page(Struct, frozen=True, kw_only=True):
    """Something to look at: a GET that changes nothing."""

    path: str
    """below the mount, as routes are written: `/ui/jobs/{id}`"""
    template: str
    facts: Callable[[Visit], Awaitable[Facts]]
    """asks for what the template shows; asked again while somebody watches the page"""
    tab: Tab | None = None
    admins_only: bool = False


class Post(Struct, frozen=True, kw_only=True):
    """Something to do: a POST of a form whose token was checked. It answers with `visit.go(…)` or `visit.show(…)`."""

    path: str
    do: Callable[[Visit, Form], Awaitable[Response]]
    admins_only: bool = False


class Part(Protocol):
    """Pages that belong together, and what can be done there."""

    @property
    def pages(self) -> Sequence[Page]:
        """To be looked at."""
        ...

    @property
    def posts(self) -> Sequence[Post]:
        """To be done."""
        ...
