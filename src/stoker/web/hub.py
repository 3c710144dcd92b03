"""Watches jobs for any number of streams, with one question to the store for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from stoker import clock
from stoker.engine import Engine
from stoker.errors import AppClosed
from stoker.job import Job, State
from stoker.web.departure import departing
from stoker.web.follower import Follower, Sign, Watched
from stoker.web.news import News
from stoker.web.problem import problem_of

_log = logging.getLogger("stoker.web")

_SHORTEST: Final = 0.1
"""Seconds from an answer to the next question, at least."""
_RESTS: Final = 4
"""And at least so many times as long as the answer took."""
_LONG: Final = 2.0
"""Seconds after which the next question comes all the same, unless the answer took even longer."""
_SLOW: Final = 2.0
"""Seconds between two looks at places in line, which change without a change of the record."""
_FRONT: Final = 1000
"""Places in a line that are told; who stands further back is not told which."""
_FIRST_RETRY: Final = 0.25
_LAST_RETRY: Final = 5.0
"""Seconds between two tries while the store does not answer; the pause doubles, and chance moves it by half."""
_AT_ONCE: Final = 500
"""Followers that are woken before others have a turn on the event loop."""


class Hub:
    """Whoever follows a job subscribes here. One watcher an event loop asks for all, while there is somebody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watchers: dict[asyncio.AbstractEventLoop, _Watcher] = {}
        self._closed = False

    @contextmanager
    def follow(self, job: Job, seen: str | None = None) -> Iterator[Follower]:
        """Follow a job from this record on. `seen`: the id of news that need not be told again.

        The first news are those of the record, or newer. Once they tell of its end there are no more.
        """
        if job.finished or self._closed:
            follower = Follower(Watched(News(job)), seen)
            follower.tell(Sign.CLOSED)
            yield follower
            return
        watcher = self._watcher()
        follower = watcher.enter(job, seen)
        try:
            yield follower
        finally:
            watcher.leave(follower)

    def close(self) -> None:
        """End all streams, and whoever comes later gets one answer. From any thread."""
        self._closed = True
        for loop, watcher in list(self._watchers.items()):
            with suppress(RuntimeError):  # that loop has ended, and its streams with it
                loop.call_soon_threadsafe(watcher.end)

    def _watcher(self) -> _Watcher:
        loop = asyncio.get_running_loop()
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = _Watcher(self._engine)
            watcher.task = loop.create_task(self._run(loop, watcher))
        return watcher

    async def _run(self, loop: asyncio.AbstractEventLoop, watcher: _Watcher) -> None:
        try:
            await watcher.run()
        finally:
            del self._watchers[loop]
            watcher.end()


