"""How many connections a server may have open: fewer than its process may have files.

Each connection is an open file. Without a bound, clients that only hold connections would leave no file for the trace
store or for other clients.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path

ACCEPTED_AT_ONCE = 16
"""The most connections that one turn of the event loop accepts."""
_TURNS = 4
"""Turns of the event loop from accepting a connection until one that is too many is closed."""
SPARE_FILES = 64
"""Files that are kept free for stores, models and pipes that are opened later."""
MOST = 10_000
"""The most connections whatever the limit of files; each costs some 20 kB of memory."""
_log = logging.getLogger("miniserve")


class Crowd:
    """Admits connections up to a number, and logs refusals at most once a second."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._refused = 0
        self._logged = float("-inf")

    def admits(self, connections: int) -> bool:
        """Whether one more connection may be opened beside so many."""
        if connections < self.most:
            return True
        self._refused += 1
        now = self._clock()
        if now - self._logged >= 1:
            fields = {"open": connections, "refused": self._refused}
            _log.warning("connections are refused: too many are open", extra={"fields": fields})
            self._logged, self._refused = now, 0
        return False


def most_connections() -> int:
    """The most connections that leave enough of the files that this process may have open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, limit - _open_files() - _TURNS * ACCEPTED_AT_ONCE - SPARE_FILES))


def _open_files() -> int:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return SPARE_FILES
