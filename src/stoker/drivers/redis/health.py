"""Whether a server is fit to keep jobs, and what its settings may lose. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from redis.exceptions import ResponseError

from stoker.drivers.driver import Finding
from stoker.drivers.redis.address import Kind
from stoker.drivers.redis.faults import problem
from stoker.drivers.redis.server import BROKEN, Server

_LEAST_VERSION: Final = (6, 2)
_CROWDED: Final = 0.9
"""Share of maxmemory from which on it is worth a word."""


def objection(server: Server, *, allow_eviction: bool) -> str | None:
    """Why no job should be written to this server; None also where it may not be asked."""
    facts = _information(server, "INFO")
    if facts is None:
        return None
    if _is_old(facts):
        return f"Stoker needs Redis 6.2 or newer, or Valkey; this is {facts['redis_version']}"
    if _evicts(facts) and not allow_eviction:
        return (
            f"maxmemory-policy is {facts['maxmemory_policy']}: when its memory is full, the server drops jobs without "
            "a word; run CONFIG SET maxmemory-policy noeviction (and write it into redis.conf), or say "
            "?allow_eviction=yes in the URL if jobs may be lost"
        )
    return None


def _information(server: Server, *command: str) -> Mapping[str, str] | None:
    """What INFO or CLUSTER INFO answers, by name; None: it may not be asked."""
    try:
        found = server.call(*command)
    except ResponseError:
        return None
    return {str(name): str(value) for name, value in found.items()}


def _is_old(facts: Mapping[str, str]) -> bool:
    version = facts.get("redis_version", "").split(".")[:2]
    return all(part.isdigit() for part in version) and tuple(map(int, version)) < _LEAST_VERSION


def _evicts(facts: Mapping[str, str]) -> bool:
    """Only keys with a time to live are dropped under the policies `volatile-…`, and ours have none."""
    return facts.get("maxmemory_policy", "").startswith("allkeys") and facts.get("maxmemory", "0") != "0"


def examine(server: Server, place: str) -> Sequence[Finding]:
    """Every finding about the server."""
    try:
        return list(_findings(server))
    except BROKEN as error:
        return [Finding("server", str(problem(error, place)), "start it, or correct the URL")]


def _findings(server: Server) -> Iterator[Finding]:
    facts = _information(server, "INFO")
    if facts is None:
        advice = "allow INFO (ACL SETUSER NAME +info), so that version, eviction and persistence can be looked at"
        yield Finding("server", "it answers, but may not be asked about itself", advice, grave=False)
        return
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version", "?")
    old = "use Redis 6.2 or newer, or Valkey" if _is_old(facts) else None
    yield Finding("server", f"{name} {version} at {server.where()}", old)
    yield _role(facts)
    yield _persistence(facts, _setting(server, "appendfsync"), _setting(server, "save"))
    yield from _memory(facts)
    yield _replication(facts)
    if server.address.kind is Kind.CLUSTER or facts.get("cluster_enabled") == "1":
        yield _cluster(server)


def _setting(server: Server, name: str) -> str | None:
    """A setting of the server; None: it may not be asked."""
    try:
        found: Mapping[str, str] = server.call("CONFIG GET", name)
    except ResponseError:
        return None
    return found.get(name)


def _role(facts: Mapping[str, str]) -> Finding:
    role = facts.get("role", "?")
    return Finding("role", role, None if role == "master" else "write to the primary: a replica takes no jobs")


def _persistence(facts: Mapping[str, str], fsync: str | None, save: str | None) -> Finding:
    if facts.get("loading") == "1":
        return Finding("persistence", "the server still reads its data", "wait until it has")
    if facts.get("aof_enabled") == "1":
        if facts.get("aof_last_write_status") == "err":
            return Finding("persistence", "the last write to the append-only file failed", "look at the disk")
        losses = {
            "always": "appendonly with appendfsync=always: a job is on disk before its enqueue returns",
            "everysec": "appendonly with appendfsync=everysec: a power failure may take the last second or two",
            "no": "appendonly with appendfsync=no: a power failure may take the last half minute",
        }
        told = losses.get(
            fsync or "", "appendonly; how often it reaches the disk cannot be told, as CONFIG is not allowed"
        )
        return Finding("persistence", told)
    if save == "":
        return Finding(
            "persistence",
            "none: all jobs are gone when the server stops",
            "set appendonly yes, unless every job can be made again",
            grave=False,
        )
    if facts.get("rdb_last_bgsave_status") == "err":
        return Finding("persistence", "the last snapshot failed", "look at the server's log and at the disk")
    how = f"(save {save})" if save else "(how often cannot be told, as CONFIG is not allowed)"
    return Finding(
        "persistence",
        f"snapshots only {how}: a crash of the server takes the minutes since the last one",
        "set appendonly yes, unless these minutes can be made again",
        grave=False,
    )


def _memory(facts: Mapping[str, str]) -> Iterator[Finding]:
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    policy = facts.get("maxmemory_policy", "?")
    if _evicts(facts):
        yield Finding(
            "eviction",
            f"maxmemory-policy {policy} drops jobs when memory is full",
            "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf",
        )
    elif most:
        yield Finding("eviction", f"maxmemory-policy {policy}: no job is ever dropped; a full server refuses new ones")
    else:
        yield Finding("eviction", f"no maxmemory is set, so nothing is dropped (maxmemory-policy {policy})")
    if most:
        full = used > _CROWDED * most
        advice = "raise maxmemory, or let finished jobs go sooner (keep_for); a full server refuses jobs"
        yield Finding("memory", f"{_size(used)} of {_size(most)} in use", advice if full else None, grave=False)
    else:
        yield Finding("memory", f"{_size(used)} in use")


def _replication(facts: Mapping[str, str]) -> Finding:
    replicas = int(facts.get("connected_slaves", 0))
    if not replicas:
        return Finding("replication", "no replica: jobs are as safe as this one server")
    return Finding(
        "replication",
        f"{replicas} connected; they follow a moment behind, so a failover may take the last jobs or run some again",
    )


def _cluster(server: Server) -> Finding:
    facts = _information(server, "CLUSTER INFO")
    if facts is None:
        return Finding("cluster", "its state may not be asked")
    state, slots = facts.get("cluster_state", "?"), facts.get("cluster_slots_ok", "?")
    advice = None if state == "ok" else "see CLUSTER NODES: some slots are served by nobody"
    return Finding(
        "cluster", f"state {state}, {slots} of 16384 slots served by {facts.get('cluster_size', '?')}", advice
    )


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
