"""Progress of long work on stderr: a bar on a terminal, otherwise a line every ten seconds.

``SPINE_QUIET`` turns it off. rich is imported only for the bar.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

_LINE_EVERY = 10.0


class Advance(Protocol):
    """Called with (done, total) and an optional short note, such as the loss."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show progress."""


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """Show the progress of the block, which calls the yielded function."""
    if os.environ.get("SPINE_QUIET"):
        yield _silent
    elif sys.stderr.isatty():
        with _bar(title) as advance:
            yield advance
    else:
        yield _lines(title)


def _silent(done: int, total: int, note: str = "") -> None:
    """Ignore progress."""


def _lines(title: str) -> Advance:
    last = monotonic()

    def advance(done: int, total: int, note: str = "") -> None:
        nonlocal last
        if done == total or monotonic() - last >= _LINE_EVERY:
            last = monotonic()
            sys.stderr.write(f"{title}: {done}/{total} {note}".rstrip() + "\n")
            sys.stderr.flush()

    return advance


@contextmanager
def _bar(title: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=None, note="")

        def advance(done: int, total: int, note: str = "") -> None:
            shown.update(task, completed=done, total=total, note=note)

        yield advance
