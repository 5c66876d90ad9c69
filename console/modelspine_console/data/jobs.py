"""Work that must not hold up the screen: one background thread a slot, and only the newest request in it.

A slot that is busy keeps the latest request and forgets those in between, so holding an arrow key down
costs two look-ups and not two hundred. The threads are daemons: quitting never waits for a dead backend.
It does not know what is fetched, nor who shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from modelspine.errors import SpineError, Unavailable

T = TypeVar("T")
Fetch = Callable[[], Any]


class Absent(Unavailable):
    """What was to be read is not there, or not yet: nothing failed."""


class Outcome(Generic[T]):
    """What a fetch gave: a value, or the failure with its way out."""

    __slots__ = ("absent", "error", "hint", "value")

    def __init__(self, value: T | None = None, error: str = "", hint: str = "", *, absent: bool = False) -> None:
        self.value = value
        self.error = error
        self.hint = hint
        self.absent = absent
        """True where that is because nothing is there yet."""

    @property
    def ok(self) -> bool:
        """True where there is a value."""
        return not self.error


class Jobs:
    """Named slots, each with at most one thread at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Fetch, Callable[[Outcome[Any]], None]]] = {}
        self._busy: set[str] = set()
        self._closed = False

    def submit(self, slot: str, fetch: Fetch, done: Callable[[Outcome[Any]], None], *, rest: float = 0.0) -> None:
        """Run ``fetch`` in the slot's thread and hand its outcome to ``done`` there; a newer request replaces one
        that still waits. ``rest`` is how long to wait for a newer one, so that a moving cursor is drawn first.
        """
        with self._lock:
            if self._closed:
                return
            self._waiting[slot] = (fetch, done)
            if slot in self._busy:
                return
            self._busy.add(slot)
        threading.Thread(target=self._work, args=(slot, rest), name=f"console-{slot}", daemon=True).start()

    @property
    def idle(self) -> bool:
        """True while nothing runs and nothing waits."""
        with self._lock:
            return not self._busy

    def close(self) -> None:
        """Take nothing more; what runs is left to end by itself."""
        with self._lock:
            self._closed = True
            self._waiting.clear()

    def _work(self, slot: str, rest: float) -> None:
        while True:
            if rest:
                time.sleep(rest)
            with self._lock:
                job = self._waiting.pop(slot, None)
                if job is None:
                    self._busy.discard(slot)
                    return
            fetch, done = job
            outcome = attempt(fetch)
            if not self._closed:
                done(outcome)


def attempt(fetch: Fetch) -> Outcome[Any]:
    """Run a fetch; whatever it raises becomes an outcome, because a backend's error must not end the console."""
    try:
        return Outcome(fetch())
    except SpineError as error:
        return Outcome(error=error.message, hint=error.hint, absent=isinstance(error, Absent))
    except Exception as error:  # noqa: BLE001 -- anything a store or a workload can raise is shown, not fatal
        return Outcome(error=f"{type(error).__name__}: {error}", hint="`spine verify` checks all stores")
