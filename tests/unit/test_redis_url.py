"""What a Redis URL means, and what is said of one that means nothing."""

from __future__ import annotations

import pytest

from stoker.connect import connect
from stoker.connect.redis import _address
from stoker.drivers.redis import Kind, Node
from stoker.errors import ConfigError


def test_an_address_in_full():
    address = _address("rediss://us%40er:p%2Fw@host:7000/3", {}, 2.0)
    assert (address.nodes, address.kind, address.database) == ((Node("host", 7000),), Kind.SINGLE, 3)
    assert (address.username, address.password, address.timeout) == ("us@er", "p/w", 2.0)
    assert address.tls is not None
    assert "p/w" not in f"{address} {address!r}"


def test_a_password_alone():
    known = _address("redis://:secret@host", {}, 5.0)
    assert (known.username, known.password) == (None, "secret")
    assert _address("redis://host", {}, 5.0).password is None


def test_several_nodes():
    cluster = _address("redis+cluster://a,b:7001", {}, 5.0)
    assert (cluster.kind, cluster.nodes) == (Kind.CLUSTER, (Node("a", 6379), Node("b", 7001)))
    watched = _address("redis+sentinel://a,[::1]:7001/main/2", {}, 5.0)
    assert (watched.kind, watched.service, watched.database) == (Kind.SENTINEL, "main", 2)
    assert watched.nodes == (Node("a", 26379), Node("::1", 7001))
    assert str(watched) == "Redis 'main' by the sentinels a:26379, [::1]:7001"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "is not a host"),
        ("redis://host:port", "is not a host"),
        ("redis://a,b", "for several hosts"),
        ("redis://host/name", "number of a database"),
        ("redis+sentinel://host", "name the service"),
        ("redis+cluster://host/1", "no databases but 0"),
        ("redis://host?prefix={x}", "prefix must be"),
        ("redis://host?prefix=", "prefix must be"),
        ("redis://host?timeout=0", "timeout must be"),
        ("redis://host?pool_size=0", "pool_size must be"),
        ("redis://host?allow_eviction=1", "allow_eviction must be yes or no"),
        ("redis://host?nope=1", "the options are"),
        ("redis://host?tls_ca=x", "write rediss://"),
        ("redis://:secret@host#x", "%23"),
    ],
)
def test_a_url_that_means_nothing_is_explained(url, said):
    with pytest.raises(ConfigError, match="(?s)" + said.replace("?", r"\?")) as refused:
        connect(url)
    assert "secret" not in str(refused.value)


def test_connecting_opens_nothing():
    connection = connect("redis://127.0.0.1:1")
    assert "127.0.0.1:1" in connection.driver.place
    assert "appendfsync" in connection.driver.durability
    connection.driver.close()
