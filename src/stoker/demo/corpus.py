"""The text that is searched: Python files and documents that are on this machine anyway."""

from __future__ import annotations

import os
import sysconfig
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

SUFFIXES: Final = (".py", ".pyi", ".md", ".rst", ".txt")
LARGEST: Final = 1_000_000
"""bytes; larger files are tables and bundles rather than text that somebody wrote"""
MOST: Final = 20_000
"""files; more would only make the demo longer"""


class File(NamedTuple):
    """One file to be searched."""

    path: str
    size: int


class Corpus(NamedTuple):
    """Files to be searched, sorted by path, so that a place in them means the same in every attempt."""

    files: Sequence[File]
    too_large: int
    """files left out because they have more than `LARGEST` bytes"""
    beyond: int
    """files left out because `MOST` come before them"""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)

    def after(self, path: str) -> int:
        """The position of the first file after that path; also when files came or went since."""
        return bisect_right(self.files, path, key=_path)


def survey(folders: Sequence[str]) -> Corpus:
    """List what there is to search in folders (and in files named themselves). Reads none of it, follows no links."""
    found: dict[str, int] = {}
    too_large = 0
    for folder in folders:
        for file in _listed(folder):
            if file.size <= LARGEST:
                found[file.path] = file.size
            else:
                too_large += 1
    files = [File(path, found[path]) for path in sorted(found)]
    return Corpus(files[:MOST], too_large, max(0, len(files) - MOST))


def installed() -> list[str]:
    """Folders with thousands of texts on most machines: Python's libraries and the system's documents."""
    known = sysconfig.get_paths()
    wanted = [Path(known[name]) for name in ("stdlib", "purelib", "platlib")]
    wanted += [Path("/usr/lib/python3"), Path("/usr/share")]
    chosen: list[Path] = []
    for folder in (folder.resolve() for folder in wanted if folder.is_dir()):
        if not any(folder.is_relative_to(other) for other in chosen):
            chosen.append(folder)
    return [str(folder) for folder in chosen]


def read(path: str) -> str | None:
    """The text of a file; None if it is not UTF-8. Raises `OSError`."""
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError:
        return None


def _listed(root: str) -> Iterator[File]:
    path = Path(root)
    if path.is_file() and _nameable(root):
        yield File(root, path.stat().st_size)
        return
    folders = [root]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:  # not ours to read, or just gone
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.name.endswith(SUFFIXES) and _nameable(entry.path) and entry.is_file(follow_symlinks=False):
                try:
                    yield File(entry.path, entry.stat(follow_symlinks=False).st_size)
                except OSError:
                    continue


def _nameable(path: str) -> bool:
    """Whether a checkpoint, which is JSON, can hold the name: names are bytes, and not all of them are UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(file: File) -> str:
    return file.path
