"""Runs plans on a Redis or Valkey server, alone, in a cluster, or watched by sentinels."""

from stoker.drivers.redis.address import Address, Kind, Node, Tls
from stoker.drivers.redis.driver import RedisDriver

__all__ = ["Address", "Kind", "Node", "RedisDriver", "Tls"]
