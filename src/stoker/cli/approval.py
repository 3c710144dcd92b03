"""Asking before something is done that many jobs would feel."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from stoker.cli.output import Output, complain
from stoker.cli.text import counted


@dataclass(frozen=True)
class Approval:
    """How a command that changes many jobs may go on."""

    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show how many jobs it would change.")] = False

    def given(self, verb: str, count: int, out: Output) -> bool:
        """Whether to go on. Asks on a terminal; without one, and without --yes, it ends the command with 2."""
        if self.dry_run:
            if out.json:
                out.data({"matched": count, "changed": 0})
            out.say(f"would {verb} {counted(count)}")
            return False
        if self.yes:
            return True
        question = f"{verb} {counted(count)}"
        if not sys.stdin.isatty():
            complain(f"this would {question}; there is no terminal to ask on, so add --yes (or --dry-run)")
            raise typer.Exit(2)
        if count and not agreed(question):
            complain("nothing was changed")
            raise typer.Exit(1)
        return True


def agreed(question: str) -> bool:
    """Ask on standard error, so that standard output stays what was asked for."""
    sys.stderr.write(f"{question[0].upper()}{question[1:]}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
