"""What `Store.migrate`, `pending` and `migrations` promise. The rig has migrated once already."""

from __future__ import annotations

from stoker.testing.conformance.rig import Rig


def test_to_migrate_again_applies_nothing(rig: Rig) -> None:
    assert rig.run(rig.store.migrate()) == []
    assert rig.run(rig.another_store().migrate()) == []


def test_nothing_is_pending_after_a_migration(rig: Rig) -> None:
    assert rig.run(rig.store.pending()) == []
    assert rig.run(rig.another_store().pending()) == []


def test_to_migrate_again_keeps_the_jobs(rig: Rig) -> None:
    rig.enqueue_many(3)
    before = rig.records()
    rig.run(rig.store.migrate())
    assert rig.records() == before


def test_many_may_migrate_at_once(rig: Rig) -> None:
    assert rig.run_together([rig.store.migrate() for _ in range(10)]) == [[]] * 10


def test_the_migrations_can_be_read_in_order(rig: Rig) -> None:
    migrations = rig.store.migrations()
    assert list(migrations) == sorted(migrations)
    assert all(text.strip() for text in migrations.values())
    assert bool(migrations) or not rig.traits.durable
