"""Arguments and results ⇄ JSON, by type hints. No pickle: whoever can write the queue cannot run code.

Arguments are checked when a job is enqueued by doing exactly what the worker will do: encode, then decode by the hints.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from stoker.context import Context
from stoker.errors import InvalidArguments, PayloadTooLarge, TaskError
from stoker.step import MARK, Previous, Step, steps_in, to_placeholder

MAX_PAYLOAD: Final = 1024 * 1024
"""Bytes of JSON that arguments, or a result, may take."""

_PLAIN: Final = (str, int, float, bool, type(None), list, tuple, dict)
_LOOSE: Final = (Any, list, dict, list[Any], dict[str, Any])
"""Hints under which a value comes back as plain JSON."""
_NO_JSON = (TypeError, ValueError, OverflowError, RecursionError)
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$\[(?P<part>[01])\](?P<path>[^`]*)`)?$", re.DOTALL)


def _to_builtin(value: Any) -> Any:
    """What msgspec does not know by itself: pydantic models, paths, and steps of a workflow."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Step | Previous):
        return to_placeholder(value)
    kind = type(value)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} has no JSON form")


def _from_builtin(kind: Any, value: Any) -> Any:
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return kind(value)
    raise TypeError(f"{kind} cannot be made from JSON; use a dataclass, a msgspec Struct or a pydantic model")


_encoder = msgspec.json.Encoder(enc_hook=_to_builtin, decimal_format="string")


def encode(value: Any) -> str:
    """The value as JSON. Raises `InvalidArguments` that names the type that has none."""
    try:
        return _json(value).decode()
    except _NO_JSON as error:
        raise InvalidArguments(str(error)) from error


def _json(value: Any) -> bytes:
    """The value as JSON. Raises one of `_NO_JSON`; also for NaN and infinities, which msgspec would write as null."""
    data = _encoder.encode(value)
    if b"null" in data:
        _check_finite(msgspec.to_builtins(value, enc_hook=_to_builtin))
    return data


