"""What the demo shows: a live bar and a table in a terminal, plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stoker.cli.output import STYLES
from stoker.demo.corpus import LARGEST, MOST, Corpus
from stoker.demo.phrase import Hit, Phrase, printable

if TYPE_CHECKING:  # importing these makes the app, whose URL is settled only later
    from stoker.demo.crew import Member
    from stoker.demo.findings import Report
    from stoker.demo.run import Sight
    from stoker.job import Job

_WIDEST: Final = 120
"""columns; lines longer than this are hard to read"""
_EDGE: Final = 2
_NUMBER: Final = 3
_MATCHES: Final = 7
_DENSITY: Final = 7
"""widths of the table's columns; the last one takes what is left"""


class DemoScreen:
    """Draws the demo on a console. While it is open, the last lines of a terminal are the live bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _WIDEST)
        self._lively = console.is_terminal and not console.is_dumb_terminal
        self._live: Live | None = None
        self._tenth = 0
        self._waiting: str | None = None

    def __enter__(self) -> DemoScreen:
        if self._lively:
            self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    # --- before -----------------------------------------------------------------------------------------------------

    def opening(self, phrase: str, folders: Sequence[str], corpus: Corpus, url: str) -> None:
        """Say what is going to be done, and on what."""
        self._blank()
        self._line(Text("Stoker demo", "bold").append(" · one job, one store, one worker process", "dim"))
        self._blank()
        self._fact("looking for", Text(printable(phrase), "bold yellow"))
        files = f"{len(corpus.files):,} Python files and documents, {corpus.bytes / 1e6:,.1f} MB, in"
        self._fact("in", Text("\n").join([Text(files), *(Text(printable(folder), "dim") for folder in folders)]))
        self._fact("left out", Text(_left_out(corpus), "dim"))
        self._fact("store", Text(printable(url)))

    def page(self, url: str) -> None:
        """Say where the page is."""
        self._fact("page", Text(url, "bold cyan").append("   the same in your browser", "not bold dim"))

    def no_page(self, why: str) -> None:
        """Say why there is no page."""
        self._fact("page", Text(f"none: {why}", "dim"))

    # --- while it runs ----------------------------------------------------------------------------------------------

    def enqueued(self, job: str, pid: int) -> None:
        """See `Screen.enqueued`."""
        self._fact("job", Text(job))
        self._fact(
            "worker", Text(f"pid {pid}", "bold").append(f"   in another terminal: kill -9 {pid}", "not bold dim")
        )
        self._blank()

    def look(self, sight: Sight) -> None:
        """See `Screen.look`."""
        if self._live is not None:
            self._live.update(self._bar(sight), refresh=True)
            return
        if sight.waiting != self._waiting:
            self._waiting = sight.waiting
            if sight.waiting is not None:
                self._line(Text(sight.waiting))
        tenth = 10 * sight.done // max(1, sight.total)
        if tenth > self._tenth:
            self._tenth = tenth
            self._line(Text(f"{_percent(sight):>4}  {_count(sight)}  {_speed(sight)}  {_hits(sight)}"))

    def shot(self, pid: int, done: int, total: int) -> None:
        """See `Screen.shot`."""
        self._note("✗", "red", f"killing worker {pid} with SIGKILL, after {done:,} of {total:,} files")

    def replaced(self, dead: Member, pid: int, lost: bool) -> None:
        """See `Screen.replaced`."""
        what = " and took the job with it" if lost else ""
        self._note("✗", "red", f"worker {dead.pid} was {dead.ended}{what}")
        self._note("↻", "cyan", f"worker {pid} started in its place")

    def resumed(self, attempt: int, position: int) -> None:
        """See `Screen.resumed`."""
        self._note("✓", "green", f"job recovered: attempt {attempt} goes on at file {position + 1:,}, its checkpoint")

    def cancelling(self) -> None:
        """See `Screen.cancelling`."""
        self._note("■", "yellow", "cancelling the job; once more to leave at once")

    # --- after ------------------------------------------------------------------------------------------------------

    def results(self, report: Report) -> None:
        """Show the ranked hits."""
        self._blank()
        if not report.best:
            self._line(Text(f"No hits: {printable(report.phrase)!r} is in none of {report.searched:,} files.", "bold"))
            return
        count = f"{report.matches:,} {_s('match', report.matches, 'es')} in {report.matching:,}"
        head = Text(f"{count} of {report.searched:,} {_s('file', report.searched)}", "bold")
        if len(report.best) < report.matching:
            head.append(f"; the best {len(report.best)}:", "not bold")
        self._line(head)
        phrase = Phrase(report.phrase)
        if self._lively:
            self._console.print(self._table(report.best, phrase))
        else:
            self._list(report.best)

    def record(self, job: Job, members: Sequence[Member], report: Report | None, seconds: float) -> None:
        """Show the job's record: what became of it, and by whose hands."""
        self._blank()
        self._fact("job", Text(job.id + " ").append(job.state.value, STYLES[job.state.value]))
        if job.error and job.state.value != "completed":
            self._fact("reason", Text(printable(job.error)))
        if report is not None:
            self._fact("searched", Text(_searched(report)))
        self._fact("attempts", Text(_attempts(job, report)))
        self._fact("workers", Text(", ".join(f"{one.pid} {one.ended or 'running'}" for one in members)))
        self._fact("time", Text(f"{seconds:.1f} s from enqueue to end"))

    def kept(self, url: str) -> None:
        """Say how to look at the database that was kept."""
        self._fact("kept", Text("the database; look at it with"))
        # On a line of its own, and never wrapped: it is there to be copied.
        self._console.print(Text(f"  stoker jobs list --url {url}", "bold"), soft_wrap=True)

    def staying(self, url: str) -> None:
        """Say that the page goes on."""
        self._blank()
        self._note("→", "cyan", f"the page stays up at {url} (Ctrl-C ends it)")

    def advice(self, text: str) -> None:
        """Say something about how the demo was called."""
        self._note("!", "yellow", text)

    def end(self) -> None:
        """Leave room before the prompt."""
        self._blank()

    # --- drawing ----------------------------------------------------------------------------------------------------

    def _bar(self, sight: Sight) -> RenderableType:
        grid = Table.grid(padding=(0, 0, 0, 2), expand=True)
        grid.add_column(ratio=1)
        for _ in range(4):
            grid.add_column(justify="right", no_wrap=True)
        grid.add_row(
            ProgressBar(total=max(1, sight.total), completed=sight.done),
            Text(_percent(sight), "bold"),
            _count(sight),
            Text(_speed(sight), "cyan"),
            Text(f"{sight.seconds:.0f} s", "dim"),
        )
        below = Text(no_wrap=True, overflow="ellipsis")
        if sight.waiting is not None:
            below.append(sight.waiting, "yellow")
        else:
            hits = _hits(sight)
            below.append(hits, "green")
            if sight.done < sight.total:
                folder = _tail(printable(sight.folder), self._width - 2 * _EDGE - len(hits) - 2)
                below.append(f"  {folder}", "dim")
        frame = Table.grid()
        frame.add_column(width=self._width - 2 * _EDGE)
        frame.add_row(Group(grid, below))
        return Padding(frame, (0, 0, 0, _EDGE), expand=False)

    def _table(self, best: Sequence[Hit], phrase: Phrase) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("", justify="right", style="dim", width=_NUMBER)
        table.add_column("matches", justify="right", style="bold", width=_MATCHES)
        table.add_column("density", justify="right", width=_DENSITY)
        room = self._width - _NUMBER - _MATCHES - _DENSITY - 8 - 2 * _EDGE
        table.add_column("file, line and text", no_wrap=True, overflow="ellipsis", width=room)
        for number, hit in enumerate(best, 1):
            table.add_row(str(number), f"{hit.matches:,}", f"{hit.density:.2f}", _where(hit, phrase, room))
        below = Text("density: matches per 1,000 words", "dim")
        return Padding(Group(Text(), table, below), (0, 0, 0, _EDGE), expand=False)

    def _list(self, best: Sequence[Hit]) -> None:
        for number, hit in enumerate(best, 1):
            self._line(
                Text(f"{number:>3}. {hit.matches:,} {_s('match', hit.matches, 'es')}, ").append(
                    f"{hit.density:.2f} per 1,000 words  {hit.path}:{hit.line}"
                )
            )
            self._line(Text(f"     {hit.excerpt}"))

    def _fact(self, name: str, value: Text) -> None:
        if not self._lively:
            lines = value.plain.split("\n")
            for label, line in zip([name, *[""] * len(lines)], lines, strict=False):
                self._line(Text(f"{label:<12} {line}"))
            return
        grid = Table.grid(padding=(0, 0, 0, 0))
        grid.add_column(width=13, style="dim")
        grid.add_column(overflow="fold")
        grid.add_row(Text(name), value)
        self._put(Padding(grid, (0, 0, 0, _EDGE), expand=False))

    def _note(self, mark: str, style: str, text: str) -> None:
        if not self._lively:
            self._line(Text(text))
            return
        grid = Table.grid()
        grid.add_column(width=2)
        grid.add_column()
        grid.add_row(Text(mark, f"bold {style}"), Text(text, style))
        self._put(Padding(grid, (0, 0, 0, _EDGE), expand=False))

    def _line(self, text: Text) -> None:
        if self._lively:
            self._put(Padding(text, (0, 0, 0, _EDGE), expand=False))
        else:  # one line is one fact, for grep: never wrapped
            self._console.print(text, soft_wrap=True)

    def _blank(self) -> None:
        if self._lively:
            self._console.print()

    def _put(self, what: RenderableType) -> None:
        self._console.print(what)


