"""What the console reads from core, as frozen values. The only module of the console that reads a store.

Its methods block, so they run in background threads; what they return may be kept and drawn at any time. It knows no
screen and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.errors import Damaged, Unavailable
from modelspine.ledger.replay import replay
from modelspine.ledger.store import Event, Head, Ledger
from modelspine.text import visible
from modelspine.times import after_ns
from modelspine_console.data.home_source import HomeSource
from modelspine_console.data.moment_source import MomentSource
from modelspine_console.data.traffic_source import TrafficSource

if TYPE_CHECKING:
    from miniobserve.search import Question, SearchResult
    from miniobserve.search import Step as SearchStep
    from modelspine.cost.query import Costs, Step
    from modelspine.drift.days import Trend
    from modelspine.incident.counterfactual import Counterfactual
    from modelspine.incident.walk import Walk
    from modelspine.lineage.corpora import Search
    from modelspine.lineage.walker import Lineage
    from modelspine.overview.glance import Rollout, Standing
    from modelspine.registry.entries import Detail, Entry
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated
    from modelspine.spine import Spine

Clock = Callable[[], datetime]
"""Returns the time in UTC."""

PAGE = 500
"""Traces in the list of requests; older ones are found by a filter."""
_MAX_ROWS = 200
"""Corpus rows that a search returns."""


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's answer to a poll."""

    seq: int
    hash: str
    env: str
    service: str = ""
    """The service whose ledger it is; empty where no entry names one."""
    production: Standing | None = None
    """The entry in production."""
    rollout: Rollout | None = None
    """The rollout in progress; None if there is none."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of reading and hashing the whole ledger."""

    events: int
    evidence: int
    head: str


