"""The floor: what was reached in production once is not lost by rolling back first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import eval_report
from modelspine.attestation.statement import report_counts
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import baseline_bytes, baseline_of, read_baseline
from modelspine.gate.eval_report import read_report
from modelspine.ledger.route import single
from modelspine.ledger.store import Draft
from modelspine.registry.floor import floor_of
from modelspine.release.eligibility import position
from modelspine.release.gate_run import compare_entry, gate_entry
from modelspine.release.promotion import Attempt, current_floor, tombstone
from modelspine.spine import Spine
from prod import Prod, make_prod

Make = Callable[..., Path]


@pytest.fixture
def baseline(project: Path) -> Path:
    """A baseline of 80 in 100, so that only other entries stand in a candidate's way."""
    report = read_report(json.dumps(eval_report(80, 100)).encode())
    made = baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64)
    file = project / "eval_baseline.json"
    file.write_bytes(baseline_bytes(made))
    return file


def lead(spine: Spine, folder: Path, semver: str) -> str:
    """Register, promote and route to an entry; its SHA."""
    sha = spine.registry.register(folder).sha
    spine.registry.promote(sha, semver, reason="a test")
    if spine.registry.state().production != sha:
        spine.routing.single(sha, reason="a test")
    return sha


def back_to_the_weak_one(spine: Spine, make_bundle: Make) -> tuple[str, str]:
    """A strong entry in production, then a rollback to a weak one: their SHAs."""
    weak = lead(spine, make_bundle(1, k=80), "v0.1.0")
    strong = lead(spine, make_bundle(2, k=98), "v0.2.0")
    spine.routing.rollback(weak, reason="a test")
    return weak, strong


def test_a_candidate_between_the_two_does_not_pass_after_a_rollback(
    spine: Spine, baseline: Path, make_bundle: Make
) -> None:
    _, strong = back_to_the_weak_one(spine, make_bundle)
    between = spine.registry.register(make_bundle(3, k=90)).sha
    gated = gate_entry(spine, between, baseline=baseline)
    assert (gated.decision.result, gated.floor) == ("fail", strong)
    assert [each.result for each in gated.decision.compared] == ["pass", "pass", "fail"]
    assert gated.decision.compared[2].against == "floor"
    assert any(reason.startswith("against the floor: ") for reason in gated.decision.reasons)
    event = spine.registry.events()[-1]
    assert (event.kind, event.body["floor"]) == ("gated", strong)
    with pytest.raises(Refused, match="failed the gate"):
        spine.registry.promote(between, "v0.3.0", reason="a test")


def test_what_is_as_good_as_the_floor_passes(spine: Spine, baseline: Path, make_bundle: Make) -> None:
    back_to_the_weak_one(spine, make_bundle)
    as_good = spine.registry.register(make_bundle(3, k=97)).sha
    assert compare_entry(spine, as_good, baseline=baseline).decision.result == "pass"


def test_the_floor_itself_is_not_compared_with_itself(spine: Spine, baseline: Path, make_bundle: Make) -> None:
    _, strong = back_to_the_weak_one(spine, make_bundle)
    gated = compare_entry(spine, strong, baseline=baseline)
    assert gated.decision.result == "pass"
    assert [each.against for each in gated.decision.compared] == ["baseline", "stable"]


def test_without_a_rollback_the_stable_entry_is_the_floor_and_is_compared_once(
    spine: Spine, baseline: Path, make_bundle: Make
) -> None:
    lead(spine, make_bundle(1, k=80), "v0.1.0")
    strong = lead(spine, make_bundle(2, k=98), "v0.2.0")
    candidate = spine.registry.register(make_bundle(3, k=98)).sha
    gated = compare_entry(spine, candidate, baseline=baseline)
    assert gated.floor == strong
    assert [each.against for each in gated.decision.compared] == ["baseline", "stable"]


def test_held_counts_and_tombstoned_or_never_stable_does_not_in_dev(
    spine: Spine, baseline: Path, make_bundle: Make
) -> None:
    _, strong = back_to_the_weak_one(spine, make_bundle)
    best = spine.registry.register(make_bundle(4, k=100)).sha
    spine.registry.promote(best, "v0.4.0", reason="a test")  # promoted, and never the stable arm
    read = read_baseline(baseline.read_bytes())
    floor = current_floor(spine, spine.registry.state(), read)
    assert floor is not None
    assert floor.entry_sha == strong, "on hold, and counts"
    made = tombstone(spine, strong, reason="a test")
    assert any("it was the floor" in warning for warning in made.warnings)
    floor = current_floor(spine, spine.registry.state(), read)
    assert floor is not None
    assert floor.entry_sha != strong, "tombstoned in dev: the next best"


