"""The report's shadow table: its counts, and how often each of its p-values cries wolf over heavy learners."""

from __future__ import annotations

import numpy as np

from miniobserve.evidence import Pair, Unit
from modelspine.ledger.route import Arm
from modelspine.stats import mcnemar
from modelspine.traffic.report import MOST_BUCKETS, Split, _split
from modelspine.traffic.report import shadow_report as _shadow
from modelspine.traffic.report_text import split_text as told


def test_counts_by_feature() -> None:
    pairs = [
        Pair("a", "|tense=past|verb=go|", live=False, shadow=True, n=9),
        Pair("b", "|tense=past|verb=be|", live=True, shadow=True, n=5),
        Pair("b", "|tense=past|verb=be|", live=True, shadow=False, n=1),
        Pair("c", "|", live=False, shadow=False, n=2),
    ]
    found = _shadow(pairs)
    counts = (found.pairs.both, found.pairs.only_live, found.pairs.only_shadow, found.pairs.neither)
    assert counts == (5, 1, 9, 2)
    assert found.pairs.p == mcnemar(1, 1), "one learner had it better, one worse"
    assert [each.bucket for each in found.buckets] == ["verb=go", "tense=past", "verb=be"]
    more = _shadow([Pair(str(unit), "|verb=go|verb=be|", live=False, shadow=True, n=unit + 1) for unit in range(9)])
    assert more.pairs.p == mcnemar(0, 9)
    assert [each.p for each in more.buckets] == [2 * mcnemar(0, 9)] * 2


def test_many_features_are_cut_to_those_that_differ_most() -> None:
    pairs = [Pair("a", f"|v={n}|", live=True, shadow=False, n=n + 1) for n in range(MOST_BUCKETS + 30)]
    found = _shadow(pairs)
    assert len(found.buckets) == MOST_BUCKETS
    assert found.buckets[0].bucket == f"v={MOST_BUCKETS + 29}"


def test_what_an_answer_did_is_no_stratum() -> None:
    pairs = [Pair("a", "|answer_edits=goed → went|verb=go|", live=True, shadow=False, n=3)]
    assert [square.bucket for square in _shadow(pairs).buckets] == ["verb=go"]


def test_a_split_that_is_not_as_set_says_so() -> None:
    arms = [
        Arm(name=name, sha="a" * 64, semver="", weight_bp=bp) for name, bp in (("stable", 9_000), ("canary", 1_000))
    ]

    def seen(stable: int, canary: int) -> Split:
        who = [("stable", n) for n in range(stable)] + [("canary", n) for n in range(canary)]
        return _split(arms, [Unit(arm, f"{arm}{n}", 1, 0, 0.1, 0, 0) for arm, n in who])

    bad, good, few = seen(900, 20), seen(900, 100), seen(80, 19)
    assert (bad.alarm, good.alarm, few.alarm, few.bayes_factor) == (True, False, False, None)
    assert "sample-ratio mismatch" in told(bad)
    assert "do not trust" in told(bad)
    assert "matches the weights" in told(good)
    assert "mismatch" not in told(good)
    assert "(n = 99, needs 100)" in told(few)


def test_no_pairs() -> None:
    found = _shadow([])
    assert (found.pairs.p, found.buckets) == (1.0, ())


def test_by_learner_two_equal_models_are_equal() -> None:
    """Each learner has a habit that one of the two happens to be bad at; which one is a coin. Pairs taken as
    independent call that a difference far too often.
    """
    rng = np.random.default_rng(2)
    runs, by_unit, by_pair, by_feature = 400, 0, 0, 0
    for _ in range(runs):
        amount = np.ones(200)
        amount[:40] = 4 + 8 * rng.pareto(1.2, 40)
        n = rng.poisson(2_000 * amount / amount.sum())
        lean = rng.choice((0.2, 0.8), 200)
        gained = rng.binomial(rng.binomial(n, 0.2), lean)
        lost = rng.binomial(rng.binomial(n, 0.2), 1 - lean)
        pairs = [
            Pair(str(unit), f"|verb={unit % 10}|", live=live, shadow=not live, n=int(count))
            for unit in range(200)
            for live, count in ((False, gained[unit]), (True, lost[unit]))
            if count
        ]
        found = _shadow(pairs)
        by_unit += found.pairs.p < 0.05
        by_pair += mcnemar(found.pairs.only_live, found.pairs.only_shadow) < 0.05
        by_feature += any(square.p < 0.05 for square in found.buckets)
    assert by_unit / runs <= 0.075  # 5 %, and what 400 runs may add to it
    assert by_feature / runs <= 0.075
    assert by_pair / runs >= 0.20
