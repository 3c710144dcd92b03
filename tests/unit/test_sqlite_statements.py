"""No statement of the SQLite store walks all jobs: finished ones may be millions, and a writer holds everybody up."""

import json
import re
import sqlite3

import pytest

from stoker.drivers.sqlite import SqliteDriver
from stoker.job import LIVE, Outcome, Progress, State, Verdict
from stoker.plan import Reply, pump
from stoker.store import Filter, Page
from stoker.stores.sqlite import SqliteStore
from stoker.stores.sqlite.texts import texts

STATEMENTS = texts()
LIVE_INDEXES = {"ready", "due", "waiting", "held", "key", "lines"}
"""Those that hold unfinished jobs alone: to walk one is to look at what there is to do."""
SMALL = {"stoker_queues", "stoker_workers", "stoker_schedules", "sqlite_master"}
PASSING = {"names", "lines", "doomed", "ranked", "CONSTANT"}
"""What statements make for themselves."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("plans") / "jobs.db")
    driver = SqliteDriver(path)
    driver.run(SqliteStore().migrate())
    driver.close()
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_walks_the_table(connection, name):
    text = STATEMENTS[name]
    named = re.findall(r":([a-z_]+)", text)
    params = dict.fromkeys(named, 1) if named else [1] * text.count("?")
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", params)]
    walks = [step for step in steps if _walked(step) and _walked(step) not in SMALL | PASSING]
    index = re.compile(r"USING (?:COVERING )?INDEX stoker_jobs_(\w+)")
    used = [found.group(1) if (found := index.search(step)) else step for step in walks]
    if name == "inserted":  # the last rows, by their order, with a limit
        assert used == ["SCAN stoker_jobs"]
    elif name == "entries":  # the same
        assert used == ["SCAN stoker_audit"]
    elif name == "look":  # is there any row at all?
        assert all(re.match(r"SCAN stoker_(edges|limits) USING COVERING INDEX", step) for step in used)
    else:
        assert set(used) <= LIVE_INDEXES, steps


def _walked(step):
    """The table that the step walks, by the name that the statement has for it."""
    found = re.match(r"SCAN (\w+)(?! VIRTUAL)\b(?! VIRTUAL)", step)
    return found.group(1) if found else None


def test_where_nothing_is_logged_nothing_more_is_asked():
    """Logs cost those who log: the statements of a settle and of a heartbeat without any are what they ever were."""
    store = SqliteStore(lambda: 0)
    done = [Outcome(1, 1, Verdict.COMPLETED, result="1"), Outcome(2, 1, Verdict.COMPLETED, result="2", log="")]
    assert asked(store.exchange("w", done)) == ["complete", "look"]
    assert asked(store.heartbeat("w", [Progress(1, 1, 0.5)], 5)) == ["report", "renew", "orders"]
    said = [Outcome(1, 1, Verdict.COMPLETED, result="1", log="text")]
    assert asked(store.exchange("w", said)) == ["log", "trim_logs", "complete", "look"]
    assert asked(store.heartbeat("w", [Progress(1, 1, log="text")])) == ["report", "log", "trim_logs", "orders"]


def asked(plan):
    """The names of the statements of a plan; every claim is held, and there is nothing to claim."""
    replies = {"look": Reply([(None, None, "[]", 0, 0)], -1), "orders": Reply([(1, "[]", None)], -1)}
    names = {text: name for name, text in STATEMENTS.items()}
    found = []

    def execute(statement):
        name = names[statement.text]
        found.append(name)
        if name == "complete":
            return Reply([], len(json.loads(statement.params["outcomes"])))
        return replies.get(name, Reply([], 0))

    pump(plan, execute)
    return found


SELECTIVE = [(state,) for state in sorted(set(State) - {State.COMPLETED})] + [
    (State.FAILED, State.CANCELLED),
    (State.QUEUED, State.PROCESSING),
    tuple(sorted(LIVE)),
]


@pytest.mark.parametrize("states", SELECTIVE)
@pytest.mark.parametrize("page", [Page(), Page(before="x"), Page(after="")])
def test_few_jobs_are_not_looked_for_among_all(connection, states, page):
    """Who asks for what is queued, running or failed gets it however many are completed."""
    which = Filter(states=states, queue="q", text="t")
    store = SqliteStore(lambda: 0)
    for plan in (store.find(which, page), store.count(which)):
        assert walked_over(connection, plan) <= LIVE_INDEXES


def walked_over(connection, plan):
    """The indexes, or tables, that the plan's statements walk."""
    index = re.compile(r"USING (?:COVERING )?INDEX stoker_jobs_(\w+)")
    walked = set()

    def execute(statement):
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.params):
            if _walked(step) and _walked(step) not in SMALL | PASSING:
                found = index.search(step)
                walked.add(found.group(1) if found else step)
        return Reply(connection.execute(statement.text, statement.params).fetchall(), -1)

    pump(plan, execute)
    return walked
