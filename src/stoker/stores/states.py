"""Sets of states as conditions of SQL."""

from __future__ import annotations

from typing import Final

from stoker.job import State
from stoker.stores.record import CODES


def state_in(*states: State) -> str:
    """The condition that a row is in one of these states.

    Literals, not parameters: only so does a database know that a partial index holds all the rows.
    """
    codes = sorted({CODES[State(state)] for state in states})
    if len(codes) == 1:
        return f"state = {codes[0]}"
    return f"state IN ({', '.join(map(str, codes))})"


STARTABLE: Final = state_in(State.WAITING, State.SCHEDULED, State.QUEUED)
ENDED_BADLY: Final = state_in(State.FAILED, State.CANCELLED)
PROCESSING: Final = state_in(State.PROCESSING)
