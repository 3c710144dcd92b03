"""The server that has an app's keys, by way of redis-py's clients."""

from __future__ import annotations

import encodings.idna
import secrets
import threading
from contextlib import suppress
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    RedisClusterException,
    RedisError,
    TimeoutError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from stoker.drivers.redis.address import Address, Kind

_EARLY: Final = (encodings.idna, secrets)
"""redis-py and sockets import these when they connect; a child that is forked meanwhile would wait for ever."""

BROKEN: Final = (RedisError, RedisClusterException, OSError)
"""What the clients raise; some of a cluster's have a base of their own."""

Client = Redis | RedisCluster

_MOVES: Final = 3
"""How often one call is sent to where the cluster says that its keys are."""


class Server:
    """Calls a server from any thread; opens nothing before the first call.

    What failed is never tried again here: a call whose reply was lost may have been done.
    """

    def __init__(self, address: Address, tag: str) -> None:
        self.address = address
        self._tag = tag
        self._lock = threading.Lock()
        self._client: Client | None = None

    def call(self, *command: Any) -> Any:
        """The reply to a command without keys, by the node that has the app's."""
        client = self._connected()
        if isinstance(client, RedisCluster):
            return client.execute_command(*command, target_nodes=client.get_node_from_key(self._tag))
        return client.execute_command(*command)

    def run(self, command: str, script: str, *params: Any) -> Any:
        """The reply of a script, by EVALSHA or EVAL."""
        client = self._connected()
        if isinstance(client, RedisCluster):
            return self._run_in_cluster(client, command, script, 1, *params)
        return client.execute_command(command, script, 1, *params)

    def _run_in_cluster(self, client: RedisCluster, *command: Any) -> Any:
        """By the node's own client, because the cluster's would follow ASK: while the slot is being moved, to a node
        that has only some of the keys, where a script would take jobs for new that are not.
        """
        for _ in range(_MOVES):
            node = client.get_node_from_key(self._tag)
            if node is None:
                client.nodes_manager.initialize()
                continue
            try:
                return client.get_redis_connection(node).execute_command(*command)
            except MovedError:  # it was not done
                client.nodes_manager.initialize()
            except (ConnectionError, TimeoutError, ClusterDownError):
                with suppress(RedisError, RedisClusterException):
                    client.nodes_manager.initialize()  # the next call is to find who took over
                raise
        raise ClusterDownError(f"no node has the slot of {self._tag} for long enough")

    def subscriber(self) -> PubSub:
        """A connection of its own for what is published."""
        subscriber: PubSub = self._connected().pubsub()
        return subscriber

    def where(self) -> str:
        """The node that has the app's keys, as it is known now; opens nothing."""
        client = self._client
        if isinstance(client, RedisCluster):
            node = client.get_node_from_key(self._tag)
            return "nobody" if node is None else f"{node.host}:{node.port}"
        return str(self.address.nodes[0])

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        client = self._client
        if client is None:
            with self._lock:
                client = self._client = self._client or _open(self.address)
        return client


def _open(address: Address) -> Client:
    options: dict[str, Any] = {
        "socket_timeout": address.timeout,
        "socket_connect_timeout": address.timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **_login(address),
        **_tls(address),
    }
    match address.kind:
        case Kind.CLUSTER:
            nodes = [ClusterNode(node.host, node.port) for node in address.nodes]
            return RedisCluster(startup_nodes=nodes, **options)
        case Kind.SENTINEL:
            primary: Redis = _sentinel(address, options).master_for(address.service, db=address.database)
            return primary
    [node] = address.nodes
    return Redis(host=node.host, port=node.port, db=address.database, **options)


def _sentinel(address: Address, options: dict[str, Any]) -> Sentinel:
    """Sentinels that want a password are given the server's."""
    nodes = [(node.host, node.port) for node in address.nodes]
    open_to_all = {name: value for name, value in options.items() if name not in ("username", "password")}
    sentinel = Sentinel(nodes, sentinel_kwargs=open_to_all, **options)
    try:
        sentinel.discover_master(address.service)
    except AuthenticationError:
        return Sentinel(nodes, sentinel_kwargs=options, **options)
    return sentinel


def _login(address: Address) -> dict[str, Any]:
    return {"username": address.username, "password": address.password} if address.password is not None else {}


def _tls(address: Address) -> dict[str, Any]:
    if address.tls is None:
        return {}
    files = {"ssl_ca_certs": address.tls.ca, "ssl_certfile": address.tls.cert, "ssl_keyfile": address.tls.key}
    return {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **files}
