"""What changed between two moments of a ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelspine.spine import Spine
from modelspine.traffic.two_moments import as_object, between, between_pairs, between_sentence

Make = Callable[..., Path]


def test_production_route_and_entries_are_compared(spine: Spine, make_bundle: Make) -> None:
    stable, good = (spine.registry.register(make_bundle(n)).sha for n in (1, 2))
    spine.registry.promote(stable, "v1.0.0")
    first = spine.registry.events()[-1].at
    spine.registry.promote(good, "v2.0.0")
    spine.routing.single("v2.0.0", reason="better")
    events = spine.registry.events()
    found = between(events, events[-1].at, first)
    assert (found.since, found.until) == (first, events[-1].at), "in their order"
    assert found.kinds == {"promoted": 1, "routed": 1}
    assert found.production == ("v1.0.0", "v2.0.0")
    assert [(each.name, each.before, each.after) for each in found.entries] == [
        ("v1.0.0", "production", "promoted"), ("v2.0.0", "pending", "production"),
    ]  # fmt: skip
    said = between_sentence(found)
    assert said.endswith(": 2 events; production v1.0.0 → v2.0.0, the route changed, 2 entries changed status")
    pairs = dict(between_pairs(found))
    assert pairs["production"] == "v1.0.0 → v2.0.0"
    assert pairs["route after"] == "v2.0.0 answers everything; no rollout is in progress"
    assert pairs["events"] == "1 promoted, 1 routed"
    assert as_object(found)["sentence"] == said


def test_nothing_and_the_time_before_the_start(spine: Spine, make_bundle: Make) -> None:
    spine.registry.promote(spine.registry.register(make_bundle(1)).sha, "v1.0.0")
    events = spine.registry.events()
    now, never = events[-1].at, "2001-01-01T00:00:00.000000Z"
    assert between_sentence(between(events, now, now)).endswith("Z nothing was recorded")
    assert between_pairs(between(events, now, now)) == []
    found = between(events, never, now)
    assert (found.events, found.production, found.route[0]) == (len(events), ("", "v1.0.0"), "")
    assert dict(between_pairs(found))["v1.0.0"] == "not registered → production"
