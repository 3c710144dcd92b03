"""Settings: arguments, before the environment, before `stoker.toml` or `pyproject.toml`, before defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import Struct

from stoker.errors import ConfigError

Mode = Literal["queue", "async", "foreground"]

_SHORTEST_SECRET: Final = 16
_DEFAULT_URL = "sqlite:///stoker.db"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set, with its defaults. Each has an environment variable, `STOKER_` and its name in capitals."""

    url: str = _DEFAULT_URL
    """where jobs live"""
    mode: Mode = "queue"
    """`queue`: workers run the jobs; `async`: this process does, in the background; `foreground`: enqueue does"""
    app: str | None = None
    """`module:attribute` of the app, for the command line"""
    concurrency: int = 50
    """jobs that one worker process runs at once"""
    processes: int = 1
    """worker processes that `stoker worker` starts"""
    lease: float = 15.0
    """seconds after which the jobs of a worker that went silent are given back"""
    grace: float = 30.0
    """seconds that running jobs get when their worker is asked to stop"""
    secret: str | None = None
    """what tokens are signed with; None: one that is made once and kept in the store"""
    identify: str | None = None
    """`module:function` that says who asks the server of `stoker server` and `stoker start`"""
    schedules: tuple[dict[str, Any], ...] = ()
    """schedules that the file declares, as `[[schedules]]`; see `schedule_table`"""

    def but(self, **given: Any) -> Settings:
        """These settings with others in place of those that are given and not None. Raises `ConfigError`."""
        return msgspec.structs.replace(self, **{name: value for name, value in given.items() if value is not None})

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigError(f"mode must be one of 'queue', 'async' and 'foreground', not {self.mode!r}")
        for name, count in (("concurrency", self.concurrency), ("processes", self.processes)):
            if count < 1:
                raise ConfigError(f"{name} must be 1 or more, not {count!r}")
        if self.secret is not None and len(self.secret) < _SHORTEST_SECRET:
            raise ConfigError(f"secret must have at least {_SHORTEST_SECRET} characters, chosen by chance")
        if not self.lease >= 1:
            raise ConfigError(f"lease must be at least 1 second, not {self.lease!r}")
        if not self.grace >= 0:
            raise ConfigError(f"grace must be zero or more seconds, not {self.grace!r}")


def load(
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Settings:
    """The settings that hold here. Raises `ConfigError` that names the setting and where it was found."""
    found: dict[str, Any] = {}
    name, table = _from_files(folder or Path.cwd())
    _add(found, table, name)
    known = Settings.__struct_fields__
    _add(
        found,
        {key: environ[f"STOKER_{key.upper()}"] for key in known if environ.get(f"STOKER_{key.upper()}")},
        "the environment",
    )
    _add(found, {key: value for key, value in (given or {}).items() if value is not None}, "the arguments")
    return Settings(**found)


def _from_files(folder: Path) -> tuple[str, Mapping[str, Any]]:
    for name in ("stoker.toml", "pyproject.toml"):
        path = folder / name
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if name == "stoker.toml":
            return name, data
        return "[tool.stoker] of pyproject.toml", data.get("tool", {}).get("stoker", {})
    return "", {}


def _add(found: dict[str, Any], table: Mapping[str, Any], source: str) -> None:
    hints = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"{source}: there is no setting {key!r}; the settings are {', '.join(sorted(hints))}")
        try:
            found[key] = msgspec.convert(value, hints[key], strict=False)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{source}: {key}: {error}") from error
