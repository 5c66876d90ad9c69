"""Optimistic transactions on the ledger: a change is decided on a state and appended only if that is still current.

If another event came first, the change is decided again on the new state, or refused if the caller named the expected
seq. It does not know which kinds of changes exist.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import msgspec

from modelspine.errors import Conflict, Locked, Refused, Replaced
from modelspine.ledger.clocks import Cut, cut_at, events_until
from modelspine.ledger.event import Unreadable, moved, overtaken, same_request, wrong_key
from modelspine.ledger.replay import replay
from modelspine.ledger.state import State, check_key
from modelspine.ledger.store import GENESIS, Draft, Event, Head, Ledger

_TRIES = 200
_PAUSE = 0.1
_T = TypeVar("_T")
PATIENCE = 30.0
"""Seconds for which a rollback or an abort waits for another process that keeps the ledger locked."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a change; ``created`` is False if an earlier request had already made it."""

    seq: int
    sha: str
    created: bool
    event: Event
    warnings: tuple[str, ...] = ()

    @classmethod
    def existing(cls, event: Event, sha: str, warnings: Sequence[str] = ()) -> Self:
        """The receipt for an event that an earlier request appended."""
        return cls(seq=event.seq, sha=sha, created=False, event=event, warnings=tuple(warnings))


After = Callable[[list[Event], State], tuple[str, ...]] | None
"""Called with the appended events and the state after them; returns warnings and never raises."""


