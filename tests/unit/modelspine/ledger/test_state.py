"""The fold: a pure function of the events, and the same fold stopped earlier is the past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelspine.errors import AmbiguousRef, BadInput, Damaged, UnknownRef
from modelspine.ledger.clocks import events_until
from modelspine.ledger.state import State, check_semver, fold
from modelspine.ledger.store import Event

A, B, C = "aaaa" * 16, "aabb" * 16, "cccc" * 16


def event(seq: int, kind: str, **body: Any) -> Event:
    return Event(
        seq=seq, at=f"2026-01-{seq:02d}T00:00:00.000000Z", actor="a", host="h", kind=kind, body=body, prev="", hash=""
    )


def arms(sha: str, semver: str = "v1.0.0") -> list[dict[str, Any]]:
    return [{"name": "stable", "sha": sha, "semver": semver, "weight_bp": 10_000}]


STORY = [
    event(1, "opened", env="prod"),
    event(2, "registered", sha=A),
    event(3, "registered", sha=B),
    event(4, "promoted", sha=A, semver="v1.0.0"),
    event(5, "routed", strategy="single", arms=arms(A)),
    event(6, "promoted", sha=B, semver="v1.1.0"),
    event(7, "routed", strategy="single", arms=arms(B, "v1.1.0")),
    event(8, "held", sha=A, reason="goed"),
    event(9, "a kind of a later version", sha=A),
]


def test_story() -> None:
    state = fold(STORY)
    assert state.env == "prod"
    assert state.production == B
    assert state.entries[A].status == "held"
    assert state.entries[B].status == "promoted"
    assert state.semvers == {"v1.0.0": A, "v1.1.0": B}
    assert [route.epoch for route in state.routes] == [5, 7]
    assert state.routes[0].salt == "5"
    assert (state.seq, state.at) == (9, STORY[-1].at)


def test_the_past_is_the_same_fold_stopped_earlier() -> None:
    then = fold(events_until(STORY, "2026-01-05T12:00:00.000000Z"))
    assert then.production == A
    assert then.entries[A].status == "promoted"
    assert fold(events_until(STORY, "2025-01-01T00:00:00.000000Z")).entries == {}


@given(st.integers(0, len(STORY)))
def test_fold_may_stop_and_go_on_anywhere(cut: int) -> None:
    assert fold(STORY[cut:], fold(STORY[:cut])) == fold(STORY)


def test_a_rollouts_later_epochs_keep_its_salt() -> None:
    state = fold([*STORY, event(10, "routed", strategy="single", rollout=7, arms=arms(B, "v1.1.0"))])
    assert state.route is not None
    assert (state.route.epoch, state.route.salt) == (10, "7")


def test_refs() -> None:
    state = fold(STORY)
    assert state.resolve("production") == B
    assert state.resolve("v1.0.0") == A
    assert state.resolve("aaaa") == A
    assert state.resolve(B) == B
    for unknown in ("aaa", "zzzz", "v9.9.9", "", "../../etc", "AAAA", C):
        with pytest.raises(UnknownRef):
            state.resolve(unknown)
    with pytest.raises(UnknownRef, match="nothing is in production"):
        State().resolve("production")
    twins = fold([event(1, "registered", sha=A), event(2, "registered", sha=A[:-1] + "b")])
    with pytest.raises(AmbiguousRef, match="2 entries"):
        twins.resolve("aaaa")


@pytest.mark.parametrize("good", ["v0.1.0", "v10.20.30", "v1.0.0-rc.1"])
def test_semver(good: str) -> None:
    assert check_semver(good) == good


@pytest.mark.parametrize(
    "bad", ["", "1.0.0", "v1.0", "v01.0.0", "v1.0.0 ", "v1.0.0\n", "v1.0.0-\x1b[2J", "v1.0.0-" + "x" * 40]
)
def test_not_a_semver(bad: str) -> None:
    with pytest.raises(BadInput):
        check_semver(bad)


def test_an_event_that_does_not_fit_is_damage_and_names_itself() -> None:
    with pytest.raises(Damaged, match="event #2 does not fit the events before it: KeyError"):
        fold([event(1, "opened", env="dev"), event(2, "held", sha=A, reason="x")])
    with pytest.raises(Damaged, match="event #1"):
        fold([event(1, "routed", arms="none", strategy="single")])
