"""Jobs in this process's memory: the contract in plain Python."""

from stoker.stores.memory.plans import MemoryStore

__all__ = ["MemoryStore"]
