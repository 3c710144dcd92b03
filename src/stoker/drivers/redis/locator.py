"""Finds the server that has the jobs, and finds it again when it has moved."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import hiredis

from stoker.drivers.redis.address import Address, Kind, Node, Reply
from stoker.drivers.redis.wire import Wire, expect, open_wire

_TRIES: Final = (OSError, hiredis.ReplyError)


class Locator:
    """Opens wires to the server of one hash tag. Blocks; from any thread.

    In a cluster all keys of an app are in one slot, so its owner is all that needs to be known.
    """

    def __init__(self, address: Address, tag: str) -> None:
        self.address = address
        self._tag = tag
        self._lock = threading.Lock()
        self._nodes = list(address.nodes)
        self._primary: Node | None = address.nodes[0] if address.kind is Kind.SINGLE else None
        self.term = 0
        """Grows whenever the server is somewhere else; older wires are of no more use."""

    def open(self) -> Wire:
        """A wire to the server. Raises `OSError` and `hiredis.ReplyError`."""
        term, primary = self.term, self._primary
        if primary is None:
            primary = self._find()
        try:
            wire = open_wire(self.address, primary)
        except OSError:
            self.forget()
            raise
        wire.term = term
        return wire

    def moved(self, node: Node) -> None:
        """A node of the cluster said that this one has the keys."""
        with self._lock:
            self._primary = node
            self.term += 1

    def forget(self) -> None:
        """The server may be somewhere else by now."""
        if self.address.kind is not Kind.SINGLE:
            with self._lock:
                self._primary = None
                self.term += 1

    def _find(self) -> Node:
        problem: Exception = ConnectionError("no node is known")
        for node in self._nodes:
            try:
                found = self._ask_sentinel(node) if self.address.kind is Kind.SENTINEL else self._ask_cluster(node)
            except _TRIES as error:
                problem = error
            else:
                self._primary = found
                return found
        raise problem

    def _ask_sentinel(self, node: Node) -> Node:
        plain = Address(nodes=(node,), tls=self.address.tls, timeout=self.address.timeout)
        wire = open_wire(plain, node)
        question = ("SENTINEL", "get-master-addr-by-name", self.address.service)
        try:
            try:
                found = expect(wire, plain, *question)
            except hiredis.ReplyError as error:
                if not str(error).startswith("NOAUTH") or not self.address.credentials:
                    raise
                expect(wire, plain, "AUTH", *self.address.credentials)
                found = expect(wire, plain, *question)
        finally:
            wire.close()
        if found is None:
            raise ConnectionError(f"the sentinel {node} knows no service {self.address.service!r}")
        return Node(found[0].decode(), int(found[1]))

    def _ask_cluster(self, node: Node) -> Node:
        wire = open_wire(self.address, node)
        try:
            slot = expect(wire, self.address, "CLUSTER", "KEYSLOT", self._tag)
            served = expect(wire, self.address, "CLUSTER", "SLOTS")
        finally:
            wire.close()
        nodes = list(dict.fromkeys((*_all_nodes(served, node), *self._nodes)))
        for first, last, primary, *_ in served:
            if first <= slot <= last:
                self._nodes = nodes
                return _node(primary, node)
        raise ConnectionError("CLUSTERDOWN: no node of the cluster serves these keys")


def _all_nodes(served: Reply, asked: Node) -> Iterator[Node]:
    for _, _, *nodes in served:
        for node in nodes:
            yield _node(node, asked)


def _node(entry: Reply, asked: Node) -> Node:
    """A node as a cluster lists it: without a host it is the one that was asked, on another port perhaps."""
    host = entry[0].decode() if entry[0] else asked.host
    return Node(host, entry[1])
