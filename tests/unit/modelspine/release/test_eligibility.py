"""What may be done to an entry: the same refusals the verbs themselves give."""

from __future__ import annotations

from typing import Any

from modelspine.ledger.state import fold
from modelspine.ledger.store import Event
from modelspine.release.eligibility import denied

A, B, C = "aaaa" * 16, "bbbb" * 16, "cccc" * 16
ALL = {"promote", "rollback", "route", "release", "tombstone"}


def state(env: str = "dev", *more: tuple[str, dict[str, Any]]) -> Any:
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("opened", {"env": env}),
        *(("registered", {"sha": sha, "evidence": {"eval_report": "e" * 64}}) for sha in (A, B, C)),
        ("promoted", {"sha": A, "semver": "v1.0.0"}),
        ("routed", {"sha": A, "strategy": "single", "arms": arms(A, "v1.0.0")}),
        ("promoted", {"sha": B, "semver": "v1.1.0"}),
        *more,
    ]
    return fold(
        Event(seq=seq, at=f"2026-01-{seq:02d}T00:00:00.000000Z", actor="a", host="h", kind=kind, body=body, prev="")
        for seq, (kind, body) in enumerate(bodies, 1)
    )


def arms(sha: str, semver: str) -> list[dict[str, Any]]:
    return [{"name": "stable", "sha": sha, "semver": semver, "weight_bp": 10_000}]


def allowed(now: Any, sha: str, env: str = "dev") -> set[str]:
    return ALL - denied(now, sha, env).keys()


def test_each_entry_is_offered_what_the_rules_allow() -> None:
    now = state()
    assert allowed(now, A) == {"promote"}, "it takes all traffic: nowhere to go, not to be buried"
    assert allowed(now, B) == {"promote", "route", "tombstone"}, "it never was stable"
    assert allowed(now, C) == {"promote", "tombstone"}
    assert "takes all traffic already" in denied(now, A, "dev")["rollback"]


def test_after_a_move_the_one_that_was_left_can_be_gone_back_to() -> None:
    now = state("dev", ("routed", {"sha": B, "strategy": "single", "arms": arms(B, "v1.1.0")}))
    assert allowed(now, A) == {"promote", "rollback", "route", "tombstone"}


def test_a_held_entry_is_released_and_a_buried_one_is_not() -> None:
    held = state("dev", ("held", {"sha": B, "reason": "x"}))
    assert allowed(held, B) == {"release", "tombstone"}
    assert allowed(state("dev", ("tombstoned", {"sha": B, "reason": "x"})), B) == set()


def test_what_the_gate_refused_is_not_promoted_and_prod_asks_for_a_verdict_later() -> None:
    gated = state("dev", ("gated", {"sha": C, "result": "fail"}))
    assert "failed the gate" in denied(gated, C, "dev")["promote"]
    assert "promote" in allowed(state("prod"), C), "the dialog asks for the signed verdict"
