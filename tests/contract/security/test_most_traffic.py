"""Most of the traffic of a prod ledger goes only to what was compared with the entry in production."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_world import leave_trace
from modelspine.errors import Refused
from modelspine.ledger.route import Guard, Ladder, assign, ladder_body
from modelspine.ledger.state import fold
from modelspine.ledger.store import Draft
from modelspine.maintenance.verify_grounds import gate_runs, judged_canaries
from modelspine.maintenance.verify_rules import breaches, not_checked
from modelspine.release.gate_run import gate_entry
from modelspine.release.promotion import Attempt
from modelspine.spine import Spine
from modelspine.traffic.ladder import DEFAULT_STEPS
from prod import Prod, make_prod

REST = "was compared with"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    """A ledger where ``other`` was promoted against ``first``, and ``good`` is in production now."""
    prod = make_prod(tmp_path_factory.mktemp("most-traffic") / "prod")
    with prod.open() as spine:
        for name, semver in (("good", "v2.0.0"), ("other", "v3.0.0")):
            verdict = Attempt(spine, prod.signed(name))
            spine.registry.promote(prod.entries[name], semver, reason="x", verdict=verdict)
        spine.routing.single("v2.0.0", reason="x")
    return prod


@pytest.fixture
def prod(made: Prod, tmp_path: Path) -> Prod:
    return made.copy(tmp_path / "prod")


@pytest.fixture
def spine(prod: Prod) -> Iterator[Spine]:
    with prod.open() as opened:
        yield opened


def faults(spine: Spine) -> tuple[list[str], list[str]]:
    """What the rules say of the ledger's newest event: breaches, and what they cannot decide."""
    *before, newest = spine.registry.events()
    state = fold(before)
    unseen = not_checked(state, newest)
    return list(breaches(state, newest)), [unseen] if unseen else []


def written(spine: Spine, **body: Any) -> tuple[list[str], list[str]]:
    """Append a route past the registry, and ask the rules about it."""
    spine.ledger.append([Draft(kind="routed", body={"reason": "past the rules", **body})], expected=None)
    return faults(spine)


def arms(*pairs: tuple[str, str, int]) -> list[dict[str, Any]]:
    names = ("stable", "canary")
    return [
        {"name": name, "sha": sha, "semver": semver, "weight_bp": bp}
        for name, (sha, semver, bp) in zip(names, pairs, strict=False)
    ]


@pytest.mark.parametrize("strategy", ["ab", "canary"])
def test_a_rollout_begins_with_at_most_half(strategy: str, spine: Spine) -> None:
    start = getattr(spine.routing, strategy)
    for weight in (9_999, 5_001):
        with pytest.raises(Refused, match=REST):
            start("v3.0.0", reason="x", weight_bp=weight)
    assert start("v3.0.0", reason="x", weight_bp=5_000).created
    assert faults(spine) == ([], [])
    lacks = "its canary has no passing verdict" if strategy == "canary" else "no canary of it is in force"
    with pytest.raises(Refused, match=lacks):
        spine.routing.weigh(5_001, reason="x")
    assert spine.routing.weigh(100, reason="less").created
    if strategy == "ab":
        assert spine.routing.weigh(5_000, reason="half").created
        with pytest.raises(Refused, match=lacks):
            spine.routing.weigh(9_999, reason="x", judged=spine.registry.state().seq)


def test_what_was_stable_before_may_lead_at_once(spine: Spine) -> None:
    assert spine.routing.ab("v1.0.0", reason="x", weight_bp=9_999).created
    assert faults(spine) == ([], [])


def test_a_judged_step_records_its_epoch_and_is_read_again(spine: Spine) -> None:
    epoch = spine.routing.canary("v3.0.0", reason="x").seq
    for _ in range(3):
        with pytest.raises(Refused, match="no passing verdict"):
            spine.routing.advance(reason="x", judged=epoch - 1)
        done = spine.routing.advance(reason="x", judged=epoch)
        assert done.event.body["judged"] == epoch
        assert faults(spine) == ([], [])
        epoch = done.seq
    assert spine.registry.state().route.strategy == "single"  # type: ignore[union-attr]


SHAPES: dict[str, dict[str, Any]] = {
    "the end of a canary that never was": {"strategy": "single", "verb": "advance"},
    "an abort": {"strategy": "single", "verb": "abort"},
    "no verb": {"strategy": "single"},
    "an A/B test": {"strategy": "ab", "verb": "start", "weight": 9_999},
    "a weight set by hand": {"strategy": "ab", "verb": "weight", "weight": 5_001},
    "a weight of everything": {"strategy": "ab", "verb": "weight", "weight": 10_000},
    "the stable arm of an A/B test": {"strategy": "ab", "verb": "start", "swapped": True},
    "a shadow beside it": {"strategy": "shadow", "verb": "start", "swapped": True},
    "a judgement of nothing": {"strategy": "single", "verb": "advance", "judged": 1},
    "a key of the controller": {"strategy": "single", "verb": "advance", "key": "canary-9-1"},
}


