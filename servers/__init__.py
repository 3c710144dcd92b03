"""Private servers for tests and benchmarks: on free ports, in folders of their own, gone when their starter is gone."""

from servers.postgres import PostgresServer
from servers.redis import RedisCluster, RedisSentinel, RedisServer

__all__ = ["PostgresServer", "RedisCluster", "RedisSentinel", "RedisServer"]
