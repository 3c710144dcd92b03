"""What a form says."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from stoker.web.asking import body
from stoker.web.problem import Problem

_MOST_FIELDS: Final = 2_000


class Form:
    """Fields and their texts, as a browser sent them; a field may stand there several times."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """The field without white space around it; '' where it is not there. Lines end with a line feed."""
        return self.exact(name).strip()

    def exact(self, name: str) -> str:
        """As `text`, with the white space that a name may begin or end with."""
        return next((value for field, value in self._fields if field == name), "").replace("\r\n", "\n")

    def all(self, name: str) -> list[str]:
        """Every text of that field."""
        return [value for field, value in self._fields if field == name]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) == "yes"


async def form_of(request: Request, most: int) -> Form:
    """The form that was sent. Raises a 400, 413, 415 or 422."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await body(request, most)
    if raw and kind != "application/x-www-form-urlencoded":
        raise Problem(415, "unsupported-media-type", "send the form as application/x-www-form-urlencoded")
    try:
        fields = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise Problem(400, "malformed-form", "the form is not UTF-8") from None
    except ValueError:
        raise Problem(400, "malformed-form", f"a form has up to {_MOST_FIELDS:,} fields") from None
    if any("\x00" in value for _, value in fields):
        raise Problem(422, "invalid-form", "a field cannot contain NUL")
    return Form(fields)
