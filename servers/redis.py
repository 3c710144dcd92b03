"""A private Redis (or Valkey) server, and a cluster of three."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

from servers.process import ServerMissing, ServerProcess, bound, free_port, make_folder, until


def find_program(*names: str) -> str:
    """The path of the first program of these that is installed. Raises `ServerMissing`."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ServerMissing("Redis is not installed: apt-get install redis-server")


class RedisServer:
    """One server, its port the same through restarts. `durable`: every command on disk before its reply."""

    def __init__(self, *, durable: bool = False, **settings: str | int | tuple[str, ...]) -> None:
        self._client = find_program("redis-cli", "valkey-cli")
        self.folder = make_folder("redis")
        self.port = free_port()
        persistence = {"appendonly": "yes", "appendfsync": "always"} if durable else {"appendonly": "no"}
        self._password = str(settings.get("requirepass", ""))
        facts = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", **persistence, **settings}
        options: list[str] = []
        for name, value in facts.items():
            options += [f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else [str(value)])]
        program = find_program("redis-server", "valkey-server")
        self._process = ServerProcess(bound([program, *options]), self.folder / "log")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> RedisServer:
        """Start it and wait until it answers (after it has read its files)."""
        self._process.start(lambda: self.cli("PING", check=False) == "PONG")
        return self

    def stop(self) -> None:
        """SIGTERM: it writes what it must and ends."""
        self._process.end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.end(signal.SIGKILL)

    def cli(self, *words: str, check: bool = True) -> str:
        """What `redis-cli` prints for a command."""
        done = subprocess.run(
            [self._client, "-h", "127.0.0.1", "-p", str(self.port), *words],
            env=os.environ | {"REDISCLI_AUTH": self._password} if self._password else None,
            check=check,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process.alive:
            self._process.end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisCluster:
    """Three primaries that share the slots."""

    def __init__(self, nodes: int = 3) -> None:
        self.nodes = [
            RedisServer(cluster_enabled="yes", cluster_node_timeout=2000, cluster_config_file="nodes.conf")
            for _ in range(nodes)
        ]

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def start(self) -> RedisCluster:
        """Start the nodes and wait until each of them sees all slots served."""
        for node in self.nodes:
            node.start()
        client = find_program("redis-cli", "valkey-cli")
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        if "cluster_slots_assigned:16384" not in self.nodes[0].cli("CLUSTER", "INFO"):
            subprocess.run(
                [client, "--cluster", "create", *addresses, "--cluster-yes"], check=True, capture_output=True
            )
        until(lambda: all(self._whole(node) for node in self.nodes), "every node knows the whole cluster")
        return self

    def _whole(self, node: RedisServer) -> bool:
        info = node.cli("CLUSTER", "INFO")
        return "cluster_state:ok" in info and f"cluster_known_nodes:{len(self.nodes)}" in info

    def close(self) -> None:
        for node in self.nodes:
            node.close()


class RedisSentinel:
    """A primary with a replica, and a sentinel that makes the replica the primary when the primary is gone."""

    SERVICE = "jobs"

    def __init__(self) -> None:
        self.primary = RedisServer(durable=True)
        self.replica = RedisServer(durable=True, replicaof=("127.0.0.1", str(self.primary.port)))
        self.folder = make_folder("sentinel")
        self.port = free_port()
        rules = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {self.primary.port} 1",
            f"sentinel down-after-milliseconds {self.SERVICE} 500",
            f"sentinel failover-timeout {self.SERVICE} 3000",
        ]
        settings = self.folder / "sentinel.conf"
        settings.write_text("\n".join(rules) + "\n")
        program = find_program("redis-server", "valkey-server")
        self._process = ServerProcess(bound([program, str(settings), "--sentinel"]), self.folder / "log")

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/{self.SERVICE}/0"

    def start(self) -> RedisSentinel:
        """Start all three and wait until the sentinel knows the others."""
        self.primary.start()
        self.replica.start()
        self._process.start(lambda: "num-slaves" in self.cli("SENTINEL", "MASTER", self.SERVICE))
        until(lambda: "online" in self.primary.cli("INFO", "replication"), "the replica follows")
        until(lambda: f":{self.replica.port}" in self.cli("SENTINEL", "REPLICAS", self.SERVICE), "it is known")
        return self

    def cli(self, *words: str) -> str:
        """What `redis-cli` prints for a command to the sentinel."""
        command = [find_program("redis-cli", "valkey-cli"), "-h", "127.0.0.1", "-p", str(self.port), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()

    def close(self) -> None:
        if self._process.alive:
            self._process.end(signal.SIGKILL)
        for server in (self.primary, self.replica):
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