def _check_finite(value: Any) -> None:
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value} has no JSON form")
    elif isinstance(value, dict):
        for inner in value.values():
            _check_finite(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_finite(inner)


def _foreign(value: Any) -> str | None:
    """The name of a type in the value that plain JSON would change; a tuple may become a list."""
    if isinstance(value, Step | Previous):
        return None
    if not isinstance(value, _PLAIN) or isinstance(value, Enum):
        return type(value).__qualname__
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return "dict whose keys are not texts"
        return next((found for inner in value.values() if (found := _foreign(inner))), None)
    if isinstance(value, list | tuple):
        return next((found for inner in value if (found := _foreign(inner))), None)
    return None


class ResultCodec:
    """How a task's results travel."""

    def __init__(self, hint: Any) -> None:
        self._hint = Any if hint in (inspect.Signature.empty, object) else hint
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def encode(self, value: Any) -> str:
        """The result as JSON text. Raises `InvalidArguments` or `PayloadTooLarge`."""
        if value is None:
            return "null"
        data = _json(value)
        if len(data) > MAX_PAYLOAD:
            raise PayloadTooLarge(
                f"the result takes {len(data):,} bytes as JSON; the limit is {MAX_PAYLOAD:,}. "
                "Store the data elsewhere and return a reference to it"
            )
        return data.decode()

    def decode(self, text: str) -> Any:
        """The result as its hint says; where that fails, as a plain JSON value."""
        if self._decoder is None:
            self._decoder = msgspec.json.Decoder(self._hint, dec_hook=_from_builtin)
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError:
            return msgspec.json.decode(text)


class CallCodec:
    """How the arguments of one function travel: `[args, kwargs]` as JSON, decoded by the parameters' hints.

    Raises `TaskError` for parameters that cannot work, and `NameError` while a hint names something not yet defined.
    """

    def __init__(self, fn: Callable[..., Any], name: str) -> None:
        self._name = name
        self._signature = inspect.signature(fn)
        hints = get_type_hints(fn, include_extras=True)
        self.result_hint: Any = hints.get("return", inspect.Signature.empty)
        self.context_name: str | None = None
        self.context_index: int | None = None
        parameters = []
        for index, parameter in enumerate(self._signature.parameters.values()):
            if _is_context(hints.get(parameter.name)):
                self._note_context(parameter, index)
            else:
                hint = hints.get(parameter.name, Any)
                parameters.append(parameter.replace(annotation=Any if hint is object else hint))
        self._visible = self._signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
        self._build(parameters)

    def _note_context(self, parameter: inspect.Parameter, index: int) -> None:
        if self.context_name is not None:
            raise TaskError(f"task {self._name}: only one parameter can be the Context")
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise TaskError(f"task {self._name}: *{parameter.name} cannot be the Context")
        self.context_name = parameter.name
        self.context_index = None if parameter.kind is inspect.Parameter.KEYWORD_ONLY else index

    def _build(self, parameters: Sequence[inspect.Parameter]) -> None:
        kinds = inspect.Parameter
        for parameter in parameters:
            if parameter.name.startswith("__"):
                raise TaskError(f"task {self._name}: a parameter's name cannot begin with __: {parameter.name}")
        positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        by_name = [p for p in parameters if p.kind in (kinds.KEYWORD_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        self._names = [p.name for p in positional]
        self._types = {p.name: p.annotation for p in parameters}
        self._loose = {p.name for p in parameters if p.annotation in _LOOSE}
        self._required = sum(p.default is kinds.empty for p in positional)
        self._needs_names = any(p.kind is kinds.KEYWORD_ONLY and p.default is kinds.empty for p in parameters)
        self._rest = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None)
        self._rest_by_name = next((p.name for p in parameters if p.kind is kinds.VAR_KEYWORD), None)
        try:
            args = msgspec.defstruct(
                "args", [_field(p) for p in positional], array_like=True, forbid_unknown_fields=self._rest is None
            )
            kwargs = msgspec.defstruct(
                "kwargs", [_field(p) for p in by_name], forbid_unknown_fields=self._rest_by_name is None
            )
            call = msgspec.defstruct("call", [("args", args), ("kwargs", kwargs)], array_like=True)
            self._decoder = msgspec.json.Decoder(call, dec_hook=_from_builtin)
        except TypeError as error:
            what = str(error).replace(" | msgspec.UnsetType", "")
            raise TaskError(f"task {self._name}: a parameter's type cannot travel as JSON: {what}") from error

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The call as JSON text, once it is known that it fits the function and comes back as its hints say.

        Raises `InvalidArguments`, which names the argument, or `PayloadTooLarge`.
        """
        if kwargs or self._needs_names or not self._required <= len(args) <= len(self._names):
            self._bind(args, kwargs)
        try:
            data = _json((args, kwargs))
        except _NO_JSON as error:
            raise self._unserialisable(args, kwargs, error) from error
        if self._loose:
            try:
                self._check_loose(args, kwargs)
            except RecursionError as error:
                raise InvalidArguments(f"the arguments of {self._name}() are nested too deeply") from error
        if len(data) > MAX_PAYLOAD:
            raise PayloadTooLarge(
                f"the arguments of {self._name}() take {len(data):,} bytes as JSON; the limit is {MAX_PAYLOAD:,}. "
                "Store the data elsewhere and pass a reference to it"
            )
        text = data.decode()
        if MARK in data and any(steps_in((args, kwargs))):
            self._check_around_steps(args, kwargs)
        else:
            self.decode(text)
        return text

    def _check_around_steps(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Check every argument without a step in it: what a step returns is checked when it is known."""
        self._bind(args, kwargs)
        for name, parameter, value in self.named(args, kwargs):
            if any(steps_in(value)):
                continue
            try:
                msgspec.json.Decoder(self._types[parameter], dec_hook=_from_builtin).decode(_json(value))
            except msgspec.ValidationError as error:
                raise self._misfit(name, error) from error

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        try:
            return self._visible.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self._name}(): {error}; it takes {self._visible}") from None

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
        """Each argument's name, its parameter's name, and its value: those by position first."""
        rest = [self._rest or "?"] * max(0, len(args) - len(self._names))
        for name, value in [*zip([*self._names, *rest], args, strict=False), *kwargs.items()]:
            yield name, name if name in self._types else self._rest_by_name or name, value

    def value_of(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """One argument of a call, or its default, as JSON. Raises `InvalidArguments` for a step's result."""
        bound = self._bind(args, kwargs)
        bound.apply_defaults()
        value = bound.arguments[name]
        if any(steps_in(value)):
            raise InvalidArguments(
                f"{self._name}() argument {name!r}: jobs are told apart by it, so it cannot be the result of a step"
            )
        return encode(value)

    @property
    def parameters(self) -> Sequence[str]:
        """The names of the parameters, but for the context."""
        return list(self._visible.parameters)

    def decode(self, payload: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the hints say. Raises `InvalidArguments`, which names the argument."""
        try:
            call: Any = self._decoder.decode(payload)
        except msgspec.ValidationError as error:
            raise self._invalid(error) from error
        args: tuple[Any, ...] = msgspec.structs.astuple(call.args)
        while args and args[-1] is UNSET:
            args = args[:-1]
        kwargs: dict[str, Any] = {}
        if not payload.endswith(",{}]"):
            kwargs = {k: v for k, v in msgspec.structs.asdict(call.kwargs).items() if v is not UNSET}
        if self._rest is not None or self._rest_by_name is not None:
            return self._with_rest(payload, args, kwargs)
        return args, kwargs

    def with_context(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: Context
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the context where the function wants it."""
        if self.context_name is None or self.context_name in kwargs:
            return args, kwargs
        if self.context_index is not None and self.context_index <= len(args):
            return (*args[: self.context_index], context, *args[self.context_index :]), kwargs
        return args, {**kwargs, self.context_name: context}

    def _with_rest(
        self, payload: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Add what `*args` and `**kwargs` take."""
        all_args, all_kwargs = msgspec.json.decode(payload)
        if self._rest is not None:
            more = all_args[len(self._names) :]
            args = (*args, *(self._convert(value, self._rest, self._rest) for value in more))
        if self._rest_by_name is not None:
            for key in all_kwargs:
                if key not in kwargs:
                    kwargs[key] = self._convert(all_kwargs[key], self._rest_by_name, key)
        return args, kwargs

    def _convert(self, value: Any, parameter: str, name: str) -> Any:
        try:
            return msgspec.convert(value, self._types[parameter], dec_hook=_from_builtin, str_keys=True)
        except msgspec.ValidationError as error:
            raise self._misfit(name, error) from error

    def _misfit(self, name: str, error: msgspec.ValidationError) -> InvalidArguments:
        what = str(error)
        return InvalidArguments(f"{self._name}() argument {name!r}: {what[:1].lower()}{what[1:]}")

    def _check_loose(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse values that would silently change their type, because no hint says what they are."""
        for name, parameter, value in self.named(args, kwargs):
            if parameter in self._loose and (kind := _foreign(value)):
                raise InvalidArguments(
                    f"{self._name}() argument {name!r}: no type hint says that it holds a {kind}, so it would not "
                    "arrive as one; annotate the parameter, or pass JSON values"
                )

    def _unserialisable(self, args: Sequence[Any], kwargs: Mapping[str, Any], error: Exception) -> InvalidArguments:
        for name, _, value in self.named(args, kwargs):
            try:
                _json(value)
            except _NO_JSON as cause:
                return InvalidArguments(
                    f"{self._name}() argument {name!r}: {cause}; pass a JSON value, a dataclass, a msgspec Struct, "
                    "a pydantic model, or an id of the thing"
                )
        return InvalidArguments(f"{self._name}(): {error}")

    def _invalid(self, error: msgspec.ValidationError) -> InvalidArguments:
        match = _WHERE.match(str(error))
        assert match is not None
        what, part, path = match["what"], match["part"], match["path"] or ""
        name: str | None = None
        if part == "0" and (index := re.match(r"\[(\d+)\]", path)):
            position = int(index[1])
            name = self._names[position] if position < len(self._names) else self._rest
            path = path[index.end() :]
        elif part == "1" and (field := re.match(r"\.(\w+)", path)):
            name, path = field[1], path[field.end() :]
        if name is None:
            return InvalidArguments(f"{self._name}(): {what[:1].lower()}{what[1:]}; it takes {self._visible}")
        at = f" (at {name}{path})" if path else ""
        return InvalidArguments(f"{self._name}() argument {name!r}: {what[:1].lower()}{what[1:]}{at}")


def _is_context(hint: Any) -> bool:
    """`Context`, or `Context | None`, which a plain function may want."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    return len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Context)


def _field(parameter: inspect.Parameter) -> tuple[str, Any, Any]:
    hint = parameter.annotation
    return (parameter.name, Any if hint is Any else hint | UnsetType if not isinstance(hint, str) else hint, UNSET)
