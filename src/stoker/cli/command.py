"""How a function becomes a command: its options may stand in dataclasses, and its help always has an example."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_type_hints

import typer
from rich.markup import escape

Function = Callable[..., int | None]
F = TypeVar("F", bound=Function)

SHARED = ("app", "url", "json")
"""Options that may also stand before the command's name."""


def command(group: typer.Typer, name: str, *examples: str, panel: str | None = None) -> Callable[[F], F]:
    """Add the function to the group under that name. What it returns is the exit code.

    A parameter that is annotated with a dataclass stands for the options that are the dataclass's fields.
    """

    def add(fn: F) -> F:
        group.command(name, epilog=epilog(examples), rich_help_panel=panel)(unfolded(fn))
        return fn

    return add


def epilog(examples: Sequence[str]) -> str:
    """Examples as the end of a help text."""
    lines = [f"  [bold]{escape(example)}[/bold]" for example in examples]
    return "\n\n".join(["[dim]Examples[/dim]", *lines])


def unfolded(fn: Function) -> Callable[..., None]:
    """The function with the options of its dataclasses as parameters of its own, as Typer wants them."""
    hints = get_type_hints(fn, include_extras=True)
    bundles = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint) and isinstance(hint, type)}
    parameters: list[inspect.Parameter] = [_keyword("ctx", typer.Context)]
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.name in bundles:
            parameters += _fields(bundles[parameter.name])
        else:
            parameters.append(_keyword(parameter.name, hints[parameter.name], parameter.default))

    def invoke(ctx: typer.Context, **given: Any) -> None:
        shared = ctx.find_root().params
        for name in SHARED:
            if name in given and not given[name]:
                given[name] = shared.get(name)
        folded = {name: _fold(bundle, given) for name, bundle in bundles.items()}
        code = fn(**given, **folded)
        if code:
            raise typer.Exit(code)

    invoke.__name__ = fn.__name__
    invoke.__doc__ = fn.__doc__
    invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks for
    return invoke


def _fields(bundle: type) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    return [_keyword(field.name, hints[field.name], field.default) for field in dataclasses.fields(bundle)]


def _fold(bundle: type, given: dict[str, Any]) -> Any:
    return bundle(**{field.name: given.pop(field.name) for field in dataclasses.fields(bundle)})


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    default = inspect.Parameter.empty if default is dataclasses.MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
