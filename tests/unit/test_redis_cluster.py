"""Keys that move from one node of a cluster to another: no call sees half of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

import places
from stoker.clock import IdSource
from stoker.connect import connect
from stoker.errors import StoreUnavailable
from stoker.job import NewJob

new_id = IdSource()


@pytest.fixture
def cluster() -> Iterator[object]:
    """A cluster of the test's own, whose slots may be moved."""
    from servers import RedisCluster

    made = places.started(RedisCluster)
    yield made
    made.close()


def new() -> NewJob:
    return NewJob(id=new_id(), task="t", payload="[[],{}]", keep_for=10**9, key="k")


def owner_of(cluster, slot: int):
    for line in cluster.nodes[0].cli("CLUSTER", "NODES").splitlines():
        words = line.split()
        for first, _, last in (part.partition("-") for part in words[8:]):
            if first.isdigit() and int(first) <= slot <= int(last or first):
                port = int(words[1].partition("@")[0].rpartition(":")[2])
                return next(node for node in cluster.nodes if node.port == port)
    raise LookupError(f"slot {slot} is served by nobody")


def test_while_its_slot_is_being_moved_nothing_is_done_and_after_it_everything_is_found(cluster):
    store, driver = connect(cluster.url)
    first, second = new(), new()
    driver.run(store.migrate())
    driver.run(store.insert([first]))
    slot = int(cluster.nodes[0].cli("CLUSTER", "KEYSLOT", "{stoker}"))
    source = owner_of(cluster, slot)
    target = next(node for node in cluster.nodes if node is not source)
    names = [node.cli("CLUSTER", "MYID") for node in (source, target)]
    target.cli("CLUSTER", "SETSLOT", str(slot), "IMPORTING", names[0])
    source.cli("CLUSTER", "SETSLOT", str(slot), "MIGRATING", names[1])
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="moving these keys"):
            driver.run(store.insert([second]))
    assert target.cli("DBSIZE") == "0"

    with Redis(port=source.port) as client:
        keys = client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
        client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source, *cluster.nodes):
        node.cli("CLUSTER", "SETSLOT", str(slot), "NODE", names[1])
    [answer] = driver.run(store.insert([second]))
    assert (answer.id, answer.created) == (first.id, False)
    assert driver.run(store.count()) == {"queued": 1}
    driver.close()
