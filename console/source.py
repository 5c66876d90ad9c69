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

from core.errors import Damaged, SpineError, Unavailable
from core.ledger import Event, storage_errors
from core.text import short, visible
from core.times import moment

if TYPE_CHECKING:
    from core.corpus import Search
    from core.entries import Detail, Entry
    from core.incident import Walk
    from core.lineage import Lineage
    from core.spine import Spine
    from miniobserve.traces import Found

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


class Source:
    """One project's stores, as the console reads them."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine
        self.at: str | None = None
        """The moment ledger-backed screens show; None for now."""
        self._inode: int | None = None
        self._env = ""

    @property
    def settings(self) -> Any:
        """The settings in force."""
        return self._spine.settings

    def pulse(self) -> Pulse:
        """Look whether the ledger is there, the same one, and how far it has come.

        Raises:
            Unavailable: it is gone, or another file stands in its place.
        """
        self._same_file()
        head = self._spine.ledger.head()
        if not self._env:
            self._env = self._spine.registry.state().env
        return Pulse(seq=head.seq, hash=head.hash, env=self._env)

    def entries(self) -> Entries:
        """Every entry, newest first."""
        rows = tuple(reversed(self._spine.registry.list(at=self.at)))
        return Entries(rows=rows, haystack=tuple(_entry_text(entry) for entry in rows))

    def detail(self, sha: str) -> Detail:
        """One entry with its evidence."""
        return self._spine.registry.get(sha, at=self.at)

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
        """The newest traces, with what was asked of arm, outcome, day, sha, text or a feature.

        Raises:
            Unavailable: no server has written traces here yet, or they cannot be read.
        """
        known = {name: value for name, value in asked.items() if name in ("arm", "outcome", "day", "sha", "text")}
        features = {name: value for name, value in asked.items() if name not in known}
        with storage_errors():
            return self._spine.traces.list(features=features, limit=PAGE, **known)  # type: ignore[arg-type]

    def walk(self, request_id: str) -> Walk:
        """One request, walked back to its evidence."""
        return self._spine.incident(request_id)

    def moment(self, text: str) -> str | None:
        """The time a person typed; None for ``now``."""
        return None if text.strip() in ("", "now") else moment(text.strip())

    def reopen(self) -> None:
        """Forget open stores, so that the next look opens them again."""
        self._spine.close()
        for name in ("registry", "lineage", "corpora"):
            self._spine.__dict__.pop(name, None)
        self._inode = None
        self._env = ""

    def _same_file(self) -> None:
        url: str = self._spine.settings.ledger
        if not url.startswith("sqlite:///"):
            return
        path = Path(url.removeprefix("sqlite:///"))
        try:
            inode = os.stat(path).st_ino  # noqa: PTH116 -- a number is all that is wanted
        except OSError as error:
            raise Unavailable(
                f"there is no ledger at {visible(str(path))}", "`spine init` makes one; a backup restores one"
            ) from error
        if self._inode is None:
            self._inode = inode
        elif inode != self._inode:
            raise Unavailable(
                "another file stands where the ledger was", "press r to open it as it is now, and see what it holds"
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
