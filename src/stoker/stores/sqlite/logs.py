"""What attempts logged, in a SQLite file. Where nothing is said, nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from stoker.job import LOGS_KEPT, LONGEST_LOG, Log
from stoker.plan import Steps
from stoker.stores.record import to_json
from stoker.stores.sayings import Saying
from stoker.stores.sqlite.texts import Texts


class Logs:
    """Steps of plans: who calls them is in a transaction that writes (but for `of`)."""

    def __init__(self, texts: Texts) -> None:
        self._ask = texts.ask

    def append(self, said: Sequence[Saying]) -> Steps[None]:
        """Add to the logs of those claims that are held."""
        text = to_json(said)
        yield self._ask("log", said=text)
        yield self._ask("trim_logs", said=text, longest=LONGEST_LOG, kept=LOGS_KEPT)

    def drop(self, refs: Sequence[int]) -> Steps[None]:
        """Forget those of jobs that are deleted."""
        yield self._ask("drop_logs", refs=to_json(refs))

    def of(self, id: str) -> Steps[list[Log]]:
        """See `Store.logs`."""
        reply = yield self._ask("logs", id=id)
        return [
            Log(attempt=attempt, fence=fence, text="".join(text for *_, text in pieces)[-LONGEST_LOG:])
            for (fence, attempt), pieces in groupby(reply.rows, key=lambda row: row[:2])
        ]
