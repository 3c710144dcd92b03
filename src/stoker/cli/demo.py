"""`stoker demo`: a real job on real text, with its worker, its progress, its recovery after a crash, and a page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from msgspec import Struct

from stoker.cli.demo_page import DemoPage, page_of
from stoker.cli.demo_screen import DemoScreen, console
from stoker.demo.corpus import SUFFIXES, Corpus, installed, read, survey
from stoker.demo.interrupt import Interrupt
from stoker.demo.phrase import Phrase
from stoker.errors import ConfigError

if TYPE_CHECKING:
    from stoker.demo.crew import Crew, Member
    from stoker.demo.findings import Report
    from stoker.demo.offer import Offer
    from stoker.handle import JobHandle
    from stoker.job import Job


class _Wish(Struct, frozen=True):
    """What was asked for."""

    phrase: str
    folders: list[str]
    corpus: Corpus
    limit: int
    at_least: float
    crash: bool
    keep: bool
    json: bool
    page: bool | None


class _Story(Struct):
    """What became of it."""

    url: str
    job: Job
    report: Report | None
    members: list[Member]
    seconds: float
    crash_was_due: bool
    stayed: bool = False
    """whether the page was there afterwards, until the person ended it"""


def demo(
    path: Annotated[
        list[Path] | None,
        typer.Option(help="A folder (or file) to search; repeat it for more. Default: the texts on this machine."),
    ] = None,
    find: Annotated[str, typer.Option(help="The phrase to look for.")] = "race condition",
    crash: Annotated[bool, typer.Option("--crash", help="Kill the worker at a third of the work.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, and say how to look at it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result and the job's record as JSON.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many files to show.")] = 10,
    slow: Annotated[
        float, typer.Option(min=0, max=3600, help="Spread the work over this many seconds, to watch a small folder.")
    ] = 0.0,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help="Serve a page, too, which stays until Ctrl-C; or none. Default: it stays at a terminal.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a real job here, with nothing set up: search this machine's texts for a phrase, and survive a crash.

    Its worker is a process of its own, its store a SQLite file made for it (or STOKER_URL).
    Kill the worker while it runs: another one goes on from the last checkpoint.
    The page that it names does the same for whoever opens it in a browser on this machine.
    """
    phrase, folders = _phrase(find), _folders(path)
    wish = _Wish(phrase, folders, _corpus(folders), limit, slow, crash, keep, json, page)
    with Interrupt() as interrupt:
        story = _perform(wish, DemoScreen(console(aside=json)), interrupt)
    if story.report is None:
        raise typer.Exit(interrupt.exit_code if interrupt.wanted and not story.stayed else 1)


# --- what was asked for ---------------------------------------------------------------------------------------------


def _phrase(text: str) -> str:
    try:
        Phrase(text.encode().decode())
    except UnicodeEncodeError:
        raise ConfigError("--find is not text in UTF-8") from None
    except ValueError:
        raise ConfigError("--find is empty: give a word or a phrase to look for") from None
    return text


def _folders(paths: Sequence[Path] | None) -> list[str]:
    for path in paths or ():
        if not path.exists():
            raise ConfigError(f"--path {path} does not exist")
    return [str(path.resolve()) for path in paths] if paths else installed()


def _corpus(folders: Sequence[str]) -> Corpus:
    corpus = survey(folders)
    if not any(_readable(file.path) for file in corpus.files):  # the first one mostly is
        raise ConfigError(f"there is no readable text ({', '.join(SUFFIXES)}) in {', '.join(folders)}")
    return corpus


def _readable(path: str) -> bool:
    try:
        return read(path) is not None
    except OSError:
        return False


# --- the run --------------------------------------------------------------------------------------------------------


def _perform(wish: _Wish, screen: DemoScreen, interrupt: Interrupt) -> _Story:
    folder = Path(tempfile.mkdtemp(prefix="stoker-demo-"))
    try:
        url = os.environ.get("STOKER_URL") or f"sqlite:///{quote(str(folder / 'demo.db'))}"
        os.environ["STOKER_URL"] = url  # the demo's app is made when its module is imported, here and in the worker
        return _run(wish, url, folder, screen, interrupt)
    finally:
        if not wish.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _run(wish: _Wish, url: str, folder: Path, screen: DemoScreen, interrupt: Interrupt) -> _Story:
    from stoker.demo.crew import Crew
    from stoker.demo.jobs import app, search

    if not app.engine.connection.store.traits.shared:
        raise ConfigError(f"the demo's worker is a process of its own, which cannot see the jobs in {url}")
    screen.opening(wish.phrase, wish.folders, wish.corpus, url)
    crew = Crew(url, folder / "worker.log")
    begun: list[str] = []
    with app:
        handle = search.enqueue(wish.phrase, wish.folders, wish.limit, wish.at_least)
        begun.append(handle.id)
        try:
            crew.hire()
            with page_of(app, _offer(wish), crew, folder / "page.log", screen, wish.page) as page:
                try:
                    return _watch(wish, url, handle, crew, screen, interrupt, page)
                finally:
                    begun += page.enqueued if page is not None else ()
        finally:
            crew.dismiss()
            if not wish.keep:
                app.jobs.delete(begun)


def _offer(wish: _Wish) -> Offer:
    from stoker.demo.offer import Offer

    return Offer(wish.phrase, wish.folders, wish.corpus, wish.limit, wish.at_least)


def _watch(
    wish: _Wish,
    url: str,
    handle: JobHandle[Report],
    crew: Crew,
    screen: DemoScreen,
    interrupt: Interrupt,
    page: DemoPage | None,
) -> _Story:
    """The run, to its end and what is told of it; and the page after it, where there is one that stays."""
    from stoker.demo.jobs import app
    from stoker.demo.run import Run
    from stoker.job import State

    run = Run(handle, app.jobs, crew, wish.corpus, screen, interrupt, crash=wish.crash)
    with screen:
        job = run.to_the_end()
    seconds = run.seconds
    report = handle.result() if job.state is State.COMPLETED else None
    stays = page is not None and page.stays and not interrupt.wanted
    if not stays:
        crew.dismiss()  # so that how its workers ended can be told
    story = _Story(url, job, report, crew.members, seconds, run.crash_was_due, stays)
    _tell(wish, story, screen)
    if page is not None and stays:
        page.stay(screen, interrupt)
    return story


# --- what is told ---------------------------------------------------------------------------------------------------


def _tell(wish: _Wish, story: _Story, screen: DemoScreen) -> None:
    if wish.json:
        print(msgspec.json.format(msgspec.json.encode(_document(wish, story))).decode())
    else:
        if story.report is not None:
            screen.results(story.report)
        screen.record(story.job, story.members, story.report, story.seconds)
    if story.crash_was_due and story.report is not None:
        screen.advice("the job was done before its worker could be killed: search more, or add --slow 10")
    if wish.keep:
        screen.kept(story.url)
    screen.end()


def _document(wish: _Wish, story: _Story) -> dict[str, Any]:
    record = msgspec.structs.asdict(story.job)
    for name in ("result", "checkpoint"):  # the one is shown apart, the other is the same once more
        del record[name]
    return {
        "result": story.report,
        "job": record,
        "workers": story.members,
        "seconds": round(story.seconds, 3),
        "url": story.url if wish.keep else None,
    }
