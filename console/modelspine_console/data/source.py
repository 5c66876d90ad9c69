"""What the console asks of core, as frozen values. The only module of the console that reads a store.

Its methods block and run in background threads; what they return may be kept and drawn at any time.
It does not know a screen, and it changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.ledger.store import Event, Head, Ledger
from modelspine.text import short, visible
from modelspine.times import after_ns, moment
from modelspine_console.data.traffic_source import TrafficSource

if TYPE_CHECKING:
    from miniobserve.traces import Found
    from modelspine.cost.query import Costs, Step
    from modelspine.drift.days import Trend
    from modelspine.incident.walk import Walk
    from modelspine.lineage.corpora import Search
    from modelspine.lineage.walker import Lineage
    from modelspine.registry.entries import Detail, Entry
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated
    from modelspine.spine import Spine

Clock = Callable[[], datetime]
"""Gives the time, UTC."""

PAGE = 500
"""Traces in a list; older ones are reached by a filter."""


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life of the ledger."""

    seq: int
    hash: str
    env: str


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Every entry, each with the text a filter looks through."""

    rows: tuple[Any, ...]
    haystack: tuple[str, ...]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when the whole ledger was read and hashed again."""

    events: int
    evidence: int
    head: str


class Source(TrafficSource):
    """One project's stores, as the console reads them."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.at: str | None = None
        """The moment ledger-backed screens show; None for now."""
        self._inode: int | None = None
        self._last: Head | None = None
        self._env = ""

    @property
    def settings(self) -> Any:
        """The settings in force."""
        return self._spine.settings

    def pulse(self) -> Pulse:
        """Look whether the ledger is there, the same one, and how far it has come.

        A file that took the old one's place, as a restored backup does, is opened where it goes on from what
        was seen last.

        Raises:
            Unavailable: it is gone, or another ledger stands in its place.
        """
        inode = self._file()
        if self._inode not in (None, inode):
            self._check_goes_on()
            self.reopen()
        self._inode = inode
        head = self._spine.ledger.head()
        if not self._env:
            self._env = self._spine.registry.state().env
        self._last = Head(head.seq, head.hash)
        return Pulse(seq=head.seq, hash=head.hash, env=self._env)

    def entries(self) -> Entries:
        """Every entry, newest first."""
        rows = tuple(reversed(self._spine.registry.list(at=self.at)))
        return Entries(rows=rows, haystack=tuple(_entry_text(entry) for entry in rows))

    def detail(self, sha: str) -> Detail:
        """One entry with its evidence."""
        return self._spine.registry.get(sha, at=self.at)

    def position(self, sha: str) -> Position:
        """Where one entry stands: its gate run, its signatures, and what may be done to it."""
        from modelspine.release.eligibility import position

        return position(self._spine, sha, at=self.at)

    def compare(self, sha: str) -> Gated:
        """The gate's comparison of one entry with the baseline and with production, made now and not written."""
        from modelspine.release.gate_run import compare_entry

        return compare_entry(self._spine, sha, baseline=self._spine.settings.eval_baseline)

    def resolve(self, ref: str) -> str:
        """The SHA a REF names."""
        return self._spine.registry.resolve(ref, at=self.at)

    def events(self) -> Entries:
        """Every event, newest first, its chain checked."""
        rows = tuple(reversed(self._spine.registry.events(at=self.at)))
        return Entries(rows=rows, haystack=tuple(_event_text(event) for event in rows))

    def check(self) -> Checked:
        """Read the whole ledger from the disk again, and hash every event and every piece of evidence.

        Raises:
            Damaged: something does not have its hash.
        """
        ledger = self._spine.ledger
        events = ledger.events()
        digests = ledger.evidence_digests()
        for digest in digests:
            ledger.get(digest)
        head = events[-1].hash if events else ""
        return Checked(events=len(events), evidence=len(digests), head=head)

    def lineage(self, ref: str, *, verify: bool) -> Lineage:
        """The walk up from an entry."""
        return self._spine.lineage(self.resolve(ref), verify=verify)

    def rows(self, dvc_hash: str, pattern: str) -> Search:
        """Corpus rows that match a pattern."""
        return self._spine.corpora.search(dvc_hash, pattern, limit=200)

    def traces(self, asked: Mapping[str, str]) -> Found:
        """The newest traces, with what was asked of arm, outcome, day, sha, text or a feature; up to the moment shown.

        Raises:
            Absent: there are no traces yet.
            Unavailable: they cannot be read.
        """
        known = {name: value for name, value in asked.items() if name in ("arm", "outcome", "day", "sha", "text")}
        features = {name: value for name, value in asked.items() if name not in known}
        before = None if self.at is None else after_ns(self.at)
        with self.reading():
            return self._spine.traces.list(features=features, limit=PAGE, before_ns=before, **known)  # type: ignore[arg-type]

    def walk(self, request_id: str) -> Walk:
        """One request, walked back to its evidence."""
        return self._spine.incident(request_id)

    def drift(self) -> Trend:
        """Every day with a drift report, or with requests and none.

        Raises:
            Absent: there are neither reports nor traces.
        """
        from modelspine.drift.days import trend

        found = trend(self._spine, at=self.at)
        if not found.days and not found.counted:
            with self.reading():
                self._spine.traces.list(limit=1)
        return found

    def costs(self, now: datetime, step: Step) -> Costs:
        """What each entry's answers cost, every trace added up; ``step`` is told how far that is."""
        from modelspine.cost.query import measured

        with self.reading():
            return measured(self._spine, None, now, step, at=self.at)

    def moment(self, text: str) -> str | None:
        """The time a person typed; None for ``now``."""
        return None if text.strip() in ("", "now") else moment(text.strip())

    def reopen(self) -> None:
        """Forget open stores, so that the next look opens them again."""
        self._spine.close()
        for name in ("registry", "lineage", "corpora"):
            self._spine.__dict__.pop(name, None)
        self._inode = None
        self._last = None
        self._env = ""

    def _file(self) -> int | None:
        """The number of the ledger's file; None where it is none."""
        url: str = self._spine.settings.ledger
        if not url.startswith("sqlite:///"):
            return None
        path = Path(url.removeprefix("sqlite:///"))
        try:
            return os.stat(path).st_ino  # noqa: PTH116 -- a number is all that is wanted
        except OSError as error:
            self._inode = self._inode or -1
            raise Unavailable(
                f"there is no ledger at {visible(str(path))}", "`spine init` makes one; a backup restores one"
            ) from error

    def _check_goes_on(self) -> None:
        """Check that the ledger which stands there holds the newest event seen before."""
        last = self._last
        if last is None or last.seq == 0:
            return
        other = Ledger(self._spine.settings.ledger, actor=self._spine.settings.actor, readonly=True)
        try:
            events = other.events()
        finally:
            other.close()
        if len(events) < last.seq or events[last.seq - 1].hash != last.hash:
            raise Unavailable(
                f"another ledger stands where the one with event #{last.seq} was",
                "press r to open it as it is, and see what it holds",
            )


def _entry_text(entry: Entry) -> str:
    names = " ".join(entry.semvers)
    arms = " ".join(entry.arms)
    production = "production" if entry.production else ""
    return f"{entry.sha} {names} {entry.status} {production} {arms} {entry.variant} {entry.run_id or ''}".lower()


def _event_text(event: Event) -> str:
    values = " ".join(str(value) for value in event.body.values() if isinstance(value, str))
    return f"#{event.seq} {event.kind} {event.actor} {event.host} {event.at} {values}".lower()


__all__ = ["PAGE", "Checked", "Clock", "Damaged", "Entries", "Pulse", "Source", "SpineError", "short", "utc_now"]