class History:
    """The events and the state of one ledger, read again whenever it has changed."""

    def __init__(self, ledger: Ledger, after: After = None) -> None:
        self._ledger = ledger
        self._after = after
        self._events: list[Event] = []
        self._state: State | None = None
        self._unreadable: tuple[Unreadable, ...] = ()
        self._head = Head(0, GENESIS)

    def events(self, at: str | None = None) -> list[Event]:
        """Every event, in order, with the hash chain verified; with ``at``, only the events up to that time.

        A stand-in replaces an event that could not be interpreted (``ledger.event.stand_in``).
        """
        self._refresh()
        return events_until(self._events, at) if at else list(self._events)

    def state(self, at: str | None = None) -> State:
        """The current state, or the state at a time (RFC 3339, UTC, six digits)."""
        current = self._refresh()
        return replay(events_until(self._events, at)).state if at else current

    def cut(self, at: str) -> Cut:
        """Where the ledger stood at a time, and whether that is sure; see ``ledger.clocks.cut_at``."""
        self._refresh()
        return cut_at(self._events, at)

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """The events that could not be interpreted when the ledger was last read."""
        return self._unreadable

    def change(
        self, decide: Callable[[State], Sequence[Draft]], *, sha: str, expected: int | None = None,
        key: str | None = None, asked: tuple[str, dict[str, Any]] | None = None, forward: bool = False,
        locked: Callable[[], None] | None = None,
    ) -> Receipt | None:  # fmt: skip
        """Decide a change on the current state and append it, again if another writer came first.

        Args:
            decide: the events to append for a state; none if there is nothing to do. It may run several times.
            sha: the entry that the change is about, for the receipt.
            expected: the seq that the caller decided on.
            key: an idempotency key.
            asked: kind and body fields of the request, to recognise an earlier event of the key.
            forward: whether the change lets an entry do more than before. It is refused while an event cannot be
                interpreted, because that may be the one that forbids it; rolling back and stopping stay possible.
            locked: called whenever another process keeps the ledger locked. With it, the change waits ``PATIENCE``
                seconds for that process: what stops harm must not fail because somebody else is writing.

        Returns:
            The receipt, or None if there was nothing to do.

        Raises:
            Conflict: the ledger is not at ``expected``, the key was used for a different request, or all tries failed.
            Refused: ``forward`` is set, and an event cannot be interpreted.
            Locked: another process kept the ledger locked for too long.
        """
        if key is not None:
            check_key(key)
        attempt = partial(self._change, decide, sha=sha, expected=expected, key=key, asked=asked, forward=forward)
        return attempt() if locked is None else patiently(attempt, locked)

    def _change(
        self, decide: Callable[[State], Sequence[Draft]], *, sha: str, expected: int | None, key: str | None,
        asked: tuple[str, dict[str, Any]] | None, forward: bool,
    ) -> Receipt | None:  # fmt: skip
        """Make a change without waiting for a locked ledger for long; see ``change``."""
        for _attempt in range(_TRIES):
            # Before deciding: on the state after its own success, the same request would often be refused.
            wanted = Draft(kind=asked[0], body=asked[1]) if asked is not None else None
            if (earlier := self._earlier(key, wanted)) is not None:
                return Receipt.existing(earlier, sha)
            state = self.state()
            if expected is not None and state.seq != expected:
                raise moved(expected, state.seq)
            if forward and state.unreadable:
                raise _unsure(state.unreadable)
            drafts = decide(state)  # may raise: a refusal is decided on a state too
            if not drafts:
                return None
            try:
                events, created = self._ledger.append(
                    drafts, expected=state.seq, key=key, asked=tuple(asked[1]) if asked else ()
                )
            except Conflict:
                if expected is not None:  # the caller's decision is outdated; only the caller can decide again
                    raise
                time.sleep(os.urandom(1)[0] / 12_800)  # up to 20 ms, so that two writers do not collide again
                continue
            warnings = _clock_warnings(events) if created else ()
            warnings += self._after(events, self.state()) if created and self._after is not None else ()
            return Receipt(seq=events[0].seq, sha=sha, created=created, event=events[0], warnings=warnings)
        raise overtaken(_TRIES)

    def _earlier(self, key: str | None, wanted: Draft | None) -> Event | None:
        """The event of an earlier request with this key, which must have asked for the same."""
        found = self._ledger.by_key(key) if key else None
        if found is None or key is None or wanted is None:
            return None
        # The row may not be in the chain, and “done already” must not rest on that: what was asked may be a rollback.
        self._refresh()
        known = self._events[found.seq - 1] if 0 < found.seq <= len(self._events) else None
        if known is None or known.hash != found.hash:
            raise wrong_key(found.seq, key)
        return same_request(known, wanted, key, tuple(wanted.body))

    def _require_continued(self, events: list[Event]) -> None:
        """Raise ``Replaced`` unless the events continue those that were read before.

        Another file may have been put in the ledger's place, such as an older backup. What was decided and shown on
        the events that are gone would then be silently mixed with another history.
        """
        seq, digest = self._head.seq, self._head.hash
        if seq and (len(events) < seq or events[seq - 1].hash != digest):
            raise Replaced(
                f"the ledger no longer holds event #{seq} as it was read before; it ends at #{len(events)}",
                "another ledger was put in its place: check it with `spine verify`, then start this process again",
            )

    def _refresh(self) -> State:
        """The state of the newest event; reads and folds the ledger again if it has changed."""
        # Folding everything takes milliseconds, and a new State means that no other thread sees one half-updated.
        state = self._state
        if state is None or self._ledger.head() != self._head:
            found = replay(self._ledger.events())
            events, state = found.events, found.state
            self._require_continued(events)
            # The head comes last, and only after a fold that succeeded: it is what says that the others are current.
            self._events, self._state, self._unreadable = events, state, found.unreadable
            self._head = Head(events[-1].seq, events[-1].hash) if events else Head(0, GENESIS)
        return state


def patiently(attempt: Callable[[], _T], locked: Callable[[], None]) -> _T:
    """Try until no other process keeps the ledger locked, for ``PATIENCE`` seconds; ``locked`` is called meanwhile.

    Opening and reading are tried like writing: a lock may exclude readers too.

    Raises:
        Locked: another process kept the ledger locked for too long.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except Locked:
            if time.monotonic() > until:
                raise
            locked()
            time.sleep(_PAUSE)


def _unsure(seqs: Sequence[int]) -> Refused:
    named = ", ".join(f"#{seq}" for seq in seqs[:4]) + (" and more" if len(seqs) > 4 else "")
    return Refused(
        f"{named} of the ledger cannot be read, and may be what forbids this",
        "`spine verify` says why; use the version that wrote it, or a backup; rollback and abort work meanwhile",
    )


def _clock_warnings(events: Sequence[Event]) -> tuple[str, ...]:
    """A warning where the ledger's newest event lay far ahead of the clock of this machine."""
    first = events[0]
    if "clock" not in first.body:
        return ()
    said = (
        f"event #{first.seq - 1} is dated {first.at[:19]}Z, but this machine's clock says {first.time[:19]}Z: "
        "one of the two clocks is wrong; both times are recorded"
    )
    return (said,)
