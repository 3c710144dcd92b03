"""Settings: where they come from, which one wins, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker import ConfigError
from stoker.settings import Settings, load


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    assert load({}, {}, tmp_path) == Settings()
    assert Settings().url == "sqlite:///stoker.db"
    assert Settings().mode == "queue"


def test_arguments_before_environment_before_file_before_defaults(tmp_path: Path) -> None:
    (tmp_path / "stoker.toml").write_text('url = "sqlite:///file.db"\nlease = 2.0\ngrace = 3\nprocesses = 4\n')
    environ = {"STOKER_URL": "sqlite:///environ.db", "STOKER_LEASE": "5", "STOKER_GRACE": "6"}
    found = load({"url": "sqlite:///argument.db", "lease": 8.0}, environ, tmp_path)
    assert found == Settings(url="sqlite:///argument.db", lease=8.0, grace=6.0, processes=4)


def test_an_argument_of_none_says_nothing(tmp_path: Path) -> None:
    assert load({"url": None}, {"STOKER_URL": "memory://"}, tmp_path).url == "memory://"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    assert load({}, {"STOKER_URL": "", "STOKER_MODE": ""}, tmp_path) == Settings()


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    assert load({}, {"STOKER_COLOUR": "x", "STOKER_LOG_LEVEL": "DEBUG"}, tmp_path) == Settings()


def test_a_secret_that_is_too_short_is_not_repeated(tmp_path: Path) -> None:
    assert load({}, {"STOKER_SECRET": "sixteen letters!"}, tmp_path).secret == "sixteen letters!"
    with pytest.raises(ConfigError) as caught:
        load({}, {"STOKER_SECRET": "fifteen letters"}, tmp_path)
    assert "fifteen letters" not in str(caught.value)


def test_stoker_toml_comes_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.stoker]\napp = "second:app"\n')
    assert load({}, {}, tmp_path).app == "second:app"
    (tmp_path / "stoker.toml").write_text('app = "first:app"\n')
    assert load({}, {}, tmp_path).app == "first:app"


def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert load({}, {}, tmp_path) == Settings()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"STOKER_CONCURRENCY": "many"}, "the environment: concurrency: Expected `int`, got `str`"),
        ({"STOKER_LEASE": "x"}, "the environment: lease: Expected `float`, got `str`"),
        ({"STOKER_MODE": "eager"}, "the environment: mode: "),
        ({"STOKER_CONCURRENCY": "0"}, "concurrency must be 1 or more, not 0"),
        ({"STOKER_LEASE": "0.5"}, "lease must be at least 1 second, not 0.5"),
        ({"STOKER_LEASE": "nan"}, "lease must be at least 1 second, not nan"),
        ({"STOKER_GRACE": "-1"}, "grace must be zero or more seconds, not -1.0"),
        ({"STOKER_SECRET": "fifteen letters"}, "secret must have at least 16 characters"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({}, environ, tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("stoker.toml", "colour = 1", "stoker.toml: there is no setting 'colour'; the settings are app, concurrency"),
        ("stoker.toml", "url = 5", "stoker.toml: url: Expected `str`, got `int`"),
        ("stoker.toml", "url = ", "stoker.toml cannot be read: "),
        ("pyproject.toml", "[tool.stoker]\nurls = 1", "[tool.stoker] of pyproject.toml: there is no setting 'urls'"),
        ("pyproject.toml", "[[", "pyproject.toml cannot be read: "),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load({}, {}, tmp_path)
    assert words in str(caught.value)


def test_a_wrong_argument_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the arguments: mode: "):
        load({"mode": "later"}, {}, tmp_path)
