"""The epochs of a ledger: every route there was, from when to when, who opened it and why.

Pure. It does not know what any arm did in one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine.ledger.event import Event
from modelspine.ledger.route import Route
from modelspine.ledger.state import State


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One route, for as long as it was in force."""

    route: Route
    since: str
    until: str | None
    """When the next one was opened; None while there is none."""
    verb: str
    """What opened it: start, weight, advance, abort, rolled_back, or routed."""
    actor: str
    reason: str

    @property
    def number(self) -> int:
        """The seq of its event."""
        return self.route.epoch


def epochs(state: State, events: Sequence[Event]) -> list[Epoch]:
    """Every epoch of a state, the newest first.

    Args:
        state: the fold of the events.
        events: all of them, from the first.
    """
    found: list[Epoch] = []
    until: str | None = None
    for route in reversed(state.routes):
        event = events[route.epoch - 1]
        found.append(
            Epoch(
                route=route,
                since=event.at,
                until=until,
                verb=str(event.body.get("verb") or event.kind),
                actor=event.actor,
                reason=str(event.body.get("reason", "")),
            )
        )
        until = event.at
    return found
