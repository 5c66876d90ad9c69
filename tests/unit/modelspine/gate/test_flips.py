"""The gate's statistics against SciPy's, and how often its warning cries wolf."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import scipy  # scipy.stats loads, in a second, where it is first used

from gating import report
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Failed
from modelspine.gate.flips import FlipTable
from modelspine.gate.rule import gate
from modelspine.stats import holm, mcnemar, wilson


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 100, 150, 3000, 10**6])
def test_wilson_is_scipys(n: int) -> None:
    for k in sorted({0, 1, n // 3, n // 2, n - 1, n}):
        expected = scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert wilson(k, n) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
        assert 0 <= wilson(k, n)[0] <= k / n <= wilson(k, n)[1] <= 1


def test_mcnemar_is_the_exact_binomial_test() -> None:
    for lost in (0, 1, 2, 3, 5, 8, 13, 21, 34):
        for gained in range(36):
            expected = scipy.stats.binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
            assert mcnemar(lost, gained) == pytest.approx(expected, rel=1e-9)
            assert mcnemar(lost, gained) == mcnemar(gained, lost)
    for lost, gained in [(500, 400), (5000, 5200), (100_000, 99_000), (0, 900), (3, 2000)]:
        expected = 2 * scipy.stats.binom.cdf(min(lost, gained), lost + gained, 0.5)
        assert mcnemar(lost, gained) == pytest.approx(expected, rel=1e-7)
    assert mcnemar(0, 10**6) == 0.0  # too small for a double


def test_holm_is_the_step_down_procedure() -> None:
    rng = random.Random(3)
    for size in (0, 1, 2, 5, 33):
        ps = {f"b{i}": rng.random() ** 3 for i in range(size)}
        adjusted = holm(ps)
        for alpha in (0.01, 0.05, 0.2, 0.5):
            rejected: set[str] = set()
            for rank, name in enumerate(sorted(ps, key=lambda each: ps[each])):  # the definition, step by step
                if ps[name] > alpha / (size - rank):
                    break
                rejected.add(name)
            assert {name for name, p in adjusted.items() if p <= alpha} == rejected
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.9}) == {"a": 1.0, "b": 1.0}


# flips ----------------------------------------------------------------------------------------------------------


def table(base: EvalReport, cand: EvalReport) -> FlipTable:
    return FlipTable(base, cand)


def test_flips_are_unknown_where_a_report_does_not_list_what_failed() -> None:
    listed, silent = report({"verb/go": 2}), report({"verb/go": 2}, failed=[])
    for base, cand in ((listed, silent), (silent, listed), (silent, silent)):
        row = gate(cand, base).buckets["verb/go"]
        assert (row.flips_lost, row.flips_gained, row.mcnemar_p, row.holm_p, row.warn) == (
            None,
            None,
            None,
            None,
            False,
        )
        assert gate(cand, base).pooled_p is None
        assert gate(cand, base).buckets["verb/be"].flips_lost is None


def test_an_empty_list_of_a_report_with_nothing_wrong_is_a_full_one() -> None:
    row = gate(report({"verb/go": 2}), report()).buckets["verb/go"]
    assert (row.flips_lost, row.flips_gained) == (("verb/go#0", "verb/go#1"), ())


def test_a_list_that_contradicts_the_counts_tells_nothing() -> None:
    short = report({"verb/go": 3}, failed=[{"id": "x", "buckets": ["verb/go"]}])
    twice = report({"verb/go": 2}, failed=[{"id": "x", "buckets": ["verb/go"]}] * 2)
    for cand in (short, twice):
        made = gate(cand, report())
        assert made.buckets["verb/go"].flips_lost is None
        assert made.buckets["verb/be"].flips_lost == ()
        assert made.pooled_p is None


def test_an_item_in_two_buckets_counts_once_when_pooled() -> None:
    failed = [{"id": "x", "buckets": ["verb/go", "verb/be"]}]
    cand = report({"verb/go": 1, "verb/be": 1}, failed=failed, total={"k": 499, "n": 500})
    pooled = table(report(), cand).pooled()
    assert pooled is not None
    assert pooled.lost == ("x",)


# the warning ----------------------------------------------------------------------------------------------------

N, AXES = 3000, (20, 5, 3, 7)
DRAWS = 500
_PLACES = np.stack([np.random.default_rng(1).permutation(N) % size for size in AXES])
_NAMES = [tuple(f"{axis}/{_PLACES[axis, item]}" for axis in range(len(AXES))) for item in range(N)]
_SIZES = {f"{axis}/{i}": int((_PLACES[axis] == i).sum()) for axis, size in enumerate(AXES) for i in range(size)}
_FAILED = [Failed(id=str(item), buckets=_NAMES[item]) for item in range(N)]
_HARD = np.random.default_rng(2).beta(0.5, 9, N)
"""How likely each item is to be wrong; items differ, as real ones do."""


def drawn(wrong: np.ndarray) -> EvalReport:
    """The report of one evaluation, given which items are wrong."""
    ids = np.flatnonzero(wrong)
    lost = [np.bincount(_PLACES[axis, ids], minlength=size) for axis, size in enumerate(AXES)]
    count = {f"{axis}/{i}": int(lost[axis][i]) for axis, size in enumerate(AXES) for i in range(size)}
    return EvalReport(
        schema="spine.eval/1",
        eval_set=EvalSet(path="", dvc_hash="", sha256="e", n=N),
        decoding=None,
        total=Count(N - len(ids), N),
        buckets={name: Count(n - count[name], n) for name, n in _SIZES.items()},
        failed=tuple(_FAILED[item] for item in ids),
    )


def share(pairs: list[tuple[EvalReport, EvalReport]], alarm: Callable[[EvalReport, EvalReport], bool]) -> float:
    return sum(alarm(*pair) for pair in pairs) / len(pairs)


def warned(base: EvalReport, cand: EvalReport) -> bool:
    """Everything is inside a tolerance of 100 pp, so nothing is hidden by being blocked instead."""
    return bool(gate(cand, base, tolerance_pp=100).warnings)


def warned_without_holm(base: EvalReport, cand: EvalReport) -> bool:
    rows = gate(cand, base, tolerance_pp=100).buckets.values()
    return any(row.cand.k < row.base.k and row.mcnemar_p is not None and row.mcnemar_p < 0.05 for row in rows)


@pytest.mark.long
def test_two_equal_models_are_rarely_warned_about() -> None:
    rng = np.random.default_rng(20261122)
    pairs = [(drawn(rng.random(N) < _HARD), drawn(rng.random(N) < _HARD)) for _ in range(DRAWS)]
    rate = share(pairs, warned)
    assert 0 < rate <= 0.05
    assert share(pairs, warned_without_holm) > 0.2, "without Holm's correction the simulation must show false alarms"


def test_a_small_loss_everywhere_is_warned_about_though_every_bucket_is_inside() -> None:
    rng = np.random.default_rng(5)
    caught = 0
    for _ in range(40):
        before = rng.random(N) < _HARD
        after = before | (rng.random(N) < 0.01)
        made = gate(drawn(after), drawn(before), tolerance_pp=5)
        assert made.result == "pass"
        caught += any("over all items" in warning for warning in made.warnings)
    assert caught == 40


def test_a_bucket_inside_its_tolerance_can_be_warned_about_by_itself() -> None:
    sizes = {"big": 1000, "other": 1000}
    lost = list(range(15))
    made = gate(report({"big": lost}, sizes=sizes), report({"other": list(range(15))}, sizes=sizes), tolerance_pp=2)
    assert made.result == "pass"
    assert made.buckets["big"].warn
    assert not made.buckets["other"].warn, "getting better is nothing to warn about"
    assert [warning.startswith("big: ") for warning in made.warnings] == [True]


def test_thousands_of_buckets_each_get_their_flips() -> None:
    sizes = {f"b/{i}": 100 for i in range(2000)}
    base, cand = report(dict.fromkeys(sizes, 1), sizes=sizes), report({name: [5] for name in sizes}, sizes=sizes)
    made = gate(cand, base)
    assert {(row.flips_lost, row.flips_gained) for row in made.buckets.values()} == {
        ((f"{name}#5",), (f"{name}#0",)) for name in sizes
    }
