"""The thread that fetches bundles before a route needs them: of the newest promoted entry, and of the last stable one.

Promoting moves no traffic, so a rollout's entry is usually here before its route is, and so is the entry that a
rollback goes to. Without this, every replica would fetch at the moment of the route, and none would be ready. The
module answers nothing, and a fetch that fails here is repeated where a route needs it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from modelspine.errors import SpineError

EVERY_SECONDS = 2.0
RETRY_SECONDS = 60.0
_log = logging.getLogger("miniserve")


class Entries(Protocol):
    """The part of the registry used here."""

    def standby(self) -> tuple[str, ...]:
        """Return the entries that may have to answer next."""
        ...

    def is_here(self, sha: str) -> bool:
        """Whether a bundle and its parent's are on this machine; they are not hashed."""
        ...

    def obtain(self, sha: str, given_up: Callable[[], bool]) -> None:
        """Fetch a bundle and its parent's if they are not on this machine, unless that is given up."""
        ...


class Standby:
    """Fetches in a thread for as long as the server runs."""

    def __init__(self, head: Callable[[], Any], entries: Entries) -> None:
        """Start the thread; ``head`` returns the ledger's newest event."""
        self._head = head
        self._entries = entries
        self._seen: Any = None
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standby", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what it is fetching is given up."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                head = self._head()
                if head != self._seen or 0 < self._retry_at < time.monotonic():
                    self._seen, self._retry_at = head, 0.0
                    self._fetch()
            except SpineError as error:
                _log.warning("a bundle was not fetched in advance", extra={"fields": {"reason": error.message}})
                self._retry_at = time.monotonic() + RETRY_SECONDS

    def _fetch(self) -> None:
        for sha in self._entries.standby():
            if not self._entries.is_here(sha):
                _log.info("fetching a bundle in advance", extra={"fields": {"sha": sha}})
                self._entries.obtain(sha, self._stop.is_set)
