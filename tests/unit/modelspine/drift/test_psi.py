"""PSI and its null: the figures by hand, and how often each rule alarms when nothing drifted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelspine.drift.bins import Tally, fix
from modelspine.drift.features import judge_features
from modelspine.drift.psi import compare, design_effect, needed
from modelspine.drift.status import SIGNIFICANT, WATCH
from modelspine.stats import benjamini_hochberg

COUNTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=25).filter(
    lambda pairs: sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0
)


@pytest.mark.parametrize(("bins", "fewest"), [(1, 1), (5, 95), (10, 170), (15, 237), (20, 302), (21, 315)])
def test_how_many_requests_are_needed(bins: int, fewest: int) -> None:
    assert needed(bins) == fewest


def test_psi_and_kl_by_hand() -> None:
    found = compare([100, 300], [60, 40])
    p, q = (100.5 / 401, 300.5 / 401), (60.5 / 101, 40.5 / 101)
    psi = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert found.psi == pytest.approx(psi)
    assert found.kl == pytest.approx(sum(b * math.log(b / a) for a, b in zip(p, q, strict=True)))
    assert [share for pair in found.shares for share in pair] == pytest.approx([p[0], q[0], p[1], q[1]])
    assert (found.terms[0] > 0, found.terms[1] < 0) == (True, True)


@given(COUNTS)
def test_parts_add_up(pairs: list[tuple[int, int]]) -> None:
    before, now = [a for a, _ in pairs], [b for _, b in pairs]
    found = compare(before, now, draws=50)
    assert sum(abs(term) for term in found.terms) == pytest.approx(found.psi)
    assert 0 <= found.p <= 1
    members = [i for group in found.groups for i in group]
    assert sorted(members) == sorted({i for i, (a, b) in enumerate(pairs) if a or b})
    assert sum(q for _, q in found.shares) == pytest.approx(1)
    assert found == compare(before, now, draws=50)


def test_a_bin_the_reference_never_saw_counts_only_where_something_is_in_it() -> None:
    assert compare([500, 500, 0], [250, 250, 0]).psi == pytest.approx(0)
    seen = compare([500, 500, 0], [250, 250, 50])
    assert seen.psi > WATCH
    assert seen.p < 0.001
    assert seen.terms[2] == max(seen.terms)


def test_rare_bins_are_taken_together() -> None:
    assert compare([1000, 1000, 10, 10, 3], [100, 100, 1, 0, 1]).groups == ((0,), (1,), (2, 3, 4))


def test_benjamini_hochberg_by_hand() -> None:
    adjusted = benjamini_hochberg({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5})
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.16 / 3, "c": 0.16 / 3, "d": 0.5})
    assert benjamini_hochberg({}) == {}


@pytest.mark.parametrize(
    ("n", "m"), [(14_000, 60), (14_000, 2_000), (300, 5_000)], ids=["drawn", "chi2", "small-reference"]
)
def test_p_values_are_right_without_drift(n: int, m: int) -> None:
    """Skewed bins, so that 60 requests leave bins that expect fewer than five."""
    draw, share = np.random.default_rng(4), np.array([2.0**-k for k in range(1, 8)] + [2.0**-7])
    p = [compare(draw.multinomial(n, share), draw.multinomial(m, share), draws=300).p for _ in range(600)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09
    assert np.mean(np.array(p) < 0.01) < 0.03


def test_words_that_come_together_are_not_independent() -> None:
    """Each row repeats one word eight times: eight tokens say no more than one."""
    draw = np.random.default_rng(5)
    rows = [[word] * 8 for word in draw.integers(0, 6, 3_000).tolist()]
    effect = design_effect(rows, 6)
    assert effect == pytest.approx(8, rel=0.05)

    def alarms(effect: float) -> float:
        before = [8 * k for k in draw.multinomial(3_000, [1 / 6] * 6)]
        live = [[8 * k for k in draw.multinomial(200, [1 / 6] * 6)] for _ in range(300)]
        return float(np.mean([compare(before, now, effect=effect).p < 0.05 for now in live]))

    assert alarms(effect) < 0.12
    assert alarms(1.0) > 0.6
    assert design_effect([[0, 1, 2]] * 50, 3) == 1.0
    assert design_effect([], 3) == 1.0


def test_days_without_drift_are_stable_and_bare_cut_offs_are_noise() -> None:
    """The rule against its broken twin, on the same windows of 20 and 15 categories, tokens and numbers."""
    draw = np.random.default_rng(6)

    def requests(n: int) -> list[dict[str, object]]:
        verbs, cells, lengths = draw.integers(0, 20, n), draw.integers(0, 15, n), draw.poisson(8, n)
        words = [tuple(f"t{k}" for k in row) for row in draw.integers(0, 90, (n, 6))]
        return [
            {"verb": f"v{v}", "cell": f"c{c}", "length": float(w), "token": token}
            for v, c, w, token in zip(verbs.tolist(), cells.tolist(), lengths.tolist(), words, strict=True)
        ]

    def tallied(n: int, *, keep: bool = False) -> Tally:
        made = Tally(keep_rows=keep)
        made.add(requests(n))  # type: ignore[arg-type]
        return made

    reference = fix(tallied(10_000, keep=True))
    days = [judge_features(reference, tallied(400)) for _ in range(100)]
    assert sum({f.status for f in day.values()} == {"stable"} for day in days) >= 99

    few = [judge_features(reference, tallied(100)) for _ in range(60)]
    assert all(day["verb"].status == "insufficient" for day in few)
    assert {day["verb"].missing for day in few} == {202}

    def bare(n: int) -> float:
        p, q = ((draw.multinomial(m, [1 / 20] * 20) + 0.5) / (m + 10) for m in (10_000, n))
        return float(((q - p) * np.log(q / p)).sum())

    assert np.mean([bare(100) > WATCH for _ in range(300)]) > 0.9
    assert SIGNIFICANT == 0.01


def test_statuses_rise_with_the_share_that_shifted() -> None:
    draw, levels = np.random.default_rng(8), ["insufficient", "stable", "watch", "act"]
    trained = Tally()
    trained.add([{"tense": f"t{k}"} for k in draw.integers(0, 15, 14_000)])
    reference = fix(trained)

    def status(rho: float) -> int:
        live = Tally()
        live.add([{"tense": f"t{k if draw.random() > rho else k % 3}"} for k in draw.integers(0, 15, 1_000)])
        return levels.index(judge_features(reference, live)["tense"].status)

    means = [np.mean([status(rho) for _ in range(20)]) for rho in (0.0, 0.15, 0.30, 0.60)]
    assert means == sorted(means)
    assert (means[0], means[-1]) == (1, 3)
