"""Whether a server is fit to keep jobs, and what its settings may lose. Looks, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import hiredis

from stoker.drivers.driver import Finding
from stoker.drivers.redis.address import Kind
from stoker.drivers.redis.faults import breakdown, refusal
from stoker.drivers.redis.locator import Locator
from stoker.drivers.redis.wire import Wire, expect

_LEAST_VERSION: Final = (6, 2)
_CROWDED: Final = 0.9
"""Share of maxmemory from which on it is worth a word."""
_REFUSED: Final = (OSError, hiredis.ReplyError)


def facts_of(info: bytes) -> Mapping[str, str]:
    """What INFO answers, by name."""
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def objection(info: bytes, *, allow_eviction: bool) -> str | None:
    """Why no job should be written to this server."""
    facts = facts_of(info)
    if _is_old(facts):
        return f"Stoker needs Redis 6.2 or newer, or Valkey; this is {facts['redis_version']}"
    if _evicts(facts) and not allow_eviction:
        return (
            f"maxmemory-policy is {facts['maxmemory_policy']}: when its memory is full, the server drops jobs without "
            "a word; run CONFIG SET maxmemory-policy noeviction (and write it into redis.conf), or say "
            "?allow_eviction=yes in the URL if jobs may be lost"
        )
    return None


def _is_old(facts: Mapping[str, str]) -> bool:
    version = facts.get("redis_version", "").split(".")[:2]
    return all(part.isdigit() for part in version) and tuple(map(int, version)) < _LEAST_VERSION


def _evicts(facts: Mapping[str, str]) -> bool:
    """Only keys with a time to live are dropped under the policies `volatile-…`, and ours have none."""
    return facts.get("maxmemory_policy", "").startswith("allkeys") and facts.get("maxmemory", "0") != "0"


def examine(locator: Locator, place: str, prefix: str) -> Sequence[Finding]:
    """Every finding about the server."""
    try:
        wire = locator.open()
    except OSError as error:
        return [Finding("server", str(breakdown(error, place)), "start it, or correct the URL")]
    except hiredis.ReplyError as error:
        return [Finding("server", str(refusal(error, place)), "correct the user, the password or the database")]
    try:
        return list(_findings(wire, locator))
    except _REFUSED as error:
        return [Finding("server", f"{place}: {error}", "is it starting, or stopping?")]
    finally:
        wire.close()


def _findings(wire: Wire, locator: Locator) -> Iterator[Finding]:
    try:
        facts = facts_of(expect(wire, locator.address, "INFO"))
    except hiredis.ReplyError as error:
        advice = "allow INFO (ACL SETUSER NAME +info), so that version, eviction and persistence can be looked at"
        yield Finding("server", f"it answers, but may not be asked about itself ({error})", advice)
        return
    name = "Valkey" if "valkey_version" in facts else "Redis"
    version = facts.get("valkey_version") or facts.get("redis_version", "?")
    old = "use Redis 6.2 or newer, or Valkey" if _is_old(facts) else None
    yield Finding("server", f"{name} {version} at {wire.node}", old)
    yield _role(facts)
    yield _persistence(facts, _setting(wire, locator, "appendfsync"), _setting(wire, locator, "save"))
    yield from _memory(facts)
    yield _replication(facts)
    if locator.address.kind is Kind.CLUSTER or facts.get("cluster_enabled") == "1":
        yield _cluster(wire, locator)


def _setting(wire: Wire, locator: Locator, name: str) -> str | None:
    """A setting of the server; None: it may not be asked."""
    try:
        found = expect(wire, locator.address, "CONFIG", "GET", name)
    except hiredis.ReplyError:
        return None
    return found[1].decode() if found else None


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


def _cluster(wire: Wire, locator: Locator) -> Finding:
    try:
        facts = facts_of(expect(wire, locator.address, "CLUSTER", "INFO"))
    except hiredis.ReplyError as error:
        return Finding("cluster", f"its state may not be asked ({error})")
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
