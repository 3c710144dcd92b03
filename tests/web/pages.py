"""What tests of pages share: pages taken apart, and forms filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx

HTML = {"accept": "text/html"}
EMPTY = frozenset({"meta", "link", "input", "img", "br", "hr"})
FORM = "application/x-www-form-urlencoded"


@dataclass
class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    html: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    """what stands inside of script and style elements"""
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        inside = self._open and self._open[-1] in ("script", "style")
        (self.scripts if inside else self.texts).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """The attributes of these elements."""
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]

    @property
    def posts(self) -> list[str]:
        """Where its forms post to."""
        return [form["action"] for form in self.all("form", method="post")]

    @property
    def selected(self) -> list[str]:
        """Of its lists to choose from."""
        return [found["value"] for found in self.all("option") if "selected" in found]

    def fields(self) -> dict[str, str]:
        """What a form that is posted says before anybody types; textareas are left out."""
        return {one["name"]: one.get("value", "") for one in self.all("input") if "name" in one}


def parsed(answer: httpx.Response) -> Parsed:
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text[:500]
    return Parsed(answer.text)


async def token(client: httpx.AsyncClient, path: str = "/ui/jobs") -> str:
    """The token of a form of that page."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get(path, headers=HTML)).text)
    assert found is not None, f"no form in {path}"
    return found[1]


async def post(client: httpx.AsyncClient, path: str, data: dict[str, Any], csrf: str | None = None) -> httpx.Response:
    """Post a form, with a token of this client's own unless another is given; redirections are not followed."""
    given = await token(client) if csrf is None else csrf
    return await client.post(path, data={"csrf": given} | data, headers=HTML)


def check_harmless(page: Parsed, *, external: tuple[str, ...] = ()) -> None:
    """Nothing in the page runs but our own files, and nothing leads out of the mount but these addresses."""
    assert "".join(page.scripts).strip() == ""
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "object", "embed", "base", "style"), tag
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc", "formaction")]
        if tag == "script":
            assert "src" in attributes
        for name in ("href", "src", "action"):
            if name in attributes and attributes[name] not in external:
                parts = urlsplit(attributes[name])
                assert (parts.scheme, parts.netloc) == ("", ""), attributes
                assert not parts.path.startswith(("/", "\\")), attributes
