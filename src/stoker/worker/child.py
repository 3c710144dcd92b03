"""A child process that runs the tasks with `executor="process"`, one at a time. Started by `worker/processes.py`."""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from functools import reduce
from queue import SimpleQueue
from typing import Any

from stoker.context import Context
from stoker.job import Ending
from stoker.task import Task
from stoker.worker.attempt import Attempt, raised
from stoker.worker.run import run_sync
from stoker.worker.wire import HEADER, Begin, Ended, FromChild, Hello, Said, Stop, ToChild, packed, to_child


class Child:
    """The child's end of the wire, and the attempt that runs."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._sending = threading.Lock()
        self._inbox: SimpleQueue[Begin] = SimpleQueue()
        self._attempt: Attempt | None = None
        self._stop: Stop | None = None

    def work(self) -> None:
        """Run attempts until the worker hangs up."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            begin = self._inbox.get()
            self._send(Ended(self._run(begin)))

    def _run(self, begin: Begin) -> Ending:
        try:
            task, app = _resolve(begin.module, begin.qualname)
        except BaseException as error:  # noqa: BLE001 - a module that fails to import is a failed attempt
            return raised(error)
        attempt = Attempt(begin.claim, task, app, self._report)
        self._attempt = attempt
        self._heed()
        try:
            return run_sync(attempt)
        finally:
            self._attempt = None
            if attempt.said is not None and attempt.said.news:
                self._say(attempt.said)

    def _heed(self) -> None:
        """Pass an order to stop on to the attempt that it is for; it may come before the attempt or after its end."""
        stop, attempt = self._stop, self._attempt
        if (
            stop is not None
            and attempt is not None
            and (stop.ref, stop.fence) == (attempt.claim.ref, attempt.claim.fence)
        ):
            attempt.stop(stop.reason)

    def _report(self, attempt: Attempt) -> None:
        """Send what the task said before it goes on: who is killed has said it all the same.

        While the worker does not keep up with the wire, it can wait for the next report, or for the end.
        """
        context = attempt.context
        if context.pressing or self._has_room():
            self._say(context)

    def _has_room(self) -> bool:
        """Whether the wire takes something without a wait."""
        poll = select.poll()  # one each time: it is not for several threads
        poll.register(self._wire, select.POLLOUT)
        return bool(poll.poll(0))

    def _say(self, context: Context) -> None:
        with self._sending:  # what is taken first is sent first
            context.news = False
            saved = context.saved if context.pressing else None  # once: it may be large
            context.pressing = False
            self._wire.sendall(packed(Said(context.value, context.message, saved, context.take_log())))

    def _send(self, message: FromChild) -> None:
        with self._sending:
            self._wire.sendall(packed(message))

    def _listen(self) -> None:
        for message in _messages(self._wire):
            match message:
                case Hello(path):
                    sys.path[:] = path
                case Begin():
                    self._inbox.put(message)
                case Stop():
                    self._stop = message
                    self._heed()
        os._exit(0)  # the worker is gone: nobody may run its jobs but who claims them next


def _messages(wire: socket.socket) -> Iterator[ToChild]:
    with wire.makefile("rb") as stream:
        while header := stream.read(HEADER):
            yield to_child.decode(stream.read(int.from_bytes(header)))


def _resolve(module: str, qualname: str) -> tuple[Task, Any]:
    found: Any = reduce(getattr, qualname.split("."), importlib.import_module(module))
    return found.task, found.app


def main() -> None:
    """Serve on the file descriptor named by the first argument."""
    for name in (signal.SIGINT, signal.SIGTERM):  # meant for the worker, which says what is to be done
        signal.signal(name, signal.SIG_IGN)
    Child(socket.socket(fileno=int(sys.argv[1]))).work()


if __name__ == "__main__":
    main()
