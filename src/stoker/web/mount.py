"""Where this application is mounted."""

from __future__ import annotations

from starlette.requests import HTTPConnection


def mount_of(connection: HTTPConnection) -> str:
    """The path under which its visitors reach it, without a slash at its end: `/stoker`, or '' at the root."""
    root: str = connection.scope.get("root_path", "")
    return root.rstrip("/")


def path_of(connection: HTTPConnection) -> str:
    """The path below it: `/jobs`."""
    path: str = connection.scope["path"]
    return path.removeprefix(mount_of(connection))