def test_a_tombstone_of_another_entry_warns_of_nothing(spine: Spine, baseline: Path, make_bundle: Make) -> None:
    back_to_the_weak_one(spine, make_bundle)
    other = spine.registry.register(make_bundle(3, k=90)).sha
    assert tombstone(spine, other, reason="a test").warnings == ()


def test_a_dev_ledger_without_a_baseline_has_no_floor_to_warn_of(spine: Spine, make_bundle: Make) -> None:
    _, strong = back_to_the_weak_one(spine, make_bundle)
    assert tombstone(spine, strong, reason="a test").warnings == ()


def test_a_report_over_another_eval_set_is_no_floor(spine: Spine, baseline: Path, make_bundle: Make) -> None:
    back_to_the_weak_one(spine, make_bundle)
    read = read_baseline(baseline.read_bytes())
    other = msgspec.structs.replace(read.eval_set, sha256="f" * 64)
    state, get = spine.registry.state(), spine.ledger.get
    assert floor_of(state, get, read.eval_set, read.decoding) is not None
    assert floor_of(state, get, other, read.decoding) is None
    assert floor_of(state, get, read.eval_set, {"method": "sampled"}) is None


def test_the_baseline_lowers_the_floor_by_naming_the_entry_and_the_reason(
    spine: Spine, baseline: Path, make_bundle: Make
) -> None:
    weak, strong = back_to_the_weak_one(spine, make_bundle)
    between = spine.registry.register(make_bundle(3, k=90)).sha
    data = json.loads(baseline.read_bytes())
    data["floor_excludes"] = [{"entry_sha": strong, "reason": "it was trained on sentences of the eval set"}]
    baseline.write_bytes(baseline_bytes(data))
    gated = compare_entry(spine, between, baseline=baseline)
    assert (gated.decision.result, gated.floor) == ("pass", weak)


@pytest.mark.parametrize(
    "excluded", [{"entry_sha": "abcd", "reason": "short"}, {"entry_sha": "a" * 64, "reason": "  "}, {"reason": "none"}]
)
def test_an_exclusion_without_entry_or_reason_is_refused(baseline: Path, excluded: dict[str, Any]) -> None:
    data = json.loads(baseline.read_bytes())
    data["floor_excludes"] = [excluded]
    with pytest.raises(BadInput):
        read_baseline(baseline_bytes(data))


@pytest.fixture
def prod(tmp_path: Path) -> Prod:
    return make_prod(tmp_path / "prod")


def left_behind(prod: Prod) -> str:
    """``first`` was in production and is the floor; a weak entry is in production now."""
    with prod.open() as spine:
        spine.ledger.append([single(prod.entries["bad"], "v0.9.0", "a weak one leads")], expected=None)
    return prod.entries["first"]


def exclude(prod: Prod, sha: str) -> None:
    """Take an entry out in the baseline of the working tree."""
    file = prod.root / "eval_baseline.json"
    data = json.loads(file.read_bytes())
    data["floor_excludes"] = [{"entry_sha": sha, "reason": "it repeats names"}]
    file.write_bytes(baseline_bytes(data))


def test_prod_refuses_to_tombstone_the_floor_until_a_commit_takes_it_out(prod: Prod) -> None:
    floor = left_behind(prod)
    with prod.open() as spine, pytest.raises(Refused, match="is the floor") as caught:
        tombstone(spine, floor, reason="a test")
    assert "floor_excludes" in caught.value.hint
    exclude(prod, floor)
    with prod.open() as spine, pytest.raises(Refused, match="differs from the committed version"):
        tombstone(spine, floor, reason="a test")
    prod.commit()
    with prod.open() as spine:
        assert tombstone(spine, floor, reason="a test").warnings == ()
        assert spine.registry.state().entries[floor].tombstoned == "a test"


def test_a_process_that_calls_itself_dev_cannot_tombstone_the_floor_of_a_prod_ledger(prod: Prod) -> None:
    floor = left_behind(prod)
    with prod.open(env="dev") as spine, pytest.raises(Refused, match="is the floor"):
        tombstone(spine, floor, reason="a test")


def test_the_registry_alone_tombstones_nothing_in_prod_that_was_in_production(prod: Prod) -> None:
    floor = left_behind(prod)
    with prod.open() as spine:
        with pytest.raises(Refused, match="nothing says whether it is the floor"):
            spine.registry.tombstone(floor, reason="a test")
        spine.registry.tombstone(prod.entries["other"], reason="it never was")


def test_a_tombstone_written_past_the_verb_lowers_nothing(prod: Prod) -> None:
    floor = left_behind(prod)
    with prod.open() as spine:
        spine.ledger.append([Draft(kind="tombstoned", body={"sha": floor, "reason": "x"})], expected=None)
        read = read_baseline((prod.root / "eval_baseline.json").read_bytes())
        found = current_floor(spine, spine.registry.state(), read)
    assert found is not None
    assert found.entry_sha == floor


