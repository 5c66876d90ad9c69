"""The history of a ledger's routes: when each was active, who opened it and why.

Pure. It does not know the traffic of any epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelspine.ledger.event import Event
from modelspine.ledger.route import Route
from modelspine.ledger.state import State


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

    @property
    def number(self) -> int:
        """The seq of its route event."""
        return self.route.epoch


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
                since=event.at,
                until=until,
                verb=str(event.body.get("verb") or event.kind),
                actor=event.actor,
                reason=str(event.body.get("reason", "")),
            )
        )
        until = event.at
    return found