def _where(hit: Hit, phrase: Phrase, room: int) -> Text:
    line = f":{hit.line}"
    path = _tail(hit.path, room - len(line))
    name = PurePath(path).name
    text = Text(path.removesuffix(name), "dim").append(name, "not dim bold").append(line, "not dim cyan").append("\n")
    quote = Text(hit.excerpt)
    quote.highlight_regex(phrase.pattern, "bold yellow")
    return text.append_text(quote)


def _left_out(corpus: Corpus) -> str:
    parts = [f"{corpus.too_large:,} {_s('file', corpus.too_large)} over {LARGEST / 1e6:g} MB"]
    if corpus.beyond:
        parts.append(f"{corpus.beyond:,} after the first {MOST:,}")
    return ", ".join([*parts, "links", "what is not UTF-8"])


def _searched(report: Report) -> str:
    text = f"{report.searched:,} {_s('file', report.searched)}, {report.bytes / 1e6:,.1f} MB, {report.words:,} words"
    if report.undecodable:
        text += f"; {report.undecodable:,} not UTF-8"
    if report.unreadable:
        text += f"; {report.unreadable:,} could not be read"
    return text


def _attempts(job: Job, report: Report | None) -> str:
    text = f"{job.attempt}, after {job.crashes} {_s('crash', job.crashes, 'es')}" if job.crashes else f"{job.attempt}"
    starts = report.starts[1:] if report is not None else []
    for start in starts:
        text += f"; attempt {start.attempt} began at file {start.position + 1:,}"
    return text


def _percent(sight: Sight) -> str:
    return f"{100 * sight.done // max(1, sight.total)}%"


def _count(sight: Sight) -> str:
    return f"{sight.done:,}/{sight.total:,} files"


def _speed(sight: Sight) -> str:
    return f"{sight.speed / 1e6:.1f} MB/s"


def _hits(sight: Sight) -> str:
    return f"{sight.matches:,} {_s('match', sight.matches, 'es')} in {sight.matching:,} {_s('file', sight.matching)}"


def _s(noun: str, count: int, ending: str = "s") -> str:
    return noun if count == 1 else noun + ending


def _tail(text: str, room: int) -> str:
    """The end of a path, which says more than its beginning."""
    return text if len(text) <= room else "…" + text[len(text) - max(0, room - 1) :]


def console(*, aside: bool) -> Console:
    """A console on standard output, or on standard error if output is for a program. It takes no text for markup."""
    return Console(stderr=aside, highlight=False, emoji=False, markup=False)
