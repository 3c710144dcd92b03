"""`stoker init`: two files to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from stoker.cli.command import command
from stoker.cli.output import Output

JOBS: Final = '''"""Background jobs."""

import asyncio

from stoker import Context, Stoker

app = Stoker()  # where jobs live is set in stoker.toml


@app.task
async def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.task(max_attempts=3, timeout=60)
async def count_to(number: int, *, ctx: Context) -> int:
    """A longer job that reports its progress."""
    for done in range(number):
        await asyncio.sleep(0.1)
        ctx.progress(done + 1, number, message=f"{done + 1} of {number}")
    return number
'''

SETTINGS: Final = """# What the command line and Stoker() need to know. The environment (STOKER_URL, ...) comes first.
app = "jobs:app"
url = "sqlite:///jobs.db"
# concurrency = 50    # jobs at once in each worker process
# processes = 1       # worker processes
# grace = 30          # seconds that running jobs get when their worker is stopped
# lease = 15          # seconds of silence after which a worker's jobs are given to others
"""

FILES: Final = {"jobs.py": JOBS, "stoker.toml": SETTINGS}

NEXT: Final = (
    ("stoker worker", "in one terminal: it runs jobs until you press Ctrl-C"),
    ("stoker enqueue hello Ada --wait", "in another"),
    ("stoker jobs list", "and see what became of it"),
)


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    command(group, "init", "stoker init", panel="Begin")(init)


def init(out: Output) -> None:
    """Write jobs.py and stoker.toml to start from. A file that is there is never touched."""
    written: list[str] = []
    kept: list[str] = []
    for name, text in FILES.items():
        try:
            with Path(name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(name)
        else:
            written.append(name)
    if out.json:
        out.data({"written": written, "kept": kept})
        return
    for name in written:
        out.say(f"wrote {name}", style="green")
    for name in kept:
        out.say(f"{name} is there already and was left as it is", style="yellow")
    out.say("\nNext:")
    width = max(len(step) for step, _ in NEXT)
    for step, meaning in NEXT:
        out.say(f"  {step.ljust(width)}   # {meaning}")
