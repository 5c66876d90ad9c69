"""One line on stderr for whatever takes longer than a second, gone when it is done.

It shows only on a terminal and while ``SPINE_QUIET`` is unset. It does not know what is being done.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from modelspine.text import visible

AFTER = 1.0
"""Seconds of work before anything is shown."""
_EVERY = 0.1


class Progress:
    """What is being done and how far it is; safe to tell from any thread."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = time.monotonic()
        self._told = 0.0
        self._shown = False
        self._on = not os.environ.get("SPINE_QUIET") and sys.stderr.isatty()
        self._lock = threading.Lock()

    def step(self, what: str, done: int, total: int) -> None:
        """Say how far a piece of the work is."""
        now = time.monotonic()
        if self._on and now - self._started > AFTER and now - self._told > _EVERY:
            self._told = now
            self.show(f"{what} {done:,} of {total:,}")

    def show(self, text: str = "") -> None:
        """Write the line now."""
        with self._lock:
            if self._on:
                self._shown = True
                sys.stderr.write(f"\r\x1b[K{visible(f'{self._label} {text}'.strip(), 78)}")
                sys.stderr.flush()

    def hide(self) -> None:
        """Take the line away until the next step."""
        with self._lock:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
            self._shown = False

    def clear(self) -> None:
        """Take the line away; nothing is shown afterwards."""
        with self._lock:
            self._on = False
        self.hide()


@contextmanager
def working(label: str) -> Iterator[Progress]:
    """Show ``label`` from the first second on, for as long as the block runs."""
    progress = Progress(label)
    timer = threading.Timer(AFTER, progress.show)
    timer.daemon = True
    timer.start()
    try:
        yield progress
    finally:
        timer.cancel()
        progress.clear()