class _Watcher:
    """Watches for the streams of one event loop, from the first to the last of them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watched: dict[str, Watched] = {}
        self._nudged = asyncio.Event()
        self._chance = clock.chance()
        self._failures = 0
        self._took = 0.0
        """seconds that the last answers took"""
        self._slow_at = 0.0
        """when to look again at places in line, on the monotonic clock"""
        self.task: asyncio.Task[None]  # held, because event loops hold tasks weakly

    # --- who comes and goes -----------------------------------------------------------------------------------------

    def enter(self, job: Job, seen: str | None) -> Follower:
        """Somebody follows the job, who just read this record."""
        watched = self._watched.get(job.id)
        if watched is None:
            watched = self._watched[job.id] = Watched(News(job))
        elif job.updated_at > watched.news.job.updated_at:
            watched.news = News(job)
            for other in watched.followers:
                other.tell()
        follower = Follower(watched, seen)
        watched.followers.add(follower)
        if self._failures:  # who could read a record brings the news that the store is back
            self._nudged.set()
        return follower

    def leave(self, follower: Follower) -> None:
        """Somebody follows it no more."""
        watched = follower.watched
        watched.followers.discard(follower)
        if not watched.followers and self._watched.get(watched.news.job.id) is watched:
            del self._watched[watched.news.job.id]
        if not self._watched:
            self._nudged.set()

    def end(self) -> None:
        """End all streams."""
        for watched in self._watched.values():
            for follower in watched.followers:
                follower.tell(Sign.CLOSED)
        self._watched.clear()
        self._nudged.set()

    # --- looking ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until nobody is left, or the server ends."""
        pause = _SHORTEST
        while self._watched and not departing():
            await self._rest(pause)
            pause = await self._tick()

    async def _rest(self, pause: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._nudged.wait()
        self._nudged.clear()

    async def _tick(self) -> float:
        """Look once; returns for how many seconds to rest."""
        began = clock.monotonic()
        try:
            changed = await self._changes()
            took = clock.monotonic() - began
            await _tell(changed)
            if began >= self._slow_at:
                took += await self._look_at_lines()
        except AppClosed:
            self.end()
            return 0.0
        except Exception as error:  # noqa: BLE001 - streams outlive whatever is wrong with the store
            return await self._failed(error)
        if self._failures:
            _log.info("the store answers again; %d jobs are watched", len(self._watched))
            self._failures = 0
        took, self._took = min(took, self._took), took  # one that was held up once says nothing of the next
        return max(_SHORTEST, min(_RESTS * took, max(_LONG, took)))

    async def _look_at_lines(self) -> float:
        """Returns how many seconds the answers took."""
        began = clock.monotonic()
        changed = await self._places()
        took = clock.monotonic() - began
        self._slow_at = began + _SLOW
        await _tell(changed)
        return took

    async def _failed(self, error: Exception) -> float:
        pause: float = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(self._failures, 10)) * (0.5 + self._chance.random())
        self._failures += 1
        if self._failures == 1:
            self._tell_log(error)
            await _tell(self._watched.values(), Sign.TROUBLE)
        return pause

    def _tell_log(self, error: Exception) -> None:
        number = len(self._watched)
        if problem_of(error).status == 500:  # no store raises it: whoever is to mend it has to see where it was raised
            _log.error("%d jobs are watched, and to ask about them failed", number, exc_info=error)
        else:
            _log.warning("%d jobs are watched, and the store cannot be asked about them: %s", number, error)

    async def _changes(self) -> list[Watched]:
        """What the store says of all watched jobs that is new; those of which there are news."""
        known = {id: watched.news for id, watched in self._watched.items()}
        if not known:
            return []
        seen = {id: clock.to_instant(news.job.updated_at) for id, news in known.items()}
        answer = await self._engine.arun(self._engine.connection.store.changes(seen))
        changed: list[Watched] = []
        for job in answer.jobs:
            watched = self._watched.get(job.id)
            # Who subscribed during the question may have brought a newer record: the next question is about that one.
            if watched is not None and watched.news is known[job.id]:
                self._take(watched, job)
                changed.append(watched)
        await _tell([self._watched.pop(id) for id in answer.gone if id in self._watched], Sign.GONE)
        return changed

    def _take(self, watched: Watched, job: Job) -> None:
        last = watched.news
        stays = last.job.queue == job.queue and job.state is State.QUEUED
        watched.news = News(job, last.position if stays else None)
        if job.finished:
            del self._watched[job.id]

    async def _places(self) -> list[Watched]:
        """Who stands where in the queues of watched jobs; those whose place is another one now."""
        queued: defaultdict[str, list[Watched]] = defaultdict(list)
        for watched in self._watched.values():
            if watched.news.job.state is State.QUEUED:
                queued[watched.news.job.queue].append(watched)
        changed: list[Watched] = []
        for queue, line in queued.items():
            front = await self._engine.arun(self._engine.connection.store.front(queue, _FRONT))
            places = {id: place for place, id in enumerate(front)}
            for watched in line:
                job, place = watched.news.job, places.get(watched.news.job.id)
                if job.state is State.QUEUED and place != watched.news.position:
                    watched.news = News(job, place)
                    changed.append(watched)
        return changed


async def _tell(watched: Iterable[Watched], sign: Sign | None = None) -> None:
    """Tell all who follow these that there are news, or a sign."""
    for number, follower in enumerate([follower for one in watched for follower in one.followers], 1):
        follower.tell(sign)
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
