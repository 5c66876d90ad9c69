"""The ledger as a sequence of states, and changes decided on one of them.

A change is decided on a state and appended right after the event that state ends with; if the ledger moved
meanwhile it is decided again, or refused where the caller named the seq. It does not know which changes
there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from modelspine.errors import Conflict
from modelspine.ledger.state import State, check_key, fold, until
from modelspine.ledger.store import GENESIS, Draft, Event, Head, Ledger, same_request

_TRIES = 200


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a change left in the ledger. ``created`` is False where it had been done before."""

    seq: int
    sha: str
    created: bool
    event: Event
    warnings: tuple[str, ...] = ()


After = Callable[[list[Event], State], tuple[str, ...]] | None
"""Called with what was just appended and the state after it; returns warnings, and never raises."""


class History:
    """The events of one ledger and what they add up to, kept up to date."""

    def __init__(self, ledger: Ledger, after: After = None) -> None:
        self._ledger = ledger
        self._after = after
        self._events: list[Event] = []
        self._state: State | None = None
        self._head = Head(0, GENESIS)

    def events(self, at: str | None = None) -> list[Event]:
        """Every event, in order, its chain checked; up to a moment where one is given."""
        self._refresh()
        return until(self._events, at) if at else list(self._events)

    def state(self, at: str | None = None) -> State:
        """What is true now, or was true at a moment (RFC 3339 UTC, six digits)."""
        now = self._refresh()
        return fold(until(self._events, at)) if at else now

    def change(
        self,
        decide: Callable[[State], Sequence[Draft]],
        *,
        sha: str,
        expected: int | None = None,
        key: str | None = None,
        asked: tuple[str, dict[str, Any]] | None = None,
    ) -> Receipt | None:
        """Decide and append until the ledger held still meanwhile; None where there was nothing to do."""
        if key is not None:
            check_key(key)
        for _attempt in range(_TRIES):
            earlier = self._ledger.by_key(key) if key else None
            if earlier is not None and key is not None and asked is not None:
                event = same_request(earlier, Draft(kind=asked[0], body=asked[1]), key, tuple(asked[1]))
                return Receipt(seq=event.seq, sha=sha, created=False, event=event)
            state = self.state()
            if expected is not None and state.seq != expected:
                raise Conflict(
                    f"the ledger moved from #{expected} to #{state.seq} meanwhile; nothing was changed",
                    "look at it again (`spine history`), then repeat the command",
                )
            drafts = decide(state)
            if not drafts:
                return None
            try:
                events, created = self._ledger.append(
                    drafts, expected=state.seq, key=key, asked=tuple(asked[1]) if asked else ()
                )
            except Conflict:
                if expected is not None:
                    raise
                time.sleep(os.urandom(1)[0] / 12_800)  # up to 20 ms: writers that met once should not meet again
                continue
            warnings = self._after(events, self.state()) if created and self._after is not None else ()
            return Receipt(seq=events[0].seq, sha=sha, created=created, event=events[0], warnings=warnings)
        raise Conflict(f"the ledger moved {_TRIES} times while this was decided", "try again when it is quieter")

    def _refresh(self) -> State:
        """Read what was appended since; a fold of everything is cheap and is never shared half-done."""
        state = self._state
        if state is None or self._ledger.head() != self._head:
            self._events = self._ledger.events()
            self._head = Head(self._events[-1].seq, self._events[-1].hash) if self._events else Head(0, GENESIS)
            state = self._state = fold(self._events)
        return state