class Source(TrafficSource, HomeSource, MomentSource):
    """Reads one project's stores, as of one moment."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.at: str | None = None
        """The moment that is shown; None for the present."""
        self.before_start = ""
        """Says that this moment is before the ledger's first event; empty if it is not."""
        self._inode: int | None = None
        self._last: Head | None = None
        self._env = ""
        self._routed: tuple[Head, Standing | None, Rollout | None, str] | None = None

    @property
    def settings(self) -> Any:
        """The settings in force."""
        return self._spine.settings

    def pulse(self) -> Pulse:
        """Poll the ledger: whether it is there, whether it is the same one, and its newest event.

        A file that replaced the old one, as restoring a backup does, is opened if it contains the newest event that was
        seen.

        Raises:
            Unavailable: the ledger is gone, or another one has replaced it.
        """
        inode = self._file()
        if self._inode not in (None, inode):
            self._check_continues()
            self.reopen()
        self._inode = inode
        head = self._spine.ledger.head()
        if not self._env:
            self._env = self._spine.registry.state().env
        self._last = Head(head.seq, head.hash)
        if self._routed is None or self._routed[0] != self._last:
            from modelspine.overview.glance import rollout, standing
            from modelspine.registry.rules import ledger_service
            from modelspine.traffic.epochs import epochs

            registry = self._spine.registry
            state = registry.state()
            known = epochs(state, registry.events())
            self._routed = self._last, standing(known), rollout(known), ledger_service(state)
        _, stable, tried, service = self._routed
        return Pulse(seq=head.seq, hash=head.hash, env=self._env, service=service, production=stable, rollout=tried)

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, newest first."""
        return tuple(reversed(self._spine.registry.list(at=self.at)))

    def detail(self, sha: str) -> Detail:
        """One entry with its evidence."""
        return self._spine.registry.get(sha, at=self.at)

    def position(self, sha: str) -> Position:
        """One entry's gate run and signatures, and what may be done to it."""
        from modelspine.release.eligibility import position

        return position(self._spine, sha, at=self.at)

    def compare(self, sha: str) -> Gated:
        """The gate's comparison of one entry with the baseline and production, made now and not recorded."""
        from modelspine.release.gate_run import compare_entry

        return compare_entry(self._spine, sha, baseline=self._spine.settings.eval_baseline)

    def events(self) -> tuple[Event, ...]:
        """Every event, newest first, with the chain verified."""
        return tuple(reversed(self._spine.registry.events(at=self.at)))

    def check(self) -> Checked:
        """Read the whole ledger from disk again, and hash every event and every piece of evidence.

        Raises:
            Damaged: a hash does not match, or an event cannot be read.
        """
        ledger = self._spine.ledger
        found = replay(ledger.events())
        if found.unreadable:
            first = found.unreadable[0]
            raise Damaged(f"event #{first.seq} cannot be read: {first.why}", "`spine verify` names every such event")
        events = found.events
        digests = ledger.evidence_digests()
        for digest in digests:
            ledger.get(digest)
        head = events[-1].hash if events else ""
        return Checked(events=len(events), evidence=len(digests), head=head)

    def lineage(self, ref: str, *, verify: bool) -> Lineage:
        """The walk up from an entry."""
        return self._spine.lineage(self._spine.registry.resolve(ref, at=self.at), verify=verify)

    def rows(self, dvc_hash: str, pattern: str) -> Search:
        """Corpus rows that match a pattern."""
        return self._spine.corpora.search(dvc_hash, pattern, limit=_MAX_ROWS)

    def search(self, question: Question, step: SearchStep) -> SearchResult:
        """The traces up to the moment that is shown that match; ``step`` is called while the store is searched.

        Raises:
            Absent: there are no traces yet.
            Unavailable: the traces cannot be read, or ``step`` stopped the search.
        """
        before = None if self.at is None else after_ns(self.at)
        with self.reading():
            return self._spine.traces.search(msgspec.structs.replace(question, before_ns=before), step)

    def walk(self, request_id: str) -> Walk:
        """The incident walk of one request."""
        return self._spine.incident(request_id)

    def drift(self) -> Trend:
        """Every day with a drift report or with requests.

        Raises:
            Absent: there are neither reports nor traces.
        """
        from modelspine.drift.days import trend

        found = trend(self._spine, at=self.at)
        if not found.days and not found.counted:
            # An empty answer has two causes; reading one trace raises the error that tells them apart.
            with self.reading():
                self._spine.traces.list(limit=1)
        return found

    def costs(self, now: datetime, step: Step) -> Costs:
        """What each entry's answers cost, summed over all traces; ``step`` is called with the progress."""
        from modelspine.cost.query import measured

        with self.reading():
            return measured(self._spine, None, now, step, at=self.at)

    def counterfactual(self, a: str, b: str, step: Step) -> Counterfactual:
        """What users would have been told, had another entry answered; ``step`` is called with the progress."""
        from modelspine.incident.counterfactual import counterfactual

        with self.reading():
            # One worker, in this thread: it stops when ``step`` raises and when the console quits. A pool would not.
            return counterfactual(self._spine, a, b, since=None, progress=step, workers=1)

    def speak(self) -> None:
        """Put the words of this project in force."""
        self._spine.speak()

    def close(self) -> None:
        """Close the stores; a thread that still reads them ends with an error, which is ignored."""
        self._spine.close()

    def reopen(self) -> None:
        """Close the stores, so that the next read opens them again."""
        self._spine.close()
        for name in ("registry", "lineage", "corpora"):  # cached properties that hold on to the closed stores
            self._spine.__dict__.pop(name, None)
        self._inode = None
        self._last = None
        self._routed = None
        self._env = ""

    def _file(self) -> int | None:
        """The inode of the ledger's file; None if the ledger is not a file."""
        url: str = self._spine.settings.ledger
        if not url.startswith("sqlite:///"):
            return None
        path = Path(url.removeprefix("sqlite:///"))
        try:
            return path.stat().st_ino
        except OSError as error:
            self._inode = self._inode or -1  # the file that appears next has to be checked even if none was seen before
            raise Unavailable(
                f"there is no ledger at {visible(str(path))}", "create one with `spine init`, or restore a backup"
            ) from error

    def _check_continues(self) -> None:
        """Check that the ledger at this place contains the newest event that was seen."""
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
                f"the ledger was replaced by another one without event #{last.seq}", "refresh opens it anyway"
            )
