"""What changed between two moments of a ledger: production, the route, and the status of entries. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from modelspine.ledger.clocks import events_until
from modelspine.ledger.event import Event
from modelspine.ledger.replay import replay
from modelspine.ledger.state import State
from modelspine.registry.entries import describe
from modelspine.text import counted, short, visible
from modelspine.traffic.route_text import route_sentence

_MOST = 12
"""Entries that are named one by one."""


class EntryChange(msgspec.Struct, frozen=True, kw_only=True):
    """One entry whose status is not the same at the two moments."""

    sha: str
    name: str
    before: str
    """Empty where it was not registered yet."""
    after: str


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from one moment to a later one."""

    since: str
    until: str
    events: int
    """Events after the first moment and not after the second one."""
    kinds: dict[str, int]
    """How many events of each kind, the most frequent first."""
    production: tuple[str, str]
    """Semver or SHA of the entry in production at both moments; empty where there was none."""
    route: tuple[str, str]
    """Each route in a sentence; empty where nothing was routed."""
    entries: tuple[EntryChange, ...]
    """In the order of registration."""


def between(events: Sequence[Event], one: str, other: str) -> Between:
    """Compare two moments (the ledger's format), in whichever order they are given."""
    since, until = sorted((one, other))
    earlier, later = events_until(events, since), events_until(events, until)
    before, after = replay(earlier).state, replay(later).state
    news = later[len(earlier) :]
    return Between(
        since=since,
        until=until,
        events=len(news),
        kinds=dict(Counter(event.kind for event in news).most_common()),
        production=(_production(before), _production(after)),
        route=(_route(before), _route(after)),
        entries=tuple(_entries(before, after)),
    )


def _production(state: State) -> str:
    return _name(state, state.production) if state.production else ""


def _name(state: State, sha: str) -> str:
    known = state.entries.get(sha)
    return visible(known.semvers[-1], 40) if known is not None and known.semvers else short(sha)


def _route(state: State) -> str:
    return route_sentence(state.route) if state.route is not None else ""


def _status(state: State, sha: str) -> str:
    known = state.entries.get(sha)
    if known is None:
        return ""
    entry = describe(known, state)
    return "production" if entry.production else entry.arms[0] if entry.arms else entry.status


def _entries(before: State, after: State) -> list[EntryChange]:
    found = []
    for sha in after.entries:
        was, now = _status(before, sha), _status(after, sha)
        if was != now:
            found.append(EntryChange(sha=sha, name=_name(after, sha), before=was, after=now))
    return found


def between_sentence(found: Between) -> str:
    """What changed, in one plain sentence."""
    span = f"From {found.since[:19]}Z to {found.until[:19]}Z"
    if not found.events:
        return f"{span} nothing was recorded"
    was, now = found.production
    production = f"production stays {now or 'empty'}" if was == now else f"production {was or '–'} → {now or '–'}"
    route = "" if found.route[0] == found.route[1] else ", the route changed"
    entries = f", {counted(len(found.entries), 'entry').replace('entrys', 'entries')} changed status"
    return f"{span}: {counted(found.events, 'event')}; {production}{route}{entries if found.entries else ''}"


def between_pairs(found: Between) -> list[tuple[str, str]]:
    """The changes as name and text; what stayed as it was is left out."""
    pairs = []
    if found.production[0] != found.production[1]:
        pairs.append(("production", f"{found.production[0] or 'none'} → {found.production[1] or 'none'}"))
    if found.route[0] != found.route[1]:
        pairs += [("route before", found.route[0] or "nothing was routed"), ("route after", found.route[1])]
    pairs += [(each.name, f"{each.before or 'not registered'} → {each.after}") for each in found.entries[:_MOST]]
    if found.entries[_MOST:]:
        pairs.append(("more", counted(len(found.entries) - _MOST, "further change")))
    if found.kinds:
        pairs.append(("events", ", ".join(f"{number:,} {visible(kind, 40)}" for kind, number in found.kinds.items())))
    return pairs


def as_object(found: Between) -> dict[str, Any]:
    """The comparison as JSON fields, with its sentence."""
    fields: dict[str, Any] = msgspec.to_builtins(found)
    return {**fields, "sentence": between_sentence(found)}