def test_what_the_console_and_show_offer_is_what_the_verb_does(prod: Prod) -> None:
    floor = left_behind(prod)
    with prod.open() as spine:
        assert "is the floor" in position(spine, floor).denied["tombstone"]
    exclude(prod, floor)
    prod.commit()
    with prod.open() as spine:
        assert "tombstone" not in position(spine, floor).denied


def test_a_signed_verdict_names_the_floor(prod: Prod) -> None:
    said = prod.statement().predicate
    with prod.open() as spine:
        state = spine.registry.state()
        known = state.entries[prod.entries["first"]]
        assert said.floor == report_counts(known.sha, spine.ledger.get(str(known.report)))


def test_promote_refuses_a_verdict_whose_floor_moved(prod: Prod, make_bundle: Make) -> None:
    """A better entry leads, and is left again: production is the same as when the verdict was signed."""
    envelope = prod.signed()
    with prod.open() as spine:
        better, first = spine.registry.register(make_bundle(50, k=100)).sha, prod.entries["first"]
        drafts = [single(better, "v1.5.0", "a better one"), single(first, "v1.0.0", "and back")]
        spine.ledger.append(drafts, expected=None)
        with pytest.raises(Refused, match="the floor changed"):
            spine.registry.promote(prod.entries["good"], "v2.0.0", reason="a test", verdict=Attempt(spine, envelope))


def test_a_verdict_from_before_there_were_floors_is_decided_against_the_floor_of_now(
    prod: Prod, make_bundle: Make
) -> None:
    old = prod.data()
    del old["predicate"]["floor"]
    envelope = prod.reseal(old)
    with prod.open() as spine:
        attempt = Attempt(spine, envelope)
        assert attempt(prod.entries["good"], spine.registry.state()).floor_sha == prod.entries["first"]
        better, first = spine.registry.register(make_bundle(50, k=100)).sha, prod.entries["first"]
        spine.ledger.append([single(better, "v1.5.0", "a better one"), single(first, "v1.0.0", "back")], expected=None)
        with pytest.raises(Refused, match="against the floor"):
            spine.registry.promote(prod.entries["good"], "v2.0.0", reason="a test", verdict=attempt)


def test_a_statement_is_decided_against_the_floor_as_well(prod: Prod) -> None:
    """What CI signs is the gate's own decision: a candidate below the floor gets no pass."""
    with prod.open() as spine:
        spine.ledger.append([single(prod.entries["bad"], "v0.9.0", "a weak one leads")], expected=None)
    data = json.loads((prod.root / "eval_baseline.json").read_bytes())
    low = eval_report(80, 100)
    data |= {name: low[name] for name in ("total", "buckets", "false_accept", "failed")}
    (prod.root / "eval_baseline.json").write_bytes(baseline_bytes(data))
    assert prod.statement("bad").predicate.result == "fail"


def test_a_weaker_report_of_the_floor_itself_lowers_nothing(prod: Prod, tmp_path: Path) -> None:
    """It is the entry in production, so the gate compares it with the baseline alone: the report could be worse."""
    with prod.open() as spine:
        sha = prod.entries["first"]
        against = read_baseline((prod.root / "eval_baseline.json").read_bytes())
        before = current_floor(spine, spine.registry.state(), against)
        weak = spine.ledger.put(json.dumps(eval_report(94, 100, entry_sha=sha)).encode())
        envelope = prod.signed("first", candidate=spine.ledger.get(weak))
        spine.registry.promote(sha, "v1.0.1", reason="a test", verdict=Attempt(spine, envelope))
        state = spine.registry.state()
        assert state.entries[sha].report == weak
        after = current_floor(spine, state, against)
    assert before is not None
    assert after == before


def test_of_two_promotions_that_race_each_is_decided_on_the_state_it_is_appended_to(prod: Prod) -> None:
    """Both verdicts were signed on the same state, for one semver: one is promoted, the other is refused."""
    envelopes = {name: prod.signed(name) for name in ("good", "other")}
    together = threading.Barrier(2)

    def promote(name: str) -> str:
        with prod.open() as spine:
            attempt = Attempt(spine, envelopes[name])
            together.wait(30)
            try:
                spine.registry.promote(prod.entries[name], "v2.0.0", reason="a race", verdict=attempt)
            except Refused as error:
                return error.message
            return "promoted"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(promote, envelopes))
    assert "promoted" in said
    assert any("a semver is never reused" in each for each in said)
    with prod.open() as spine:
        kinds = [event.kind for event in spine.registry.events()[-2:]]
    assert sorted(kinds) == ["denied", "promoted"]
