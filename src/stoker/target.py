"""`module:attribute` → the app or the function that it names. Every way to get it wrong has a message of its own."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, cast

from stoker.app import Stoker
from stoker.errors import ConfigError


def load_app(target: str) -> Stoker:
    """The app that `module:attribute` names; `module` alone will do where it holds just one app.

    The current directory is put on the path. Raises `ConfigError` that says what is wrong with the target.
    """
    module_name, attribute = _split(target, "--app", "jobs:app")
    module = _imported(module_name)
    if not attribute:
        return _only_app(module, module_name)
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise ConfigError(f"the module {module_name} has no {attribute!r}; {_apps(module)}") from None
    if not isinstance(found, Stoker):
        raise ConfigError(f"{target} is {type(found).__qualname__}, not a Stoker; {_apps(module)}")
    return found


def load_callable(target: str, name: str) -> Callable[..., Any]:
    """What `module:attribute` names, which must be something to call. `name`: how messages call it.

    The current directory is put on the path. Raises `ConfigError` that says what is wrong with the target.
    """
    module_name, attribute = _split(target, name, "web:api")
    if not attribute:
        raise ConfigError(f"{name} takes MODULE:ATTRIBUTE, as in web:api, not {target!r}")
    module = _imported(module_name)
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise ConfigError(f"{name} {target}: the module {module_name} has no {attribute!r}") from None
    if not callable(found):
        raise ConfigError(f"{name} {target} is {type(found).__qualname__}, and cannot be called")
    return cast("Callable[..., Any]", found)


def _split(target: str, name: str, example: str) -> tuple[str, str]:
    """The module's name and the attribute's, with the current directory on the path."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module_name, _, attribute = target.partition(":")
    if not module_name or module_name.endswith(".py") or "/" in module_name:
        raise ConfigError(f"{name} takes MODULE:ATTRIBUTE, as in {example}, not {target!r}")
    return module_name, attribute


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"there is no module {name!r} here or on the path (here: {Path.cwd()})") from None
        raise ConfigError(f"the module {name} could not be imported:\n{_last_lines(error)}") from error
    except (Exception, SystemExit) as error:  # a script without a guard for __main__ ends the process
        raise ConfigError(f"the module {name} could not be imported:\n{_last_lines(error)}") from error


def _last_lines(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-6:])


def _found(module: Any) -> dict[str, Stoker]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Stoker)}


def _only_app(module: Any, name: str) -> Stoker:
    apps = list({id(app): app for app in _found(module).values()}.values())
    if len(apps) != 1:
        raise ConfigError(f"name the app: {name}:ATTRIBUTE; {_apps(module)}")
    return apps[0]


def _apps(module: Any) -> str:
    names = ", ".join(_found(module))
    return f"the apps in it are: {names}" if names else "it holds no Stoker app"
