"""The server stops, dies, cuts connections, or is out of reach. Nothing is lost, nothing ends twice, work goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from servers import PostgresServer, RedisSentinel, RedisServer

import places
from faults.proxy import Proxy
from faults.support import LEASE, PATIENCE, World, closing_world, until, with_option
from stoker import Stoker, StoreUnavailable
from stoker.job import State

SOON = 30.0
"""seconds after the server's return by which a worker must be at work again"""


class Site(World):
    """A world whose server is its own."""

    server: PostgresServer | RedisServer
    direct: str
    """the server's own URL; `url` may lead through a proxy"""

    def enqueue_somehow(self, task: str, *args: Any, **options: Any) -> None:
        """Enqueue until it is known to be in: a call that failed may have made a job as well."""

        def done() -> bool:
            try:
                self.enqueue(task, *args, **options)
            except StoreUnavailable:
                return False
            return True

        until(done, "a job can be enqueued")

    def cut_connections(self) -> None:
        """Have the server end every connection of others."""
        if isinstance(self.server, PostgresServer):
            self.server.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        else:
            for kind in ("normal", "pubsub"):
                self.server.cli("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


@contextmanager
def site(kind: str, folder: Path, proxy: Proxy | None = None, **settings: str | int) -> Iterator[Site]:
    make = PostgresServer if kind == "postgres" else RedisServer
    server = places.started(lambda: make(durable=True, **settings))
    try:
        url = server.url if proxy is None else proxy.url(server.url, server.port)
        if proxy is not None:
            proxy.lead_to(server.port)
        made = Site(folder, url)
        made.server, made.direct = server, server.url
        try:
            yield made
        finally:
            made.end()
    finally:
        server.close()


KINDS = ("postgres", "redis")


@pytest.fixture(params=KINDS)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A world on a server of its own, which keeps what it has acknowledged."""
    with site(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=KINDS)
def wired(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, Proxy]]:
    """The same, reached by way of a proxy."""
    proxy = Proxy(1)
    try:
        with site(request.param, tmp_path, proxy) as made:
            yield made, proxy
    finally:
        proxy.close()


def pass_time(seconds: float) -> None:
    """Let the workers work for a while: part of what is done here, not a wait for anything."""
    time.sleep(seconds)


def load(world: World) -> None:
    for index in range(7):
        world.enqueue("swarm", index, times=150)
    for index in range(10):
        world.enqueue("quick", 0.05 * index)


def all_completed(world: World) -> None:
    until(world.all_final, "every job ends", 2 * PATIENCE)
    jobs = world.check()
    assert {job.state for job in jobs.values()} == {State.COMPLETED}


# --- under load -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_server_ends_and_comes_back_under_load(own: Site, how: str):
    load(own)
    workers = [own.start_worker(concurrency=6, lease=LEASE) for _ in range(2)]
    for round in range(3):
        pass_time(0.3)
        getattr(own.server, how)()
        pass_time(0.2 * round)
        own.server.start()
        own.enqueue_somehow("quick", times=50)
    all_completed(own)
    assert all(worker.alive for worker in workers)


def test_connections_are_cut_again_and_again_under_load(own: Site):
    load(own)
    workers = [own.start_worker(concurrency=6, lease=LEASE) for _ in range(2)]
    for _ in range(12):
        pass_time(0.15)
        own.cut_connections()
        own.enqueue_somehow("quick", times=10)
    all_completed(own)
    assert all(worker.alive for worker in workers)


def test_the_network_breaks_again_and_again_under_load(wired: tuple[Site, Proxy]):
    world, proxy = wired
    load(world)
    workers = [world.start_worker(concurrency=6, lease=LEASE) for _ in range(2)]
    for round in range(8):
        pass_time(0.2)
        proxy.refuse()
        pass_time(0.1 * (round % 3))
        proxy.refuse(False)
        world.enqueue_somehow("quick", times=10)
    all_completed(world)
    assert all(worker.alive for worker in workers)


def test_a_slow_network(wired: tuple[Site, Proxy]):
    world, proxy = wired
    proxy.delay(0.01)
    for index in range(7):
        world.enqueue("swarm", index, times=40)
    world.start_worker(concurrency=6)
    world.start_worker(concurrency=6)
    all_completed(world)


def test_a_network_that_swallows_everything_for_longer_than_a_lease(tmp_path: Path):
    """Connections stand, and nothing comes. The workers give up before the store gives their jobs away."""
    proxy = Proxy(1)
    try:
        for kind in KINDS:
            folder = tmp_path / kind
            folder.mkdir()
            with site(kind, folder, proxy) as world:
                held = world.enqueue("hold", world.gate(kind))
                world.url = with_option(world.url, "timeout=3")
                worker = world.start_worker(lease=LEASE)
                world.starts(held)
                proxy.mute()
                until(lambda: "lost its lease" in worker.log, "the worker gives up its lease")
                until(
                    lambda: [run.how for run in world.history.runs(held)] == ["CancelledError"],
                    "the run is told to end",
                )
                proxy.mute(False)
                world.starts(held, 2)
                world.open(world.gate(kind))
                assert world.ends(held).state is State.COMPLETED
                world.check()
    finally:
        proxy.close()


# --- coming back ----------------------------------------------------------------------------------------------------


class Working:
    """A worker in this process, on a thread of its own."""

    def __init__(self, app: Stoker) -> None:
        self.worker: Any = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(app)), daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    async def _serve(self, app: Stoker) -> None:
        self._loop = asyncio.get_running_loop()
        self.worker = app.worker(lease=2.0, grace=0.5)
        started = asyncio.Event()
        serving = asyncio.ensure_future(self.worker.serve(started))
        await started.wait()
        self._started.set()
        await serving

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.worker.stop, 0.0)
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("busy", [False, True])
def test_liveness_is_false_while_the_server_is_away_and_work_goes_on_soon_after_its_return(own: Site, busy: bool):
    app = own.app
    ran = []

    @app.task(name="tick")
    async def tick(number: int) -> None:
        ran.append(number)

    @app.task(name="long")
    async def long() -> None:
        await asyncio.sleep(3)

    working = Working(app)
    try:
        first = tick.enqueue(1)
        until(lambda: first.refresh().finished and working.worker.healthy, "it works")
        if busy:
            long.enqueue()
            until(lambda: working.worker.running == 1, "it is busy")
        own.server.kill()
        until(lambda: not working.worker.healthy, "it knows that it cannot work", SOON)
        own.server.start()
        until(lambda: working.worker.healthy, "it is alive again", SOON)
        until(lambda: _enqueued(lambda: tick.enqueue(2)), "a job can be enqueued", SOON)
        until(lambda: 2 in ran, "it works again", SOON)  # a call that failed may have made a job as well
    finally:
        working.stop()


def _enqueued(enqueue: Callable[[], Any]) -> bool:
    try:
        enqueue()
    except StoreUnavailable:
        return False
    return True


def test_a_sleeping_worker_is_woken_after_its_connections_were_cut(own: Site):
    worker = own.start_worker(lease=LEASE)
    assert own.ends(own.enqueue("quick")).state is State.COMPLETED
    for _ in range(3):
        own.cut_connections()
        own.enqueue_somehow("quick")
        until(own.all_final, "it is done")
    assert worker.alive
    own.check()


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_share_a_small_pool(kind: str, tmp_path: Path):
    with places.fresh(kind, tmp_path) as url, closing_world(tmp_path, with_option(url, "pool_size=2")) as world:
        threads = [threading.Thread(target=world.enqueue, args=("quick",), kwargs={"times": 5}) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert world.counts() == {"queued": 100}
        world.start_worker()
        all_completed(world)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_room_for_more_clients(kind: str, tmp_path: Path):
    """Whoever comes too late is told, and served once there is room; nothing is lost."""
    settings = {"max_connections": 15} if kind == "postgres" else {"maxclients": 15}
    with site(kind, tmp_path, **settings) as world:
        ids = [world.enqueue("hold", world.gate()) for _ in range(4)]
        worker = world.start_worker(lease=LEASE)
        for id in ids:
            world.starts(id)
        crowd = CROWDS[kind](world.server.port)
        try:
            until(lambda: crowd.push() and "the store does not answer" in worker.log, "the worker finds no room")
        finally:
            crowd.leave()
        world.open(world.gate())
        until(lambda: _enqueued(lambda: world.enqueue("quick")), "there is room again")
        all_completed(world)
        assert worker.alive


class PostgresCrowd:
    """Clients that take every connection of a server, those of others as well."""

    def __init__(self, port: int) -> None:
        import psycopg

        self._connect = lambda: psycopg.connect(
            f"host=127.0.0.1 port={port} user=stoker dbname=postgres application_name=crowd", autocommit=True
        )
        self._refused = psycopg.OperationalError
        self._members = [self._connect()]

    def push(self) -> bool:
        """Cut others off and take their places."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'crowd' "
        self._members[0].execute(query + "AND backend_type = 'client backend'")
        for _ in range(20):
            try:
                self._members.append(self._connect())
            except self._refused:
                break
        return True

    def leave(self) -> None:
        for member in self._members:
            member.close()


class RedisCrowd:
    """The same for Redis."""

    def __init__(self, port: int) -> None:
        from redis import Redis
        from redis.exceptions import ConnectionError

        self._connect = lambda: Redis(port=port, single_connection_client=True, client_name="crowd")
        self._refused = ConnectionError
        self._members = [self._connect()]

    def push(self) -> bool:
        """Cut others off and take their places."""
        for client in self._members[0].client_list():
            if client["name"] != "crowd":
                self._members[0].client_kill_filter(_id=client["id"])
        for _ in range(20):
            try:
                self._members.append(self._connect())
            except self._refused:
                break
        return True

    def leave(self) -> None:
        for member in self._members:
            member.close()


CROWDS: dict[str, Any] = {"postgres": PostgresCrowd, "redis": RedisCrowd}


# --- failover -------------------------------------------------------------------------------------------------------


def test_a_redis_replica_takes_over(tmp_path: Path):
    """What the replica had is there and runs; what it had not yet, is lost or runs again: Redis copies late."""
    proxy = Proxy(1)
    try:
        with site("redis", tmp_path, proxy) as world:
            replica = RedisServer(durable=True, replicaof=("127.0.0.1", str(world.server.port))).start()
            try:
                load(world)
                until(lambda: int(world.server.cli("WAIT", "1", "1000")) == 1, "the replica has it all")
                workers = [world.start_worker(concurrency=6, lease=LEASE) for _ in range(2)]
                pass_time(0.4)
                world.server.kill()
                replica.cli("REPLICAOF", "NO", "ONE")
                proxy.lead_to(replica.port)
                until(world.all_final, "every job ends", 2 * PATIENCE)
                jobs = world.jobs()
                assert set(world.enqueued) <= jobs.keys()
                assert {job.state for job in jobs.values()} == {State.COMPLETED}
                returned = {run.job for run in world.history.runs() if run.how == "returned"}
                assert jobs.keys() <= returned
                assert all(worker.alive for worker in workers)
            finally:
                replica.close()
    finally:
        proxy.close()


def test_sentinels_lead_workers_and_apps_to_the_new_primary(tmp_path: Path):
    servers = places.started(RedisSentinel)
    try:
        with closing_world(tmp_path, servers.url) as world:
            ids = [world.enqueue("quick", 0.01) for _ in range(50)]
            worker = world.start_worker(lease=LEASE)
            until(world.all_final, "the first jobs end")
            until(lambda: int(servers.primary.cli("WAIT", "1", "1000")) == 1, "the replica has it all")
            servers.primary.kill()
            until(lambda: _enqueued(lambda: world.enqueue("quick")), "a job can be enqueued at the new primary")
            until(world.all_final, "work goes on")
            assert set(ids) <= world.jobs().keys()
            assert worker.alive
    finally:
        servers.close()


# --- many processes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["postgres", "redis"], indirect=True)
def test_sixteen_workers_start_each_of_50_000_jobs_once(world: World):
    for _ in range(50):
        world.enqueue("tally", times=1000)
    workers = [world.start_worker(ready=False, drain=True, concurrency=50, lease=60.0) for _ in range(16)]
    assert [worker.wait(5 * PATIENCE) for worker in workers] == [0] * 16, world.logs()
    assert world.counts() == {"completed": 50_000}
    lines = [line for path in world.folder.glob("tally.*") for line in path.read_text().splitlines()]
    assert len(lines) == 50_000
    assert set(lines) == set(world.enqueued)
    assert len(list(world.folder.glob("tally.*"))) > 1
