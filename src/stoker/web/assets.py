"""Scripts, styles and pictures of the application itself: small files, read once, named after their content."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_OTHERS: Final = frozenset({"progress.js"})
"""What pages of other origins may load as well."""
_FOLDER: Final = Path(__file__).parent / "static"


class Assets:
    """The files of `static`. `link` gives an address that browsers may keep for good."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _KINDS}
        self._tags = {name: blake2b(data, digest_size=9).hexdigest() for name, data in self._files.items()}

    @property
    def routes(self) -> list[BaseRoute]:
        """To be put together with others."""
        return [Route("/static/{name}", self.read, methods=["GET"])]

    def link(self, name: str) -> str:
        """Where the file is, below the mount; another address when its content is another."""
        return f"static/{name}?v={self._tags[name]}"

    async def read(self, request: Request) -> Response:
        """One file. Nobody needs to say who they are."""
        name = request.path_params["name"]
        data = self._files.get(name)
        if data is None:
            raise HTTPException(404)
        tag = f'"{self._tags[name]}"'
        pinned = request.query_params.get("v") == self._tags[name]
        headers = {
            "etag": tag,
            "cache-control": "public, max-age=31536000, immutable" if pinned else "public, no-cache",
        }
        if name in _FOR_OTHERS:
            headers["cross-origin-resource-policy"] = "cross-origin"
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=_KINDS[Path(name).suffix])
