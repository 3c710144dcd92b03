"""A wire between a worker and its server that can be cut, dulled and slowed."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Forwards TCP connections of the loopback to a port, which may change."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._delay = 0.0
        self._mute = False
        self._refusing = False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def url(self, url: str, port: int) -> str:
        """The server's URL, by way of this proxy."""
        return url.replace(f":{port}", f":{self.port}")

    def cut(self) -> None:
        """Break every connection; new ones are made as before."""
        with self._lock:
            for one in list(self._pairs):
                self._drop(one)

    def refuse(self, refusing: bool = True) -> None:
        """Break every connection, and each new one at once; or take them again."""
        self._refusing = refusing
        if refusing:
            self.cut()

    def mute(self, mute: bool = True) -> None:
        """Connections stand, and nothing passes; or it passes again, what was kept first."""
        self._mute = mute

    def delay(self, seconds: float) -> None:
        """Every packet comes that much later."""
        self._delay = seconds

    def lead_to(self, port: int) -> None:
        """Take new connections to another port, and break the old ones."""
        self._target = port
        self.cut()

    def close(self) -> None:
        self._closed = True
        self._thread.join(10)
        with self._lock:
            for one in list(self._pairs):
                self._drop(one)
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._closed:
            if self._mute:
                time.sleep(0.01)
                continue
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        with suppress(OSError):
            near, _ = self._listener.accept()
            if self._refusing:
                near.close()
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                near.close()
                return
            self._pairs[near], self._pairs[far] = far, near
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one: socket.socket) -> None:
        try:
            data = one.recv(CHUNK)
            if data:
                time.sleep(self._delay)
                self._pairs[one].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for end in (one, other):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
