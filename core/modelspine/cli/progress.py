"""Progress of whatever takes longer than a second, drawn on stderr and removed when it is done.

It shows only where stderr is a terminal and ``SPINE_QUIET`` is unset. It does not know what is being done.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from modelspine.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

DELAY = 1.0
"""Seconds of work before anything is shown; shorter work would only flicker."""
_INTERVAL = 0.1
"""Seconds between two updates. Work reports every item, and drawing each one would cost more than the work."""


class Progress:
    """What is being done and how far it is; any thread may report to it."""

    def __init__(self, label: str) -> None:
        self._label = visible(label, 60)
        self._started_at = time.monotonic()
        self._updated_at = 0.0
        self._enabled = not os.environ.get("SPINE_QUIET") and sys.stderr.isatty()
        self._bar: Bar | None = None
        self._lock = threading.Lock()

    def step(self, what: str, done: int, total: int) -> None:
        """Report how much of a piece of the work is done; a total of 0 is unknown."""
        now = time.monotonic()
        if self._enabled and now - self._started_at > DELAY and now - self._updated_at > _INTERVAL:
            self._updated_at = now
            self.show(what, done, total)

    def show(self, what: str = "", done: int = 0, total: int | None = None) -> None:
        """Draw the progress now."""
        # The terminal may hang up at any time; that must not end the work.
        with self._lock, suppress(OSError):
            if not self._enabled:
                return
            if self._bar is None:
                self._bar = _bar()
                self._bar.add_task(self._label, total=None, count="")
            text = f"{self._label}: {visible(what, 40)}" if what else self._label
            count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
            self._bar.update(self._bar.task_ids[0], description=text, completed=done, total=total or None, count=count)
            self._bar.start()  # nothing happens where it is started already

    def hide(self) -> None:
        """Remove the drawing until the next step, so that a command can write lines of its own."""
        with self._lock, suppress(OSError):
            if self._bar is not None:
                bar, self._bar = self._bar, None
                bar.stop()

    def clear(self) -> None:
        """Remove the drawing; nothing is shown afterwards."""
        with self._lock:
            self._enabled = False
        self.hide()


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    # Without colour: --no-color is a flag of the command, which this module does not see.
    console = Console(file=sys.stderr, color_system=None, markup=False, emoji=False, highlight=False)
    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}", markup=False),
        console=console,
        transient=True,
        # A command's answer goes to stdout as it is, also while the bar is drawn.
        redirect_stdout=False,
        redirect_stderr=False,
    )


@contextmanager
def working(label: str) -> Iterator[Progress]:
    """Show ``label`` once the block has run for ``DELAY`` seconds, until it ends."""
    progress = Progress(label)
    timer = threading.Timer(DELAY, progress.show)
    timer.daemon = True  # an interrupted command must not wait for it
    timer.start()
    try:
        yield progress
    finally:
        timer.cancel()
        progress.clear()