@pytest.mark.parametrize("during", ["a single route", "a canary"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_route_past_the_rules_is_found_whatever_it_calls_itself(
    name: str, during: str, prod: Prod, spine: Spine
) -> None:
    if during == "a canary":
        spine.routing.canary("v3.0.0", reason="x")
    shape = dict(SHAPES[name])
    weight, swapped = shape.pop("weight", 5_000), shape.pop("swapped", False)
    good, other = (prod.entries["good"], "v2.0.0"), (prod.entries["other"], "v3.0.0")
    if shape["strategy"] == "single":
        route = arms((*other, 10_000))
    elif swapped:
        full = shape["strategy"] == "shadow"
        route = arms((*other, 10_000 if full else 100), (*good, 10_000 if full else 9_900))
    else:
        route = arms((*good, 10_000 - weight), (*other, weight))
    found, _ = written(spine, sha=other[0], arms=route, **shape)
    assert any(REST in each for each in found), found


def test_a_failed_gate_is_found_in_a_route(prod: Prod, spine: Spine) -> None:
    """It stands in the ledger, so a route to the entry later than that was written past the registry."""
    report = spine.registry.state().entries[prod.entries["other"]].report
    baseline = spine.ledger.put((prod.root / "eval_baseline.json").read_bytes())
    spine.registry.gated(prod.entries["other"], result="fail", report=str(report), baseline=baseline, stable=None)
    route = arms((prod.entries["good"], "v2.0.0", 9_000), (prod.entries["other"], "v3.0.0", 1_000))
    found, _ = written(spine, sha=prod.entries["other"], strategy="ab", arms=route)
    assert any("failed the gate" in each for each in found), found


def test_a_gate_that_failed_since_stops_a_judged_step(prod: Prod, spine: Spine) -> None:
    epoch = spine.routing.canary("v3.0.0", reason="x", weight_bp=5_000).seq
    report = spine.registry.state().entries[prod.entries["other"]].report
    baseline = spine.ledger.put((prod.root / "eval_baseline.json").read_bytes())
    spine.registry.gated(prod.entries["other"], result="fail", report=str(report), baseline=baseline, stable=None)
    with pytest.raises(Refused, match="failed the gate"):
        spine.routing.advance(reason="x", judged=epoch)
    with pytest.raises(Refused, match="failed the gate"):
        spine.routing.weigh(9_000, reason="x", judged=epoch)
    sha = prod.entries["other"]
    step = {"sha": sha, "strategy": "single", "arms": arms((sha, "v3.0.0", 10_000)), "verb": "advance"}
    found, _ = written(spine, **step, judged=epoch)
    assert len([each for each in found if "failed the gate" in each]) == 1


def test_an_automatic_step_of_an_older_version_is_not_checked(prod: Prod, spine: Spine) -> None:
    epoch = spine.routing.canary("v3.0.0", reason="x", weight_bp=5_000).seq
    sha = prod.entries["other"]
    step = {"sha": sha, "strategy": "single", "arms": arms((sha, "v3.0.0", 10_000)), "verb": "advance"}
    found, unseen = written(spine, **step, key=f"canary-{epoch}-7")
    assert found == []
    assert f"whether epoch #{epoch}" in unseen[0]


def test_a_step_by_hand_without_a_judgement_is_found(prod: Prod, spine: Spine) -> None:
    spine.routing.canary("v3.0.0", reason="x", weight_bp=5_000)
    sha = prod.entries["other"]
    step = {"sha": sha, "strategy": "single", "arms": arms((sha, "v3.0.0", 10_000)), "verb": "advance"}
    found, unseen = written(spine, **step)
    assert any(REST in each for each in found)
    assert unseen == []


def failed(prod: Prod, spine: Spine, name: str = "other") -> None:
    """Record a gate run that the entry failed."""
    report = spine.registry.state().entries[prod.entries[name]].report
    baseline = spine.ledger.put((prod.root / "eval_baseline.json").read_bytes())
    spine.registry.gated(prod.entries[name], result="fail", report=str(report), baseline=baseline, stable=None)


def test_a_route_that_names_a_later_rollout_hides_no_failed_gate(prod: Prod, spine: Spine) -> None:
    """A gate run before the rollout began was asked about then; a row can claim that it begins after every run."""
    good, other = (prod.entries["good"], "v2.0.0"), (prod.entries["other"], "v3.0.0")
    spine.routing.ab("v3.0.0", reason="x", weight_bp=100)
    failed(prod, spine)
    claims = {"sha": other[0], "strategy": "ab", "verb": "weight", "rollout": spine.registry.state().seq}
    found, _ = written(spine, **claims, arms=arms((*good, 9_900), (*other, 100)))
    assert found == [f"it claims to continue the rollout #{claims['rollout']}, which is none of these entries"]
    with pytest.raises(Refused, match="failed the gate"):
        spine.routing.weigh(4_000, reason="x")
    found, _ = written(spine, **claims, arms=arms((*good, 6_000), (*other, 4_000)))
    assert any("failed the gate" in each for each in found), found


def test_rollouts_that_the_registry_continues_and_restores_are_no_fault(prod: Prod, spine: Spine) -> None:
    spine.routing.shadow("v3.0.0", reason="x", share_bp=500)
    assert faults(spine) == ([], [])
    spine.routing.weigh(900, reason="x")
    assert faults(spine) == ([], [])
    spine.routing.canary(prod.entries["other"], reason="x")
    spine.routing.weigh(50, reason="x")
    assert faults(spine) == ([], [])
    spine.routing.abort(reason="x")
    route = spine.registry.state().route
    assert route is not None
    assert route.strategy == "shadow"
    routed = [event for event in spine.registry.events() if event.kind == "routed"][-1]
    assert list(breaches(fold(spine.registry.events()[: routed.seq - 1]), routed)) == []


@pytest.mark.parametrize("field", ["margin_bp", "error_bp"])
def test_a_canary_with_wide_limits_stands_for_no_comparison(field: str, prod: Prod, spine: Spine) -> None:
    """Whatever it answers, a canary that may lose everything passes."""
    guard = Guard(**{field: 10_000})
    wide = Ladder(steps=DEFAULT_STEPS, at=0, auto=True, guard=guard)
    with pytest.raises(Refused, match="may lose 100 pp"):
        spine.routing.canary("v3.0.0", reason="x", ladder=wide)
    assert spine.routing.canary("v1.0.0", reason="it was stable before", ladder=wide).created
    spine.routing.abort(reason="x")
    good, other = (prod.entries["good"], "v2.0.0"), (prod.entries["other"], "v3.0.0")
    body = {"sha": other[0], "strategy": "canary", "verb": "start", "ladder": ladder_body(wide)}
    written(spine, **body, arms=arms((*good, 9_900), (*other, 100)))
    epoch = spine.registry.state().seq
    with pytest.raises(Refused, match="may lose 100 pp"):
        spine.routing.advance(reason="x", judged=epoch)
    step = {"sha": other[0], "strategy": "single", "verb": "advance", "judged": epoch, "arms": arms((*other, 10_000))}
    found, _ = written(spine, **step)
    assert any("may lose 100 pp" in each for each in found), found


def test_a_pass_that_its_report_does_not_give_is_found(prod: Prod, spine: Spine) -> None:
    failed(prod, spine)
    run = next(event for event in reversed(spine.registry.events()) if event.kind == "gated")
    assert gate_runs(spine.registry.events(), spine.ledger.get).problems == ()  # type: ignore[union-attr]
    bad = spine.registry.state().entries[prod.entries["bad"]].report
    for more, told in (
        ({"result": "pass"}, "another entry than the one that was in production"),
        ({"result": "pass", "stable": prod.entries["good"], "report": bad}, "gives fail"),
        ({"result": "pass", "stable": prod.entries["good"], "report": run.body["baseline"]}, "gives error"),
    ):
        spine.ledger.append([Draft(kind="gated", body={**run.body, **more})], expected=None)
        check = gate_runs(spine.registry.events(), spine.ledger.get)
        assert check is not None
        assert told in check.problems[-1]
    baseline = prod.root / "eval_baseline.json"
    true = gate_entry(spine, prod.entries["other"], baseline=baseline)
    assert true.decision.result == "pass"
    assert len(gate_runs(spine.registry.events(), spine.ledger.get).problems) == 3  # type: ignore[union-attr]


def test_a_judged_canary_that_no_request_reached_is_found(prod: Prod, spine: Spine) -> None:
    """The writer's word is that its verdict was a pass; the traces say that there was none to judge."""

    def check() -> tuple[int, int, int]:
        with prod.open() as opened:
            found = judged_canaries(opened.registry.events(), lambda: opened.traces.evidence)
        assert found is not None
        return found.checked, len(found.problems), len(found.not_checked)

    epochs = [spine.routing.canary("v3.0.0", reason="x").seq]
    for _ in range(2):
        epochs.append(spine.routing.advance(reason="x", judged=epochs[-1]).seq)
    assert check() == (0, 0, 1), "without a trace store nothing can be said"
    state = spine.registry.state()
    route = state.route_at(epochs[1])
    assert route is not None
    candidate = next(f"unit-{n}" for n in range(10**6) if assign(route, f"unit-{n}", sticky=True).arm == "canary")
    placed = assign(route, candidate, sticky=True)
    leave_trace(prod.root, "req-00000001", "a", "a", assignment=placed, entry_sha=prod.entries["other"])
    assert check() == (1, 0, 1), "the first epoch may have been before the traces began"
    earlier = state.routes[0]
    stable = assign(earlier, "somebody", sticky=True)
    leave_trace(prod.root, "req-00000002", "a", "a", assignment=stable, entry_sha=prod.entries["first"])
    assert check() == (2, 1, 0)
    step = {"sha": prod.entries["other"], "strategy": "single", "arms": arms((prod.entries["other"], "v3.0.0", 10_000))}
    written(spine, **step, verb="advance", key=f"canary-{epochs[-1]}-7")
    assert check() == (3, 2, 0), "nor did one reach it on the step of an older version"
