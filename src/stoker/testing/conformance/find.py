"""What `Store.find` promises, and what every field of a `Filter` means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stoker.clock import SECOND
from stoker.job import FINAL, LIVE, Progress, State
from stoker.store import Filter, Page
from stoker.testing.conformance.rig import HOUR, Rig

TEXTS = (
    "plain",
    "it's",
    'a "quoted" one',
    "100%",
    "under_score",
    "back\\slash",
    "semi;colon--",
    "'; DROP TABLE stoker_jobs; --",
    "' OR '1'='1",
    '") OR 1=1 --',
    "$1 :name ?1 {curly} %(x)s %s",
    "*.?[a]",
    "naïve Ünïcode ß",
    "日本語 🚂",
    "e\u0301 and é",
    "tab\tand\nnewline",
    " ",
    "",
)
"""Texts that a careless statement would take for something else. Each stands for itself and matches only itself."""


def test_nothing_to_find(rig: Rig) -> None:
    assert rig.find() == []
    assert rig.find(states=tuple(State), queue="x", task="x", tag="x", owner="x", text="x", ids=("x",)) == []


def test_newest_first(rig: Rig) -> None:
    made = rig.enqueue_many(5) + rig.enqueue_many(5)
    assert rig.find() == made[::-1]


def test_newest_is_said_by_the_id(rig: Rig) -> None:
    made = [rig.new_id() for _ in range(4)]
    for index in (2, 0, 3, 1):
        rig.enqueue(id=made[index])
    assert rig.find() == made[::-1]


def test_the_default_page_has_fifty(rig: Rig) -> None:
    made = rig.enqueue_many(60)
    assert [job.id for job in rig.run(rig.store.find())] == made[:-51:-1]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_join_without_gap_or_overlap(rig: Rig, limit: int) -> None:
    made = rig.enqueue_many(20)
    seen: list[str] = []
    before: str | None = None
    while page := rig.find(limit=limit, before=before):
        assert len(page) <= limit
        assert not set(page) & set(seen)
        seen += page
        before = page[-1]
    assert seen == made[::-1]


def test_pages_stay_in_place_while_jobs_come_and_go(rig: Rig) -> None:
    made = rig.enqueue_many(10)
    page = rig.find(limit=4)
    rig.enqueue_many(5)
    rig.cancel(*page)
    assert rig.find(limit=4, before=page[-1]) == made[5:1:-1]


def test_the_id_that_a_page_goes_on_from_need_not_exist_any_more(rig: Rig) -> None:
    made = rig.enqueue_many(5)
    ghost = made.pop(2)
    rig.delete(ghost)
    assert rig.find(before=ghost) == made[1::-1]


def test_forth_in_time_the_oldest_come_first(rig: Rig) -> None:
    made = rig.enqueue_many(7)
    seen: list[str] = []
    after = ""
    while page := rig.find(limit=3, after=after):
        assert not set(page) & set(seen)
        seen += page
        after = page[-1]
    assert seen == made
    assert rig.find(after=made[4]) == made[5:]
    assert rig.find(after=made[1], before=made[5]) == made[2:5]
    assert rig.find(limit=0, after="") == []


def test_forth_in_time_by_filter(rig: Rig) -> None:
    mine = rig.enqueue_many(5, owner="a")
    rig.enqueue_many(5, owner="b")
    mine += rig.enqueue_many(5, owner="a")
    assert rig.find(owner="a", limit=4, after=mine[2]) == mine[3:7]


def test_a_page_of_none(rig: Rig) -> None:
    rig.enqueue()
    assert rig.find(limit=0) == []


# --- fields ---------------------------------------------------------------------------------------------------------


def test_ids(rig: Rig) -> None:
    a, b, c = rig.enqueue_many(3)
    assert rig.find(ids=(a, c)) == [c, a]
    assert rig.find(ids=(b, b, "unknown", b)) == [b]
    assert rig.find(ids=()) == []
    assert rig.find(ids=(a.upper(),)) == []


def test_hundreds_of_ids(rig: Rig) -> None:
    made = rig.enqueue_many(2000)
    assert rig.find(ids=tuple(made[::2])) == made[::2][::-1]


def test_states(rig: Rig) -> None:
    made = {state: rig.make(state, queue=state.value, owner="o") for state in State}
    for state in State:
        assert rig.find(states=(state,), owner="o") == [made[state]]
    assert sorted(rig.find(states=tuple(FINAL), owner="o")) == sorted(made[state] for state in FINAL)
    assert sorted(rig.find(states=tuple(LIVE), owner="o")) == sorted(made[state] for state in LIVE)
    assert rig.find(states=(State.FAILED, State.FAILED), owner="o") == [made[State.FAILED]]
    assert rig.find(states=()) == []


@pytest.mark.parametrize("field", ["queue", "task", "owner", "workflow", "key"])
def test_a_field_matches_exactly(rig: Rig, field: str) -> None:
    made = {text: rig.enqueue(**{field: text}) for text in (*TEXTS, "PLAIN", "plain ", "plai")}
    for text, id in made.items():
        exact: dict[str, Any] = {field: text}
        assert rig.find(**exact) == [id], text
        assert rig.run(rig.store.count(Filter(**exact))) == {"queued": 1}
    for text in ("%", "_", "nobody"):
        other: dict[str, Any] = {field: text}
        assert rig.find(**other) == [], text


def test_a_job_without_an_owner_is_nobodys(rig: Rig) -> None:
    rig.enqueue()
    assert rig.find(owner="") == rig.find(owner="None") == rig.find(key="") == rig.find(workflow="") == []


def test_a_key_is_found_in_finished_jobs_too(rig: Rig) -> None:
    old = rig.make(State.COMPLETED, key="k")
    present = rig.enqueue(key="k")
    assert rig.find(key="k") == [present, old]


def test_tag(rig: Rig) -> None:
    made = {text: rig.enqueue(tags=("common", text)) for text in (*TEXTS, "PLAIN", "plai")}
    rig.enqueue()
    for text, id in made.items():
        assert rig.find(tag=text) == [id], text
    assert rig.find(tag="common") == list(made.values())[::-1]
    assert rig.find(tag="comm") == rig.find(tag="%") == rig.find(tag='","') == rig.find(tag="[") == []


def payload(*args: object) -> str:
    return msgspec.json.encode([args, {}]).decode()


def test_text_occurs_in_the_arguments(rig: Rig) -> None:
    cat = rig.enqueue(payload='[["Cat.JPG",80],{"deep":{"name":"Émile"}}]', task="dog")
    dog = rig.enqueue(payload='[["dog.jpg",8],{}]')
    for text in ("cat", "CAT.jpg", "80", '"deep":{"name"', "Émile", "ÉMILE"[1:], '["cat'):
        assert rig.find(text=text) == [cat], text
    assert rig.find(text="jpg") == rig.find(text="") == [dog, cat]
    assert rig.find(text="bird") == rig.find(text="cat.jpg 80") == []


def test_letter_case_is_ignored_in_ascii_only(rig: Rig) -> None:
    id = rig.enqueue(payload='[["Straße É"],{}]')
    assert rig.find(text="STRAßE") == [id]
    assert rig.find(text="é") == []
    assert rig.find(text="strasse") == []


def test_text_is_not_a_pattern(rig: Rig) -> None:
    rig.enqueue(payload='[["abc"],{}]')
    percent, score = rig.enqueue(payload='[["5%"],{}]'), rig.enqueue(payload='[["a_c"],{}]')
    assert rig.find(text="%") == [percent]
    assert rig.find(text="a_c") == [score]
    for text in ("a%c", "a?c", "a*c", "[a]bc", "a.c", "'; DROP TABLE stoker_jobs; --", "' OR '1'='1", "\\"):
        assert rig.find(text=text) == [], text


def test_idle_for(rig: Rig) -> None:
    idle = rig.enqueue()
    claim = rig.begin()
    rig.advance(HOUR)
    assert rig.find(idle_for=HOUR) == [claim.id, idle]
    assert rig.find(idle_for=HOUR + 1) == []
    rig.beat("worker", Progress(claim.ref, claim.fence, 0.5))
    assert rig.find(idle_for=HOUR) == [idle]
    assert rig.find(idle_for=1) == [idle]
    assert rig.find(idle_for=0) == [claim.id, idle]
    rig.advance(SECOND)
    assert rig.find(idle_for=SECOND) == [claim.id, idle]


def test_every_given_field_must_match(rig: Rig) -> None:
    facts: dict[str, Any] = {"queue": "q", "task": "t", "owner": "o", "workflow": "w", "key": "k"}
    id = rig.enqueue(**facts, tags=("x",), payload='[["needle"],{}]')
    exact = facts | {"tag": "x", "text": "needle", "ids": (id,), "states": (State.QUEUED,), "idle_for": 0}
    assert rig.find(**exact) == [id]
    others: dict[str, Any] = dict.fromkeys((*facts, "tag", "text"), "other")
    others |= {"ids": ("other",), "states": (State.FAILED,), "idle_for": 1}
    for name, other in others.items():
        assert rig.find(**exact | {name: other}) == [], name


def test_filters_and_pages_go_together(rig: Rig) -> None:
    made = [rig.enqueue(owner="a" if index % 3 else "b") for index in range(30)]
    mine = [id for index, id in enumerate(made) if index % 3][::-1]
    assert rig.find(owner="a", limit=5) == mine[:5]
    assert rig.find(owner="a", limit=5, before=mine[4]) == mine[5:10]


def test_reading_changes_nothing(rig: Rig) -> None:
    for state in State:
        rig.make(state)
    rig.advance(2 * HOUR)
    before = rig.records()
    rig.run(rig.store.find(Filter(text="x"), Page(1)))
    rig.run(rig.store.count())
    rig.run(rig.store.census())
    assert rig.records() == before


def test_finding_among_thousands(rig: Rig) -> None:
    rig.enqueue_many(2000, owner="many")
    needle = rig.enqueue(owner="one", payload=payload("needle"))
    rig.enqueue_many(2000, owner="many")
    assert rig.find(owner="one") == rig.find(text="needle") == [needle]
    assert len(rig.find(owner="many", limit=3000)) == 3000
