"""What is true now, or was true at a time: a pure fold of the ledger's events.

Nothing here reads a clock, a file or a database. ``fold`` of a prefix of the events is the state as it
was then. An event kind this version does not know changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from modelspine.errors import AmbiguousRef, BadInput, UnknownRef
from modelspine.ledger.route import Arm, Route, ladder_of
from modelspine.ledger.store import Event
from modelspine.text import short, visible

SEMVER = re.compile(r"v(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(-[0-9A-Za-z.-]{1,32})?")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Known(msgspec.Struct, kw_only=True):
    """One entry, as the events so far describe it."""

    sha: str
    registered: Event
    semvers: list[str] = []
    promoted: list[Event] = []
    promoted_against: str | None = None
    """What was in production at its newest promotion: the entry that its verdict compares it with."""
    held: str | None = None
    """Why no learner's traffic may reach it, or None."""
    tombstoned: str | None = None
    stable_since: list[int] = []
    """Seqs of the route events that made it the stable arm."""
    gated: Event | None = None
    """Its newest gate run."""
    history: list[Event] = []
    """Every event that names it."""

    @property
    def report(self) -> str | None:
        """Digest of the report that counts for it: what its newest promotion stands on, or it was registered with.

        The one it was registered with is its author's word; a signed promotion stands on one that CI made.
        """
        verdict = self.promoted[-1].body.get("verdict") if self.promoted else None
        found = verdict.get("report") if isinstance(verdict, dict) else None
        found = found or self.registered.body.get("evidence", {}).get("eval_report")
        return str(found) if found is not None else None

    @property
    def status(self) -> str:
        """Pending | promoted | held | tombstoned."""
        if self.tombstoned is not None:
            return "tombstoned"
        if self.held is not None:
            return "held"
        return "promoted" if self.semvers else "pending"


class State(msgspec.Struct, kw_only=True):
    """Everything the events so far add up to. Treat it as frozen: only ``fold`` writes to it."""

    seq: int = 0
    at: str = ""
    env: str = "dev"
    entries: dict[str, Known] = {}
    semvers: dict[str, str] = {}
    routes: list[Route] = []

    @property
    def route(self) -> Route | None:
        """The route in force, or None before the first promotion."""
        return self.routes[-1] if self.routes else None

    @property
    def production(self) -> str | None:
        """The SHA of the stable arm."""
        return self.route.stable.sha if self.route else None

    def resolve(self, ref: str) -> str:
        """The SHA a REF names: a SHA prefix of at least 4 digits, a semver, or ``production``.

        Raises:
            UnknownRef, AmbiguousRef: none or several entries have that name.
        """
        if ref == "production":
            if self.production is None:
                raise UnknownRef(
                    "nothing is in production yet", "promote an entry: `spine promote REF --semver v0.1.0`"
                )
            return self.production
        if ref in self.semvers:
            return self.semvers[ref]
        if ref in self.entries:
            return ref
        matches = [sha for sha in self.entries if sha.startswith(ref)] if _PREFIX.fullmatch(ref) else []
        if len(matches) > 1:
            some = ", ".join(short(sha) for sha in matches[:4])
            raise AmbiguousRef(f"{ref} fits {len(matches)} entries: {some}", "give more digits of the SHA")
        if not matches:
            raise UnknownRef(
                f"no entry is named {visible(ref, 80)!r}",
                "a REF is a SHA prefix (4 digits or more), a semver or `production`; `spine list` shows them",
            )
        return matches[0]

    @property
    def before_rollout(self) -> Route | None:
        """The route that the rollout under way began from."""
        start = int(self.route.salt) if self.route else 0
        return next((route for route in reversed(self.routes) if route.epoch < start), None)

    def route_at(self, epoch: int) -> Route | None:
        """The route that was opened by the event ``epoch``."""
        return next((route for route in self.routes if route.epoch == epoch), None)


def fold(events: Iterable[Event], state: State | None = None) -> State:
    """The state after these events; continues ``state`` in place where one is given."""
    now = state if state is not None else State()
    for event in events:
        _APPLY.get(event.kind, _ignore)(now, event)
        for sha in named(event):
            if sha in now.entries:
                now.entries[sha].history.append(event)
        now.seq, now.at = event.seq, event.at
    return now


