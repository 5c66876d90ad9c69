"""The state of a ledger, now or at a past time: a pure fold of its events.

It reads no clock, file or database. Folding a prefix of the events gives the state at that point. Events of unknown
kinds are ignored, so that an older version can read a newer ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from modelspine.errors import AmbiguousRef, BadInput, Damaged, UnknownRef
from modelspine.ledger.event import Event
from modelspine.ledger.route import Arm, Route, ladder_of
from modelspine.text import short, visible

_NUMBER, _NAME = "(?:0|[1-9][0-9]*)", "[0-9]*[A-Za-z-][0-9A-Za-z-]*"
SEMVER = re.compile(
    r"v(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})"
    rf"(?=(?:-[0-9A-Za-z.-]{{1,32}})?\Z)(-(?:{_NUMBER}|{_NAME})(?:\.(?:{_NUMBER}|{_NAME}))*)?"
)
"""A version by SemVer 2 in ASCII digits, without build metadata; numbers have no leading zeros, and have a limit."""
_PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Known(msgspec.Struct, kw_only=True):
    """One entry, as described by the events so far."""

    sha: str
    registered: Event
    semvers: list[str] = []
    promoted: list[Event] = []
    promoted_against: str | None = None
    """SHA of the entry in production at the newest promotion, with which its verdict compares it."""
    held: str | None = None
    """The reason of the hold, or None if the entry is not on hold."""
    tombstoned: str | None = None
    """The reason of the tombstone, or None."""
    stable_since: list[int] = []
    """Seqs of the route events in which it is the stable arm."""
    gated: Event | None = None
    """The event of its newest gate run."""
    history: list[Event] = []
    """Every event that names this entry."""

    @property
    def report(self) -> str | None:
        """Digest of the evaluation report in force: that of the newest promotion, else that of the registration."""
        # A registered report comes from whoever trained the model; a signed promotion refers to one made by CI.
        verdict = self.promoted[-1].body.get("verdict") if self.promoted else None
        found = verdict.get("report") if isinstance(verdict, dict) else None
        found = found or self.registered.body.get("evidence", {}).get("eval_report")
        return str(found) if found is not None else None

    @property
    def status(self) -> str:
        """One of pending, promoted, held and tombstoned."""
        if self.tombstoned is not None:
            return "tombstoned"
        if self.held is not None:
            return "held"
        return "promoted" if self.semvers else "pending"


class State(msgspec.Struct, kw_only=True):
    """The result of a fold. Treat it as frozen: only ``fold`` modifies it."""

    seq: int = 0
    at: str = ""
    env: str = "dev"
    entries: dict[str, Known] = {}
    semvers: dict[str, str] = {}
    routes: list[Route] = []
    unreadable: tuple[int, ...] = ()
    """Seqs of events that could not be interpreted and so changed nothing here."""

    @property
    def route(self) -> Route | None:
        """The route in force, or None before the first promotion."""
        return self.routes[-1] if self.routes else None

    @property
    def production(self) -> str | None:
        """The SHA of the stable arm, or None before the first promotion."""
        return self.route.stable.sha if self.route else None

    def resolve(self, ref: str) -> str:
        """The SHA for a REF: a SHA prefix of at least 4 digits, a semver, or ``production``.

        Raises:
            UnknownRef: no entry matches.
            AmbiguousRef: several entries match a prefix.
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
            raise AmbiguousRef(f"{ref} matches {len(matches)} entries: {some}", "give more digits of the SHA")
        if not matches:
            raise UnknownRef(
                f"no entry is named {visible(ref, 80)!r}",
                "give a SHA prefix (4 digits or more), a semver or `production`; `spine list` shows them",
            )
        return matches[0]

    @property
    def before_rollout(self) -> Route | None:
        """The route that was in force before the current rollout began."""
        start = int(self.route.salt) if self.route else 0
        return next((route for route in reversed(self.routes) if route.epoch < start), None)

    def route_at(self, epoch: int) -> Route | None:
        """The route that the event ``epoch`` put in force."""
        return next((route for route in self.routes if route.epoch == epoch), None)


