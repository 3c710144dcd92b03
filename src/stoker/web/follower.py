"""Who follows a job: a stream, with room for the latest news only."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from stoker.web.news import News


class Sign(Enum):
    """What a follower hears besides news."""

    QUIET = auto()
    """there was nothing to tell for as long as it was ready to wait"""
    TROUBLE = auto()
    """the store cannot be asked; news will come once it can"""
    GONE = auto()
    """the job was deleted: there will be no more news"""
    CLOSED = auto()
    """nobody watches any more, or nobody listens: the stream is to end"""


class Watched:
    """A job that somebody follows, and its latest news."""

    __slots__ = ("followers", "news")

    def __init__(self, news: News) -> None:
        self.news = news
        self.followers: set[Follower] = set()


class Follower:
    """Follows one job. Who asks late misses news in between, and never the last; nothing piles up meanwhile."""

    __slots__ = ("_seen", "_sign", "_waiting", "watched")

    def __init__(self, watched: Watched, seen: str | None) -> None:
        self.watched = watched
        self._seen = seen
        self._sign: Sign | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def next(self, patience: float) -> News | Sign:
        """The latest news once it has not had them, else what sign there is, waiting up to `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while (found := self._found()) is None:
                    self._waiting = asyncio.get_running_loop().create_future()
                    await self._waiting
        except TimeoutError:
            return Sign.QUIET
        return found

    def _found(self) -> News | Sign | None:
        news = self.watched.news
        if not self._knows(news):
            self._seen = news.id
            return news
        sign, self._sign = self._sign, None
        return sign

    def _knows(self, news: News) -> bool:
        """Whether it had these, or the same with a place in line that was not found out anew yet."""
        return self._seen == news.id or (
            news.position is None and self._seen is not None and self._seen.startswith(f"{news.id}.")
        )

    def tell(self, sign: Sign | None = None) -> None:
        """There are other news, or (after them) a sign; that it is to end stands. To be called on its event loop."""
        if self._sign is not Sign.CLOSED:
            self._sign = sign or self._sign
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
