"""What the demo takes from the ledger's events."""

from __future__ import annotations

from typing import Any

from minitutor.facts import Facts

SUNDAY = {"day": "2026-11-22", "status": "act"}


def event(seq: int, kind: str, **body: Any) -> dict[str, Any]:
    return {"seq": seq, "at": "2026-11-24T10:00:00.000000Z", "kind": kind, "body": body}


def test_a_canary_that_a_person_rolled_back_is_over() -> None:
    events = [
        event(1, "opened", env="dev"),
        event(2, "routed", strategy="single", sha="a", arms=[{"sha": "a"}]),
        event(3, "routed", strategy="canary", sha="b", arms=[{"sha": "a"}, {"sha": "b"}]),
        event(4, "drift_reported", **SUNDAY),
    ]
    under_way = Facts(events)
    assert (under_way.trying("b"), under_way.finished, under_way.production) == (True, False, "a")
    over = Facts([*events, event(5, "rolled_back", strategy="single", sha="c", arms=[{"sha": "c"}])])
    assert (over.trying("b"), over.finished, over.production) == (False, True, "c")
    assert over.tried("canary", "b") == 3
