"""The demo's worker process: `python -m stoker.demo.worker`, with `STOKER_URL` set and a pipe as standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from stoker.demo.jobs import app

GRACE = 1.0
"""seconds that the search gets to end when the worker is stopped; it then goes back to the queue"""
MOST = 4
"""searches at once, where there are so many processors; the others wait in line, and are told their place in it"""


async def serve() -> None:
    """Work until SIGTERM, or until whoever started this closes the pipe or dies: nobody is left to watch then."""
    loop = asyncio.get_running_loop()
    worker = app.worker(queues=["demo"], concurrency=min(MOST, os.cpu_count() or 1), grace=GRACE)

    def hung_up() -> None:
        loop.remove_reader(sys.stdin)
        worker.stop()

    started = asyncio.Event()
    serving = asyncio.ensure_future(worker.serve(started))
    starting = asyncio.ensure_future(started.wait())
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    loop.add_reader(sys.stdin, hung_up)
    await serving
    app.close()


if __name__ == "__main__":
    asyncio.run(serve())
