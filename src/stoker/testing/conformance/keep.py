"""What `Store.keep` promises."""

from __future__ import annotations

from stoker.testing.conformance.rig import DAY, Rig


def keep(rig: Rig, name: str, value: str) -> str:
    """Keep this value, unless there is one."""
    return rig.run(rig.store.keep(name, value))


def test_the_first_value_is_kept(rig: Rig) -> None:
    assert keep(rig, "secret", "one") == "one"
    assert keep(rig, "secret", "two") == "one"


def test_names_have_nothing_to_do_with_each_other(rig: Rig) -> None:
    names = ["secret", "Secret", "schema", "ü' \"%", "x" * 300, "x" * 300 + "y", ""]
    assert [keep(rig, name, f"of {name}") for name in names] == [f"of {name}" for name in names]
    assert [keep(rig, name, "other") for name in names] == [f"of {name}" for name in names]
    assert rig.run(rig.store.migrate()) == []


def test_it_is_kept_for_ever_and_for_all(rig: Rig) -> None:
    keep(rig, "secret", "one")
    rig.advance(1000 * DAY)
    rig.run(rig.store.prune())
    assert keep(rig, "secret", "two") == "one"


def test_another_process_reads_the_same(rig: Rig) -> None:
    keep(rig, "secret", "one")
    if rig.traits.shared:
        assert rig.run(rig.another_store().keep("secret", "two")) == "one"


def test_of_many_at_once_one_is_kept(rig: Rig) -> None:
    values = [f"value {number}" for number in range(20)]
    (kept,) = set(rig.run_together([rig.store.keep("secret", value) for value in values]))
    assert kept in values
    assert keep(rig, "secret", "late") == kept
