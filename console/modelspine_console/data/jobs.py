"""Background work: named slots, each with one thread and only its newest request.

A busy slot keeps the latest request and drops those in between, so holding down an arrow key costs two look-ups and not
two hundred. The threads are daemons, so that quitting never waits for a dead backend. (Textual's own workers run in a
thread pool, which Python waits for on exit.) It does not know what is fetched, nor who shows it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from modelspine.errors import SpineError, Unavailable

T = TypeVar("T")
Fetch = Callable[[], Any]


class Absent(Unavailable):
    """The data to read does not exist, or not yet; nothing has failed."""


class Outcome(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """The result of a fetch: a value, or an error with a hint."""

    value: T | None = None
    error: str = ""
    hint: str = ""
    absent: bool = False
    """True if the error only means that there is no data yet."""

    @property
    def ok(self) -> bool:
        """True if the fetch did not fail."""
        return not self.error


class Jobs:
    """Named slots, each with at most one running thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Fetch, Callable[[Outcome[Any]], None]]] = {}
        self._busy: set[str] = set()
        self._closed = False

    def submit(self, slot: str, fetch: Fetch, done: Callable[[Outcome[Any]], None], *, rest: float = 0.0) -> None:
        """Run ``fetch`` in the slot's thread and call ``done`` with its outcome there; a newer request replaces one
        that is still waiting. ``rest`` is how many seconds to wait for a newer one, so that a moving cursor is drawn
        first.
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
        """True if nothing is running or waiting."""
        with self._lock:
            return not self._busy

    def close(self) -> None:
        """Accept no more requests; running ones end by themselves and their outcomes are dropped."""
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
    """Run a fetch; any exception becomes an outcome, because an error of a backend must not end the console."""
    try:
        return Outcome(fetch())
    except SpineError as error:
        return Outcome(error=error.message, hint=error.hint, absent=isinstance(error, Absent))
    except Exception as error:  # noqa: BLE001 -- anything a store or a workload can raise is shown, not fatal
        return Outcome(error=f"{type(error).__name__}: {error}", hint="check all stores with `spine verify`")
