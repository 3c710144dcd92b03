"""The HTTP API, live progress and the dashboard, as one ASGI application to be mounted at any path."""

from stoker.web.application import create
from stoker.web.identity import Identity

__all__ = ["Identity", "create"]
