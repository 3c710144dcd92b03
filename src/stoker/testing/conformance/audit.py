"""What `AuditStore` promises."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stoker.audit_store import AUDIT_KEPT, Entry
from stoker.testing.conformance.rig import START, Rig


def write(rig: Rig, **facts: Any) -> Entry:
    """Write an entry; as it should be read."""
    defaults: dict[str, Any] = {"id": rig.new_id(), "who": "ada", "action": "pause queue", "target": "mail"}
    entry = Entry(**defaults | facts)
    rig.run(rig.store.audit.write(entry))
    facts["at"] = rig.now
    return Entry(**defaults | facts)


def read(rig: Rig, **how: Any) -> list[Entry]:
    """The entries, newest first."""
    return rig.run(rig.store.audit.read(**how))


def test_nobody_did_anything(rig: Rig) -> None:
    assert read(rig) == []


def test_an_entry_is_read_as_it_was_written(rig: Rig) -> None:
    rig.advance(5)
    entry = write(rig, who="ü' \"%", action="cancel jobs", target="queue:mail", count=7, detail='{"why":"ü"}', at=99)
    assert entry.at == START + 5
    assert read(rig) == [entry]


def test_what_is_not_said_stays_unsaid(rig: Rig) -> None:
    assert read(rig) == []
    assert write(rig) == read(rig)[0]
    assert (read(rig)[0].count, read(rig)[0].detail) == (None, None)


def test_newest_first_in_pages(rig: Rig) -> None:
    made = [write(rig) for _ in range(5)][::-1]
    assert read(rig) == made
    assert read(rig, limit=2) == made[:2]
    assert read(rig, limit=2, before=made[1].id) == made[2:4]
    assert read(rig, before=made[4].id) == []
    assert read(rig, limit=0) == []


def test_by_id_whatever_the_order_in_which_they_come(rig: Rig) -> None:
    ids = [rig.new_id() for _ in range(3)]
    for id in (ids[1], ids[2], ids[0]):
        write(rig, id=id)
    assert [entry.id for entry in read(rig)] == ids[::-1]


def test_an_entry_is_completed_and_stays_in_its_place(rig: Rig) -> None:
    entry = write(rig, detail='{"reason":"x"}')
    later = write(rig)
    rig.advance(5)
    told = write(rig, id=entry.id, who="bob", action="cancel jobs", target="all", count=3)
    assert read(rig) == [later, replace(told, at=entry.at)]


def test_an_entry_that_was_completed_is_forgotten_with_the_others(rig: Rig) -> None:
    entry = write(rig)
    rig.advance(AUDIT_KEPT - 1)
    write(rig, id=entry.id, count=3)
    rig.run(rig.store.prune())
    assert len(read(rig)) == 1
    rig.advance(1)
    rig.run(rig.store.prune())
    assert read(rig) == []


def test_another_process_reads_the_same(rig: Rig) -> None:
    entry = write(rig)
    if rig.traits.shared:
        assert rig.run(rig.another_store().audit.read()) == [entry]


def test_pruning_forgets_what_is_too_old(rig: Rig) -> None:
    write(rig)
    rig.advance(1)
    later = write(rig)
    rig.advance(AUDIT_KEPT - 1)
    rig.run(rig.store.prune())
    assert read(rig) == [later]
    rig.advance(1)
    rig.run(rig.store.prune())
    assert read(rig) == []
