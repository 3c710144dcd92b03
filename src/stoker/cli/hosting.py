"""Where a server listens, and for whom: the options that `stoker server` and `stoker start` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from stoker.serving import HOST, PORT, Serving


@dataclass(frozen=True)
class Hosting:
    """How the server is reached."""

    host: Annotated[str, typer.Option("--host", metavar="NAME", help="The address to listen at.")] = HOST
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0: any that is free.")] = PORT
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="PATH", help="The path under which a proxy shows it, as /stoker.")
    ] = ""
    read_only: Annotated[bool, typer.Option("--read-only", help="Let nobody change anything through it.")] = False
    identify: Annotated[
        str | None,
        typer.Option("--identify", metavar="MODULE:FUNCTION", help="What says who asks. Else STOKER_IDENTIFY."),
    ] = None

    def serving(self, web: str | None = None) -> Serving:
        """What is to be served; `web`: an application of the user's."""
        return Serving(
            host=self.host,
            port=self.port,
            prefix=self.prefix,
            read_only=self.read_only,
            identify=self.identify,
            web=web,
        )
