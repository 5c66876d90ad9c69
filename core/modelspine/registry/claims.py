"""Claims: a person says which entry a model's name means, and unattributed traces of that name are read as its.

A trace never changes, so a claim is an event of the ledger that is applied when one trace is read: to show it, and to
walk it. Figures over many requests count a request as what it was stored as. Requests collected after a claim are
stored with the entry. It does not know who reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.errors import BadInput, Damaged
from modelspine.ledger.event import Event
from modelspine.ledger.route import UNROUTED
from modelspine.ledger.state import State, check_reason
from modelspine.ledger.store import Draft
from modelspine.ledger.transactions import Receipt
from modelspine.registry.model_names import CLAIMED, MOST_NAME, by_ledger, semver_of
from modelspine.registry.registry import Registry
from modelspine.text import short, visible
from modelspine.times import nanoseconds

CLAIM = "claimed"
"""The field of a trace that names the claim by which it was read, as ``#7``."""
_SEQ = re.compile(r"#(\d{1,9})", re.ASCII)


def claim(
    registry: Registry, model: str, ref: str, *, reason: str, expected: int | None = None, key: str | None = None
) -> Receipt:
    """Record that a model's name means an entry; a later claim of the same name replaces an earlier one.

    Raises:
        BadInput: the name is empty, too long, or one that the ledger itself gives a meaning; or there is no reason.
        UnknownRef: no entry matches.
    """
    check_reason(reason)
    if not 0 < len(model) <= MOST_NAME or visible(model, MOST_NAME) != model:
        raise BadInput(f"a model's name has 1 to {MOST_NAME} visible characters", "give it as `spine traces show` does")
    sha = registry.resolve(ref)
    body: dict[str, Any] = {"model": model, "sha": sha, "reason": reason}

    def decide(state: State) -> list[Draft]:
        if by_ledger(model, state) is not None:
            raise BadInput(
                f"{visible(model, 60)!r} names an entry in this ledger, so it cannot be claimed for another one",
                "`spine list` shows the entries",
            )
        return [Draft(kind="claimed", body=body)]

    receipt = registry.history.change(decide, sha=sha, expected=expected, key=key, asked=(CLAIMED, body))
    if receipt is None:
        raise Damaged("the claim was not recorded", "repeat the command")
    return receipt


def as_claimed(trace: Trace, state: State, events: Sequence[Event]) -> Trace:
    """A trace with the entry that its model's name was claimed for; any other trace as it is."""
    model = trace.fields.get("model")
    if trace.entry_sha or not isinstance(model, str):
        return trace
    newest = next(iter(claims_on(model, events)), None)
    sha = str(newest.body["sha"]) if newest is not None else ""
    if newest is None or sha not in state.entries:
        return trace
    route = state.route_at(trace.assignment.epoch)
    arm = next((arm.name for arm in route.learners if arm.sha == sha), UNROUTED) if route is not None else UNROUTED
    return msgspec.structs.replace(
        trace,
        entry_sha=sha,
        semver=semver_of(sha, model, state),
        assignment=msgspec.structs.replace(trace.assignment, arm=arm),
        fields={**trace.fields, CLAIM: f"#{newest.seq}"},
    )


def claims_on(model: str, events: Sequence[Event]) -> list[Event]:
    """The claims of a model's name, newest first."""
    return [event for event in reversed(events) if event.kind == CLAIMED and event.body.get("model") == model]


def claim_behind(trace: Trace, state: State, events: Sequence[Event]) -> Event | None:
    """The claim by which a trace has its entry; None where the server named the entry itself."""
    if (named := claim_seq(trace)) is not None:
        event = events[named - 1] if 0 < named <= len(events) else None
        return event if event is not None and _means(event, trace.entry_sha) else None
    model = trace.fields.get("model")
    if not trace.entry_sha or not isinstance(model, str) or by_ledger(model, state) is not None:
        return None
    found = [event for event in claims_on(model, events) if _means(event, trace.entry_sha)]
    before = (event for event in found if nanoseconds(event.time) <= trace.started_ns)
    return next(before, found[-1] if found else None)


def claim_seq(trace: Trace) -> int | None:
    """The event that a trace names as the claim by which it was read; None for a trace as it was stored."""
    found = _SEQ.fullmatch(str(trace.fields.get(CLAIM)))
    return int(found[1]) if found is not None else None


def replaced_by(claimed: Event, events: Sequence[Event]) -> Event | None:
    """The claim that this one changed; None if it is the first of its name, or the one before it said the same."""
    earlier = claims_on(str(claimed.body["model"]), events[: claimed.seq - 1])
    return earlier[0] if earlier and not _means(earlier[0], str(claimed.body["sha"])) else None


def claim_text(event: Event, state: State) -> str:
    """A claim in words: the entry, the event, who made it and when."""
    entry = state.entries.get(str(event.body["sha"]))
    semver = f"{visible(entry.semvers[-1], 40)} " if entry is not None and entry.semvers else ""
    who = f"{visible(event.actor, 60)} on {event.time[:10]} {event.time[11:16]}Z"
    return f"{semver}{short(str(event.body['sha']))} (#{event.seq} by {who})"


def _means(event: Event, sha: str) -> bool:
    return event.kind == CLAIMED and event.body.get("sha") == sha
