"""The state of a ledger that may hold events which nobody can interpret. It does not know databases."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from modelspine.ledger.bodies import UNREADABLE
from modelspine.ledger.event import Event, Head, Unreadable, stand_in
from modelspine.ledger.state import State, apply_event, misfit


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """All events of a ledger, the state they give, and which of them could not be interpreted."""

    events: list[Event]
    """Every event; a stand-in replaces one that could not be interpreted (``ledger.event.stand_in``)."""
    state: State
    unreadable: tuple[Unreadable, ...]


def replay(events: Iterable[Event]) -> Replay:
    """Fold a ledger that may contain events which nobody can interpret: they change nothing and are listed.

    So one bad row hides neither what was before it nor, which matters more, a rollback made after it.
    """
    now, kept, bad = State(), [], []
    for event in events:
        if event.kind != UNREADABLE:
            try:
                apply_event(now, event)
            except (KeyError, TypeError, ValueError) as error:
                why = f"it does not fit the events before it: {misfit(error)}"
                kept.append(stand_in(Head(event.seq, event.prev), event.hash, event.at, why, event.kind))
            else:
                kept.append(event)
                continue
        else:
            kept.append(event)
        bad.append(Unreadable(seq=event.seq, why=str(kept[-1].body.get("why"))))
        now.seq, now.at = event.seq, event.at
        if event.seq == 1:
            now.env = "prod"  # nobody can say which environment was opened, so the strict rules apply
    now.unreadable = tuple(each.seq for each in bad)
    return Replay(events=kept, state=now, unreadable=tuple(bad))
