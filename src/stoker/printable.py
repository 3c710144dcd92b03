"""Text from anywhere, made safe to print: nothing that a job carries can command a terminal."""

from __future__ import annotations

import logging
import re

# C0 without newline and tab, DEL, C1, marks that turn the direction of text, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with control characters written out as escapes; newlines and tabs stay."""
    return _UNSAFE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def clean_json(text: str) -> str:
    """JSON text that means the same and that no terminal obeys."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class CleanFormatter(logging.Formatter):
    """A formatter of log lines that no terminal obeys, whatever a job's error says."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, clean."""
        return clean(super().format(record))