def fold(events: Iterable[Event], state: State | None = None) -> State:
    """The state after these events; with ``state``, that state is continued in place.

    Raises:
        Damaged: an event does not fit the events before it, such as a promotion of an entry that was never registered.
    """
    now = state if state is not None else State()
    for event in events:
        try:
            apply_event(now, event)
        except (KeyError, TypeError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise Damaged(
                f"event #{event.seq} does not fit the events before it: {misfit(error)}",
                "`spine verify` checks the whole ledger",
            ) from error
    return now


def apply_event(now: State, event: Event) -> None:
    """Change a state by one event.

    Raises:
        KeyError, TypeError, ValueError: the event does not fit the state, and nothing was changed; see ``misfit``.
    """
    if (apply := _APPLY.get(event.kind)) is not None:
        apply(now, event)
    for sha in entries_named(event):  # after applying, because a registration only now made its entry
        if sha in now.entries:
            now.entries[sha].history.append(event)
    now.seq, now.at = event.seq, event.at


def misfit(error: Exception) -> str:
    """Why an event does not fit the events before it, from the error that ``apply_event`` raised."""
    return visible(f"{type(error).__name__}: {error}", 120)


def entries_named(event: Event) -> set[str]:
    """The SHAs of the entries that an event names."""
    body = event.body
    arms = body.get("arms")
    shas = {arm.get("sha") for arm in arms if isinstance(arm, dict)} if isinstance(arms, list) else set()
    shas.add(body.get("sha"))
    return {sha for sha in shas if isinstance(sha, str)}  # the body of an unknown kind may hold anything there


def route_of(event: Event) -> Route:
    """The route that a ``routed`` event puts in force; its salt is the seq of the rollout's first event."""
    rollout = event.body.get("rollout") or event.seq
    arms = tuple(msgspec.convert(arm, Arm) for arm in event.body["arms"])
    ladder = ladder_of(event.body["ladder"]) if "ladder" in event.body else None
    return Route(strategy=event.body["strategy"], epoch=event.seq, salt=str(rollout), arms=arms, ladder=ladder)


def completes(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a second registration adds a report, a manifest or a place of the files, and keeps the rest.

    Only such a registration takes effect: evidence can be added, but never replaced. Where the files are may change,
    as when their run was deleted and they were logged into another one; the SHA says whether they are the same.
    """
    had, has = before.get("evidence", {}), after.get("evidence", {})
    kept = had.items() <= has.items() and before.get("run_id") in (None, after.get("run_id"))
    source = str(after.get("source", ""))
    logged = source.startswith("runs:/") and source != before.get("source")  # only a folder that was logged has one
    placed = not (before.get("run_id") or before.get("source")) and bool(after.get("run_id") or source)
    return kept and (has.keys() > had.keys() or logged or placed)


def check_semver(semver: str) -> str:
    """The given semver, checked.

    Raises:
        BadInput: it does not have the form ``vX.Y.Z``.
    """
    if SEMVER.fullmatch(semver) is None:
        raise BadInput(
            f"{visible(semver, 60)!r} is not a semver",
            "write it as v1.2.3 or v1.2.3-rc.1",
        )
    return semver


def check_reason(reason: str) -> None:
    """Require a reason for a change.

    Raises:
        BadInput: the reason is blank.
    """
    if not reason.strip():
        raise BadInput("a change needs a reason, which is recorded permanently", "give --reason TEXT")


def check_key(key: str) -> None:
    """Require an idempotency key that the ledger can store.

    Raises:
        BadInput: the key is blank, or cannot be encoded as UTF-8.
    """
    if not key.strip() or key != key.encode("utf-8", "replace").decode():
        raise BadInput(f"{visible(key, 60)!r} is not an idempotency key", "give --key plain text, such as a run id")


def _opened(state: State, event: Event) -> None:
    # Only the first event sets the environment, so that nobody can turn a prod ledger into a dev one by appending.
    if event.seq == 1:
        state.env = str(event.body.get("env", "dev"))


def _registered(state: State, event: Event) -> None:
    sha: str = event.body["sha"]
    # The first registration stands; a later one of the same bundle takes effect only if it adds missing evidence.
    known = state.entries.setdefault(sha, Known(sha=sha, registered=event))
    if completes(known.registered.body, event.body):
        known.registered = event


def _promoted(state: State, event: Event) -> None:
    entry = state.entries[event.body["sha"]]
    semver: str = event.body["semver"]
    if semver not in entry.semvers:
        entry.semvers.append(semver)
    entry.promoted.append(event)
    entry.promoted_against = state.production  # read before this promotion can change the route
    state.semvers[semver] = entry.sha


def _routed(state: State, event: Event) -> None:
    route = route_of(event)
    state.routes.append(route)
    # A route to an entry that was never registered must not make the ledger unreadable; `spine verify` reports it.
    entry = state.entries.get(route.stable.sha)
    if entry is not None:
        entry.stable_since.append(event.seq)


def _setting(field: str, value: Callable[[Event], Any]) -> Callable[[State, Event], None]:
    """A change that sets one field of the event's entry."""
    return lambda state, event: setattr(state.entries[event.body["sha"]], field, value(event))


def _reason(event: Event) -> str:
    return str(event.body.get("reason", ""))


# Kinds that only record something, such as noted and denied, are not listed: they leave the state as it is.
_APPLY: dict[str, Callable[[State, Event], None]] = {
    "opened": _opened,
    "registered": _registered,
    "gated": _setting("gated", lambda event: event),
    "promoted": _promoted,
    "routed": _routed,
    "rolled_back": _routed,
    "held": _setting("held", _reason),
    "released": _setting("held", lambda _event: None),
    "tombstoned": _setting("tombstoned", _reason),
}
