"""The history of a ledger's routes: when each was active, who opened it and why.

Pure. It does not know the traffic of any epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from modelspine.ledger.event import Event
from modelspine.ledger.route import Arm, Route
from modelspine.ledger.state import State
from modelspine.text import short, visible

CONTROLLER_KEY = "canary-"
"""What the idempotency key of an event begins with that the canary controller appends."""


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One route and the time it was active."""

    route: Route
    since: str
    until: str | None
    """When the next one was opened; None for the active route."""
    verb: str
    """The operation that opened it: start, weight, advance, abort, rolled_back or routed."""
    actor: str
    reason: str
    by_controller: bool = False
    """Whether the canary controller opened it, all conditions of the step before being met; else a person did."""

    @property
    def number(self) -> int:
        """The seq of its route event."""
        return self.route.epoch


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changed while a rollout was in progress."""

    seq: int
    at: str
    what: str
    reason: str


def epochs(state: State, events: Sequence[Event]) -> list[Epoch]:
    """List every epoch, newest first.

    Args:
        state: the state that results from ``events``.
        events: all events from #1, so that event ``seq`` is at index ``seq - 1``.
    """
    found: list[Epoch] = []
    until: str | None = None
    for route in reversed(state.routes):
        event = events[route.epoch - 1]
        found.append(
            Epoch(
                route=route,
                since=event.time,
                until=until,
                verb=str(event.body.get("verb") or event.kind),
                actor=event.actor,
                reason=str(event.body.get("reason", "")),
                by_controller=str(event.body.get("key", "")).startswith(CONTROLLER_KEY),
            )
        )
        until = event.time
    return found


def rollout_of(known: Sequence[Epoch], epoch: Epoch) -> tuple[Epoch, ...]:
    """The epochs of the rollout that an epoch belongs to, oldest first; ``known`` are all epochs, newest first."""
    return tuple(each for each in reversed(known) if each.route.salt == epoch.route.salt)


def moves(rollout: Sequence[Epoch], events: Sequence[Event]) -> tuple[Move, ...]:
    """List what changed from the second epoch of a rollout on: its weights, its steps, and the status of its entries.

    Args:
        rollout: the epochs of one rollout, oldest first.
        events: all events up to the moment of the report.
    """
    found = [
        Move(seq=new.number, at=new.since, what="; ".join(_changes(old.route, new.route)), reason=new.reason)
        for old, new in pairwise(rollout)
    ]
    names = {arm.sha: arm.name for epoch in rollout for arm in epoch.route.arms}
    later = events[rollout[-1].number :]
    # By seq and not by time, because a clock may be wrong. What ended the rollout, or came after it, changed nothing.
    end = next((event.seq for event in later if event.kind in ("routed", "rolled_back")), len(events) + 1)
    for event in events[rollout[0].number : end - 1]:
        name = names.get(str(event.body.get("sha")))
        if event.kind in ("promoted", "held", "released", "tombstoned") and name is not None:
            as_what = f" as {visible(str(event.body['semver']), 40)}" if event.kind == "promoted" else ""
            what = f"{visible(name, 20)} {short(str(event.body['sha']))} was {event.kind}{as_what}"
            found.append(Move(seq=event.seq, at=event.time, what=what, reason=str(event.body.get("reason", ""))))
    return tuple(sorted(found, key=lambda move: move.seq))


def _changes(old: Route, new: Route) -> Iterator[str]:
    """What differs between two consecutive routes of a rollout, as text."""
    before, changed = {arm.name: arm for arm in old.arms}, False
    for arm in new.arms:
        for text in _arm_changes(before.get(arm.name), arm):
            changed = True
            yield text
    if old.ladder is not None and new.ladder is not None and old.ladder.auto != new.ladder.auto:
        yield "steps are automatic again" if new.ladder.auto else "steps are no longer automatic"
    elif not changed:
        yield "the same route again"


def _arm_changes(old: Arm | None, new: Arm) -> Iterator[str]:
    name = visible(new.name, 20)
    if old is None or old.sha != new.sha:
        yield f"{name} is {short(new.sha)}" + (f", before {short(old.sha)}" if old is not None else "")
        return
    if old.weight_bp != new.weight_bp:
        yield f"{name} {old.weight_bp / 100:g} % → {new.weight_bp / 100:g} %"
    if old.semver != new.semver:
        yield f"{name} is {visible(new.semver, 40) or 'without a version'}"
