"""Copies each hour of traces once it has passed, so that a report of a day under way does not have to.

A report makes what is missing by itself; this only spares it the wait. A failure is logged once and changes no answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from miniobserve.slices import HOUR_NS, sweep
from miniobserve.sql.protocol import StorageError

_STILL_SECONDS = 60.0
"""A request of an hour that is over may still be stored for so long."""
_LEAST_SECONDS = 1.0
"""Between two looks at the clock."""

_log = logging.getLogger("miniserve")


class HourCopies:
    """A thread that copies every hour that passes while a server runs, and the one before its start."""

    def __init__(
        self, copy: Callable[[int, int], object], folder: Path, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Start it.

        Args:
            copy: copies the requests that started within a span of UTC nanoseconds.
            folder: where the copies are; those that no report needed for days are deleted.
            clock: UTC nanoseconds.
        """
        self._copy = copy
        self._folder = folder
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hour-copies", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop it; a copy that is being made is finished first, for at most five seconds."""
        self._stopped.set()
        self._thread.join(5)

    def _run(self) -> None:
        done = self._over() - 1
        while True:
            over = self._over()
            try:
                for hour in range(done, over):
                    self._copy(hour * HOUR_NS, (hour + 1) * HOUR_NS)
                    done = hour + 1
                sweep(self._folder, self._clock() / 1e9)
            except (StorageError, OSError) as error:
                _log.warning(
                    "an hour of traces could not be copied; a report will", extra={"fields": {"why": str(error)}}
                )
                done = over
            rest = (over + 1) * HOUR_NS + int(_STILL_SECONDS * 1e9) - self._clock()
            if self._stopped.wait(max(_LEAST_SECONDS, rest / 1e9)):
                return

    def _over(self) -> int:
        """The number of the first hour that is not over."""
        return (self._clock() - int(_STILL_SECONDS * 1e9)) // HOUR_NS
