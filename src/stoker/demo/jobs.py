"""The demo's app, `stoker.demo.jobs:app`, and its one task. `STOKER_URL` says where its jobs live."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from stoker import Context, Stoker, clock
from stoker.demo.corpus import Corpus, File, read, survey
from stoker.demo.findings import Findings, Report, Start
from stoker.demo.phrase import Phrase, printable

LEASE: Final = 2.0
"""seconds; short, because people wait in front of the terminal until a killed worker's job is given back"""
MAX_CRASHES: Final = 20
"""many, because people who kill workers for fun are to see the job go on each time"""
EVERY: Final = 0.1
"""seconds of work between two checkpoints: what a crash costs at most, and often enough for the eye"""

app = Stoker(mode="queue", lease=LEASE)


@app.task(queue="demo", executor="process", max_crashes=MAX_CRASHES)
def search(ctx: Context, phrase: str, folders: list[str], limit: int = 10, at_least: float = 0.0) -> Report:
    """Search every text in the folders for a phrase, and rank the files that hold it; the `limit` best are kept.

    An attempt after a crash goes on from the last checkpoint. `at_least`: seconds over which to spread the work, so
    that a small folder can be watched.
    """
    corpus = survey(folders)
    findings = _taken_up(ctx, corpus)
    pace = at_least / max(1, len(corpus.files))
    _search(ctx, Phrase(phrase), corpus, findings, limit, pace)
    return Report(
        phrase=phrase,
        folders=folders,
        files=len(corpus.files),
        searched=findings.position - findings.undecodable - findings.unreadable,
        bytes=findings.bytes,
        words=findings.words,
        matches=findings.matches,
        matching=findings.matching,
        undecodable=findings.undecodable,
        unreadable=findings.unreadable,
        too_large=corpus.too_large,
        beyond=corpus.beyond,
        attempts=ctx.attempt,
        starts=findings.starts,
        best=findings.best,
    )


def _taken_up(ctx: Context, corpus: Corpus) -> Findings:
    """What the attempts before have found, with this attempt's beginning noted in it."""
    findings = Findings() if ctx.checkpoint is None else msgspec.convert(ctx.checkpoint, Findings)
    # By path, not by number: files that came or went since must not shift the place.
    findings.position = corpus.after(findings.last) if findings.last else 0
    findings.starts.append(Start(ctx.attempt, findings.position))
    ctx.save(findings)
    return findings


def _search(ctx: Context, phrase: Phrase, corpus: Corpus, findings: Findings, limit: int, pace: float) -> None:
    began_at = told_at = clock.monotonic()
    total = len(corpus.files)
    for done, file in enumerate(corpus.files[findings.position :], 1):
        ctx.raise_if_cancelled()
        _look(phrase, file, findings, limit)
        now = clock.monotonic()
        if now >= told_at + EVERY:
            told_at = now
            _tell(ctx, findings, total)
        if pace:
            _pause(ctx, began_at + done * pace)
    _tell(ctx, findings, total)
    ctx.progress(total, total, f"matches: {findings.matches:,}, in files: {findings.matching:,}")


def _look(phrase: Phrase, file: File, findings: Findings, limit: int) -> None:
    try:
        text = read(file.path)
    except OSError:
        findings.unreadable += 1
    else:
        if text is None:
            findings.undecodable += 1
        else:
            words = len(text.split())
            findings.bytes += file.size
            findings.words += words
            hit = phrase.look(file.path, text, words)
            if hit is not None:
                findings.add(hit, limit)
    findings.position += 1
    findings.last = file.path


def _tell(ctx: Context, findings: Findings, total: int) -> None:
    # The checkpoint first: whoever sees the progress may rely on it that so much would not be done again.
    ctx.save(findings)
    ctx.progress(findings.position, total, printable(str(Path(findings.last).parent)))


def _pause(ctx: Context, until: float) -> None:
    while (left := until - clock.monotonic()) > 0:
        ctx.raise_if_cancelled()
        clock.sleep(min(EVERY, left))
