"""URLs of stores: which there are, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker import ConfigError
from stoker.connect import connect


def place(url: str) -> str:
    connection = connect(url)
    connection.driver.close()
    return connection.driver.place


def test_memory() -> None:
    assert place("memory://") == "memory"


def test_a_relative_file_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place("sqlite:///jobs.db") == str(tmp_path / "jobs.db")
    assert place("sqlite:///data/my%20jobs.db") == str(tmp_path / "data" / "my jobs.db")


def test_four_slashes_make_an_absolute_file() -> None:
    assert place("sqlite:////var/lib/jobs.db") == "/var/lib/jobs.db"


def test_nothing_is_opened(tmp_path: Path) -> None:
    place(f"sqlite:///{tmp_path}/jobs.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///jobs.db?synchronous=normal", "synchronous=normal"),
        ("sqlite:///jobs.db?synchronous=FULL", "synchronous=full"),
        ("sqlite:///jobs.db?timeout=0.5", "synchronous=full"),
        ("sqlite:///jobs.db", "survives a power failure"),
    ],
)
def test_the_options_are_known_and_the_durability_is_said(url: str, words: str) -> None:
    connection = connect(url)
    assert words in connection.driver.durability
    connection.driver.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "'' is not a URL; for a SQLite file write sqlite:///jobs.db"),
        ("jobs.db", "'jobs.db' is not a URL; for a SQLite file write sqlite:///jobs.db"),
        ("mysql://host/db", "there is no store for mysql://"),
        ("memory://host", "the memory store takes no address: write memory://, not memory://host"),
        ("memory:", "write memory://, not memory:"),
        ("sqlite://host/jobs.db", "a SQLite URL has three slashes: sqlite:///host/jobs.db"),
        ("sqlite://jobs.db", "a SQLite URL has three slashes: sqlite:///jobs.db"),
        ("sqlite:///", "name the file: sqlite:///jobs.db, or sqlite:////var/lib/jobs.db"),
        ("sqlite:", "name the file"),
        ("sqlite:jobs.db", "name the file"),
        ("sqlite:///:memory:", "several connections cannot share a SQLite database in memory: use memory://"),
        ("sqlite:///jobs.db?synchronous=off", "synchronous must be full (the default) or normal, not 'off'"),
        ("sqlite:///jobs.db?timeout=soon", "timeout must be a number of seconds, not 'soon'"),
        ("sqlite:///jobs.db?timeout=-1", "timeout must be a number of seconds, not '-1'"),
        ("sqlite:///jobs.db?timeout=nan", "timeout must be a number of seconds, not 'nan'"),
        ("sqlite:///jobs.db?cache=1", "there is no option 'cache'; the options are synchronous and timeout"),
        ("sqlite:///jobs#1.db", "write %23 for a # in the name"),
        ("sqlite://[jobs.db", "is not a URL"),
    ],
)
def test_a_wrong_url_is_told_what_it_should_be(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert words in str(caught.value)


def test_a_password_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        connect("mysql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
