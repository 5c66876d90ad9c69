"""Whether the files that a model was loaded from are the files that were hashed.

A bundle is hashed and then loaded by its path, by code that is not this package's. In between, somebody may put other
bytes there and the right ones back afterwards. A file's time of change (ctime) gives that away: the system sets it at
every write, rename and change of times, and no program can choose it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from modelspine.errors import Damaged

Stamp = frozenset[tuple[str, int, int, int, int, int]]
"""Of each file: its path, device, inode, size, and times of modification and change in nanoseconds."""

_TRIES = 3
"""Attempts to load. A new link to a shared file changes its time too, and that is harmless."""
_T = TypeVar("_T")


def stamp(folders: Iterable[Path]) -> Stamp:
    """Return the stamp of all files below some folders; a folder that does not exist has none."""
    found = set()
    for folder in folders:
        for place, names, files in os.walk(folder):
            for name in (*names, *files):
                path = os.path.join(place, name)  # noqa: PTH118 -- a Path for each file would cost more than its stat
                about = os.lstat(path)
                times = about.st_mtime_ns, about.st_ctime_ns
                found.add((path, about.st_dev, about.st_ino, about.st_size, *times))
    return frozenset(found)


def loaded_as_hashed(current: Callable[[], Stamp], load: Callable[[], _T], name: str) -> _T:
    """Hash and load a bundle, again if its files changed meanwhile.

    Args:
        current: returns the stamp of the bundle's files now.
        load: hashes the files, then loads them.
        name: what to call the bundle in the error.

    Raises:
        Damaged: the files changed at every attempt.
    """
    for _ in range(_TRIES):
        before = current()
        model = load()
        if current() == before:
            return model
    raise Damaged(
        f"the files of {name} change while they are loaded, so other bytes may have been loaded than were hashed",
        "find out what writes to the bundle cache (`spine info` shows where it is); the entry was not used",
    )