def until(events: Sequence[Event], at: str) -> list[Event]:
    """The events up to the last one with ``at`` not after the given time (RFC 3339 UTC, six digits)."""
    keep = 0
    for number, event in enumerate(events, 1):
        if event.at <= at:
            keep = number
    return list(events[:keep])


def named(event: Event) -> set[str]:
    """The SHAs of the entries an event is about."""
    body = event.body
    shas = {arm["sha"] for arm in body["arms"]} if "arms" in body else set()
    if "sha" in body:
        shas.add(body["sha"])
    return shas


def route_of(event: Event) -> Route:
    """The route a ``routed`` event opened. Its salt is the seq of its rollout's first event."""
    rollout = event.body.get("rollout") or event.seq
    arms = tuple(msgspec.convert(arm, Arm) for arm in event.body["arms"])
    ladder = ladder_of(event.body["ladder"]) if "ladder" in event.body else None
    return Route(strategy=event.body["strategy"], epoch=event.seq, salt=str(rollout), arms=arms, ladder=ladder)


def completes(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a registration brings the report that an earlier one of the same bundle lacked, and all that one had.

    Only then does a second one count: evidence is added where there was none, and never replaced.
    """
    had, has = before.get("evidence", {}), after.get("evidence", {})
    kept = had.items() <= has.items() and before.get("run_id") in (None, after.get("run_id"))
    return kept and "eval_report" in has and "eval_report" not in had


def check_semver(semver: str) -> str:
    """The semver, where it is one.

    Raises:
        BadInput: it is not ``vX.Y.Z``.
    """
    if SEMVER.fullmatch(semver) is None:
        raise BadInput(f"{visible(semver, 60)!r} is not a semver", "write it as v1.2.3")
    return semver


def check_reason(reason: str) -> None:
    """Refuse to change anything for no reason.

    Raises:
        BadInput: the reason is blank.
    """
    if not reason.strip():
        raise BadInput("a change needs a reason; it stands in the ledger for good", "give --reason TEXT")


def check_key(key: str) -> None:
    """Refuse an idempotency key that no ledger can keep.

    Raises:
        BadInput: it is blank, or no UTF-8 holds it.
    """
    if not key.strip() or key != key.encode("utf-8", "replace").decode():
        raise BadInput(f"{visible(key, 60)!r} cannot be an idempotency key", "give --key plain text, such as a run id")


def _ignore(_state: State, _event: Event) -> None:
    """An event that moves no pointer."""


def _opened(state: State, event: Event) -> None:
    """A ledger's environment is its first event; no later one makes it another."""
    if event.seq == 1:
        state.env = str(event.body.get("env", "dev"))


def _registered(state: State, event: Event) -> None:
    sha: str = event.body["sha"]
    known = state.entries.setdefault(sha, Known(sha=sha, registered=event))
    if completes(known.registered.body, event.body):
        known.registered = event


def _promoted(state: State, event: Event) -> None:
    entry = state.entries[event.body["sha"]]
    semver: str = event.body["semver"]
    if semver not in entry.semvers:
        entry.semvers.append(semver)
    entry.promoted.append(event)
    entry.promoted_against = state.production
    state.semvers[semver] = entry.sha


def _routed(state: State, event: Event) -> None:
    route = route_of(event)
    state.routes.append(route)
    entry = state.entries.get(route.stable.sha)
    if entry is not None:
        entry.stable_since.append(event.seq)


def _gated(state: State, event: Event) -> None:
    state.entries[event.body["sha"]].gated = event


def _held(state: State, event: Event) -> None:
    state.entries[event.body["sha"]].held = event.body.get("reason", "")


def _released(state: State, event: Event) -> None:
    state.entries[event.body["sha"]].held = None


def _tombstoned(state: State, event: Event) -> None:
    state.entries[event.body["sha"]].tombstoned = event.body.get("reason", "")


_APPLY: dict[str, Any] = {
    "opened": _opened,
    "registered": _registered,
    "gated": _gated,
    "promoted": _promoted,
    "routed": _routed,
    "rolled_back": _routed,
    "held": _held,
    "released": _released,
    "tombstoned": _tombstoned,
}
