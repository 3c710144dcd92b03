"""A form that somebody fills in: what was typed, and what is wrong with it. Nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from stoker.errors import ConfigError, InvalidArguments, InvalidOption, TaskError, UnknownTask
from stoker.web.dashboard.form import Form
from stoker.web.problem import Problem

T = TypeVar("T")

_REFUSALS = (ConfigError, InvalidArguments, InvalidOption, Problem, TaskError, UnknownTask)


class Draft:
    """The texts of fields, and at each field what is wrong there."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self.errors: dict[str, str] = {}
        """by field; under '' what is wrong with all of it together"""

    @classmethod
    def of(cls, form: Form, fields: Iterable[str]) -> Draft:
        """What was typed into these fields."""
        return cls({field: form.text(field) for field in fields})

    def read(self, field: str, reader: Callable[[str], T], empty: T) -> T:
        """What a field says, `empty` where it says nothing. What the reader refuses is noted at the field."""
        value = empty
        with self.checking(field):
            if self.texts[field]:
                value = reader(self.texts[field])
        return value

    @contextmanager
    def checking(self, field: str = "") -> Iterator[None]:
        """Whatever is refused within is noted at that field."""
        try:
            yield
        except _REFUSALS as error:
            self.errors.setdefault(field, str(error))
