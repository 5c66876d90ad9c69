"""The gate's rule: integers decide, the stable entry counts beside the baseline, nothing lost comes back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gating import GO, baseline, raw, report, report_dict
from modelspine.gate.baseline import Anchor, Baseline, read_baseline
from modelspine.gate.decision import as_json, judge
from modelspine.gate.eval_report import Count
from modelspine.gate.result import Decision, GateResult, difference_pp, exceeds
from modelspine.gate.rule import combine, gate

LIMIT = 300


def test_the_rule_is_exact_for_every_count_up_to_300() -> None:
    cases = wrong_in_floats = all_exact = 0
    for n in range(1, LIMIT + 1):
        k_base, k_cand = np.meshgrid(np.arange(n + 1), np.arange(n + 1))
        said = exceeds(Count(k_base, n), Count(k_cand, n), 2)  # type: ignore[arg-type]  # arrays stand in for integers
        assert (said == ((k_base - k_cand) * 50 > n)).all()  # 2 pp of n items are n/50
        exact = (k_base - k_cand) * 50 == n
        assert not np.asarray(said)[exact].any()
        cases += said.size  # type: ignore[attr-defined]
        wrong_in_floats += int(((k_base / n - k_cand / n > 0.02) & exact).sum())
        all_exact += int(exact.sum())
    assert cases == sum((n + 1) ** 2 for n in range(1, LIMIT + 1))
    assert wrong_in_floats > all_exact / 2, "the same rule in floats calls exact 2.00 pp drops regressions"


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3, 7, 100])
def test_the_rule_agrees_with_fractions_at_its_edge_also_between_unequal_sizes(tolerance: int) -> None:
    rng = np.random.default_rng(7)
    for n_base, n_cand in [(n, n) for n in range(1, 120)] + rng.integers(1, 10**9, (200, 2)).tolist():
        k_base = int(rng.integers(0, n_base + 1))
        edge = Fraction(k_base, n_base) - Fraction(tolerance, 100)
        for k_cand in {int(edge * n_cand) + step for step in (-2, -1, 0, 1)}:
            if 0 <= k_cand <= n_cand:
                drop = Fraction(k_base, n_base) - Fraction(k_cand, n_cand)
                assert exceeds(Count(k_base, n_base), Count(k_cand, n_cand), tolerance) is (
                    drop > Fraction(tolerance, 100)
                )


@pytest.mark.parametrize("start", [0, 1, 7])
def test_every_bucket_size_passes_at_its_whole_item_tolerance_and_fails_one_more(start: int) -> None:
    """Through the gate itself, a bucket for each n, with ``start`` items wrong before."""
    sizes = {f"n/{n}": n for n in range(start + 7, LIMIT + 1)}
    before = report(dict.fromkeys(sizes, start), sizes=sizes)
    allowed = {name: start + 2 * n // 100 for name, n in sizes.items()}
    kept = gate(report(allowed, sizes=sizes), before, tolerance_pp=2)
    assert kept.result == "pass"
    assert not any(row.blocked for row in kept.buckets.values())
    lost = gate(report({name: count + 1 for name, count in allowed.items()}, sizes=sizes), before, tolerance_pp=2)
    assert lost.result == "fail"
    assert all(row.blocked for row in lost.buckets.values())
    assert len(lost.buckets) == len(sizes)
    for name, row in kept.buckets.items():
        assert row.tolerance_items == allowed[name] - start
        assert row.base.k - row.cand.k == row.tolerance_items


def test_exactly_two_points_is_shown_as_two_and_passes() -> None:
    made = gate(report({"verb/go": 3}), report(), tolerance_pp=2)
    assert made.result == "pass"
    assert made.buckets["verb/go"].delta_pp == -2.0
    assert made.buckets["verb/go"].flip_pp == pytest.approx(100 / 150)


def test_numbers_beyond_a_double_are_still_decided_exactly() -> None:
    n = 2**53 - 1
    allowed = 2 * n // 100
    assert not exceeds(Count(n, n), Count(n - allowed, n), 2)
    assert exceeds(Count(n, n), Count(n - allowed - 1, n), 2)
    assert -2.1 < difference_pp(Count(n, n), Count(n - allowed - 1, n)) < -1.9


def test_a_failing_bucket_names_itself_its_counts_and_its_items() -> None:
    made = gate(report({"verb/go": [2, 3, 4, 5]}), report({"verb/go": [1]}), tolerance_pp=2)
    row = made.buckets["verb/go"]
    assert made.result == "pass"
    assert (row.flips_lost, row.flips_gained) == (tuple(f"verb/go#{i}" for i in (2, 3, 4, 5)), ("verb/go#1",))
    worse = gate(report({"verb/go": [2, 3, 4, 5, 6]}), report({"verb/go": [1]}), tolerance_pp=2)
    assert worse.result == "fail"
    assert worse.reasons == ("verb/go: 149 → 145 of 150 (−2.67 pp), 4 fewer, 3 allowed",)
    assert [name for name, each in worse.buckets.items() if each.blocked] == ["verb/go"]


def test_getting_better_never_blocks() -> None:
    assert gate(report(), report({"verb/go": 150}), tolerance_pp=0).result == "pass"


def test_statistics_never_turn_a_fail_into_a_pass() -> None:
    """Four lost and three gained is no evidence of anything, and one item over the tolerance is a fail."""
    sizes = {"tiny": 49}
    made = gate(report({"tiny": [1, 2, 3, 4]}, sizes=sizes), report({"tiny": [5, 6, 7]}, sizes=sizes), tolerance_pp=2)
    assert made.buckets["tiny"].mcnemar_p == 1.0
    assert made.result == "fail"


# false accepts, never-regress, anchor ---------------------------------------------------------------------------


@pytest.mark.parametrize(("accepts", "result"), [(0, "pass"), (3, "pass"), (9, "pass"), (10, "fail"), (300, "fail")])
def test_false_accepts_may_not_rise_by_more_than_the_tolerance(accepts: int, result: str) -> None:
    made = gate(report(accepts=accepts), report(accepts=3), tolerance_pp=2)
    assert made.result == result
    assert made.false_accept is not None
    assert made.false_accept.blocked is (result == "fail")
    assert bool(made.reasons) is (result == "fail")


def test_a_workload_without_false_accepts_is_compared_without() -> None:
    assert gate(report(false_accept=None), report(false_accept=None), tolerance_pp=2).result == "pass"


@pytest.mark.parametrize(("answers", "result"), [({GO.id: True}, "pass"), ({GO.id: False}, "fail"), ({}, "error")])
def test_a_never_regress_item_must_be_evaluated_and_right(answers: dict[str, bool], result: str) -> None:
    made = gate(report(), read_baseline(baseline(never_regress=(GO,))), never_regress={**answers, "unknown": False})
    assert made.result == result
    assert made.never_regress == (answers if result != "error" else {})
    assert all(GO.id in reason for reason in made.reasons)


def test_never_regress_results_may_stand_in_the_report() -> None:
    base = baseline(never_regress=(GO,))
    for kept, result in ((True, "pass"), (False, "fail")):
        candidate = raw(report_dict(never_regress={GO.id: kept}))
        assert judge(candidate, baseline=base, stable=None).result == result
        assert judge(candidate, baseline=base, stable=None, never_regress={GO.id: not kept}).result != result
    assert judge(raw(report_dict()), baseline=base, stable=None).result == "error"


@pytest.mark.parametrize(("lost", "result"), [(24, "pass"), (25, "pass"), (26, "fail")])
def test_the_total_may_not_sink_under_the_anchor_by_more_than_its_budget(lost: int, result: str) -> None:
    anchor = Anchor(entry_sha="9" * 64, total=Count(500, 500))
    made = gate(report({"verb/go": lost}), read_baseline(baseline({"verb/go": lost}, anchor=anchor)))
    assert made.result == result
    assert made.anchor is not None
    assert made.anchor.blocked is (result == "fail")


def test_five_small_losses_pass_one_by_one_and_the_anchor_stops_them() -> None:
    anchor = Anchor(entry_sha="9" * 64, total=Count(950, 1000))
    sizes = {"all": 1000}
    results = []
    for step in range(1, 6):
        before = baseline({"all": 50 + 19 * (step - 1)}, anchor=anchor, report={"sizes": sizes})
        candidate = raw(report_dict({"all": 50 + 19 * step}, sizes=sizes))
        results.append(judge(candidate, baseline=before, stable=None).result)
    assert results == ["pass", "pass", "fail", "fail", "fail"]


@pytest.mark.parametrize("total", [Count(1, 0), Count(-1, 5), Count(6, 5), Count(0, 0), Count(-2, -1)])
def test_a_broken_anchor_is_an_error(total: Count) -> None:
    base = baseline(anchor=Anchor(entry_sha="9" * 64, total=total))
    assert judge(raw(report_dict()), baseline=base, stable=None).result == "error"


# both sides -----------------------------------------------------------------------------------------------------


def test_what_was_mended_once_cannot_come_back() -> None:
    """The baseline recorded go at 5 %; the stable entry says it right at 98 %; a candidate at 5 % is refused."""
    sizes = {"verb/go": 100, "verb/be": 400}
    old = {"verb/go": 95}
    base = baseline(old, report={"sizes": sizes})
    stable = raw(report_dict({"verb/go": 2}, sizes=sizes))
    candidate = raw(report_dict(old, sizes=sizes))
    assert judge(candidate, baseline=base, stable=None).result == "pass"
    made = judge(candidate, baseline=base, stable=stable)
    assert made.result == "fail"
    assert [each.result for each in made.compared] == ["pass", "fail"]
    row = made.buckets["verb/go"]
    assert (row.against, row.blocked, row.base, row.cand) == ("stable", True, Count(98, 100), Count(5, 100))
    assert not made.buckets["verb/be"].blocked
    assert "against the stable entry: verb/go" in made.reasons[0]
    assert judge(stable, baseline=base, stable=stable).result == "pass"


def test_the_tolerance_given_counts_for_both_comparisons() -> None:
    four = raw(report_dict({"verb/go": 4}))
    clean = raw(report_dict())
    for base, stable in ((baseline(), four), (baseline({"verb/go": 4}), clean)):
        assert judge(four, baseline=base, stable=stable).result == "fail"
        assert judge(four, baseline=base, stable=stable, tolerance_pp=3).result == "pass"
    assert judge(four, baseline=baseline(tolerance_pp=3), stable=clean).result == "pass"


def test_combining_is_never_better_than_its_worst() -> None:
    order = ("pass", "fail", "error")
    made = {
        result: GateResult(against="baseline", entry_sha=None, result=result, reasons=(), tolerance_pp=2)
        for result in order
    }  # type: ignore[arg-type]
    for one in order:
        assert combine(made[one], None).result == one
        assert combine(None, made[one]).result == "error"
        for two in order:
            assert combine(made[one], made[two]).result == max(one, two, key=order.index)
    assert combine(None, None).result == "error"


def test_the_json_has_the_shape_others_rely_on() -> None:
    made = as_json(judge(raw(report_dict({"verb/go": 4})), baseline=baseline(), stable=raw(report_dict())))
    assert made["result"] == "fail"
    assert made["buckets"]["verb/go"]["base"] == {"k": 150, "n": 150}
    assert made["buckets"]["verb/go"]["cand"] == {"k": 146, "n": 150}
    assert made["buckets"]["verb/go"]["delta_pp"] == pytest.approx(-400 / 150)
    assert made["buckets"]["verb/go"]["blocked"] is True
    assert made["buckets"]["verb/be"]["blocked"] is False
    assert made["total"]["cand"] == {"k": 496, "n": 500}
    assert [each["against"] for each in made["compared"]] == ["baseline", "stable"]
    assert len(made["reasons"]) == 1
    error = as_json(judge(b"", baseline=baseline(), stable=None))
    assert (error["result"], error["buckets"], error["total"]) == ("error", {}, None)
    assert error["reasons"]


def test_a_total_that_fell_while_no_bucket_did_is_warned_about_and_does_not_decide() -> None:
    """Totals are not checked against buckets: the rule speaks of buckets."""
    made = gate(report(total={"k": 100, "n": 500}), report(), tolerance_pp=2)
    assert made.result == "pass"
    assert made.total is not None
    assert made.total.warn
    assert "although no bucket exceeds its tolerance" in made.warnings[0]


def test_thousands_of_reasons_are_counted_and_not_all_told() -> None:
    sizes = {f"b/{i:04}": 100 for i in range(2000)}
    made: Decision = judge(
        raw(report_dict(dict.fromkeys(sizes, 3), sizes=sizes)),
        baseline=baseline(report={"sizes": sizes}),
        stable=None,
    )
    assert len(made.reasons) == 41
    assert made.reasons[-1].endswith("… and 1,960 more")
    assert sum(row.blocked for row in made.buckets.values()) == 2000


def test_anchor_and_items_belong_to_the_baseline_alone() -> None:
    """A report whose views carry such names is still a report."""
    stable = report(views={"never_regress": [1], "anchor": 2, "tolerance_pp": 99})
    assert not isinstance(stable, Baseline)
    assert gate(report({"verb/go": 4}), stable).result == "fail"
