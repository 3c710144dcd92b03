"""Jobs on a Redis or Valkey server, or on a cluster of them."""

from stoker.stores.redis.plans import RedisStore

__all__ = ["RedisStore"]
