"""Cost beside quality: each figure by hand, and what is not known stays unknown."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniobserve.cost import BUSY, COPY, NO_RATE, TOKENS, WAITING, CostMeter
from miniobserve.uptime import Up
from modelspine.cost.figures import EntryCost, Priced, cost_per_1k, costs
from modelspine.cost.format import notes, sentences
from modelspine.cost.meter import Spent, metered
from modelspine.gate.eval_report import Count
from modelspine.stats import wilson

RATE = 0.05
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
START_NS = int(NOON.timestamp()) * 10**9
BUSY_SECONDS = 0.0075
"""What ``spent`` is busy for: three quarters of its 10 ms; in the rest it waits."""
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def spent(sha: str, seconds: float = 0.01, tokens: int = 10, rate: float | None = RATE, **more: Any) -> Spent:
    stages = {"queue": seconds / 4, "decode": seconds * 3 / 4}
    values: dict[str, Any] = {
        "started_ns": START_NS, "entry_sha": sha, "stages": stages, "input_tokens": tokens // 2,
        "output_tokens": tokens - tokens // 2, "cost": CostMeter(rate, "p1").price(stages), "rate_per_hour": rate,
        "price_version": "p1", "priced_by": BUSY, "features": {"verb": "go"},
        "unpriced": "" if rate is not None else NO_RATE,
    }  # fmt: skip
    return Spent(**{**values, **more})


def entry(sha: str, k: int, n: int = 1000, parent: str | None = None) -> Priced:
    return Priced(sha=sha, semver=None, variant="fp32", parent_sha=parent, total=Count(k, n) if n else None)


def figures(*pairs: tuple[Priced, list[Spent]], uptime: tuple[Up, ...] = ()) -> list[EntryCost]:
    return list(costs([e for e, _ in pairs], metered(s for _, several in pairs for s in several), uptime)[0])


def up(hours: float, *, began: datetime = NOON, rate: float = RATE, version: str = "p1") -> Up:
    start = int(began.timestamp()) * 10**9
    return Up(began_ns=start, seen_ns=start + int(hours * 3600e9), rate_per_hour=rate, price_version=version)


def test_a_held_entry_stands_beside_no_other() -> None:
    best = msgspec.structs.replace(entry(B, 950), held=True)
    free, held = figures((entry(A, 900), [spent(A)] * 50), (best, [spent(B)] * 50))
    assert (free.standing, held.standing) == ("frontier", None)
    assert notes(held)[0].startswith(f"{B[:12]}: held; ")
    again, _ = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 950), [spent(B)] * 50))
    assert again.standing == "dominated"


def test_figures_by_hand() -> None:
    (cost,) = figures((entry(A, 900), [spent(A)] * 50))
    price = BUSY_SECONDS * RATE / 3600
    assert cost.cost_per_request == pytest.approx(price)
    assert cost.tokens_per_second == pytest.approx(10 / BUSY_SECONDS)
    assert cost.cost_per_1k is not None
    assert cost.cost_per_1k.value == pytest.approx(100 * price) == pytest.approx(cost_per_1k(RATE, 10 / BUSY_SECONDS))
    assert cost.cpqu == pytest.approx(100 * price / 0.9)
    low, high = wilson(900, 1000)
    assert cost.cost_per_correct is not None
    assert cost.cost_per_correct.value == pytest.approx(price / 0.9)
    assert cost.cost_per_correct.low == pytest.approx(price / high)
    assert cost.cost_per_correct.high == pytest.approx(price / low)
    assert cost.stages == pytest.approx({"decode": 50 * price}), "waiting costs nothing"
    assert cost.correct_by == "evaluated"
    assert cost.unexplained == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.integers(1, 500)), min_size=1, max_size=40))
def test_the_formula_and_the_frozen_prices_are_one_number(pairs: list[tuple[float, int]]) -> None:
    (cost,) = figures((entry(A, 900), [spent(A, seconds, tokens) for seconds, tokens in pairs]))
    assert cost.cost_per_1k is not None
    assert cost.tokens_per_second is not None
    assert cost.cost_per_1k.value == pytest.approx(cost_per_1k(RATE, cost.tokens_per_second), rel=1e-3)
    assert sum(cost.stages.values()) == pytest.approx(cost.cost, rel=1e-3)


def test_a_frozen_price_is_never_computed_again() -> None:
    """The traces say twice what their seconds would cost: that is the price, and the gap is told."""
    (cost,) = figures((entry(A, 900), [spent(A, cost=2 * BUSY_SECONDS * RATE / 3600)] * 3))
    assert cost.cost == pytest.approx(6 * BUSY_SECONDS * RATE / 3600)
    assert cost.unexplained == pytest.approx(0.5)


def test_an_unknown_price_is_none_and_never_zero() -> None:
    unknown, none, half = figures(
        (entry(A, 900), [spent(A, rate=None)]), (entry(B, 900), []), (entry(C, 900), [spent(C, rate=None), spent(C)])
    )
    for cost in (unknown, none):
        money = (cost.cost, cost.cost_per_request, cost.cost_per_1k, cost.cpqu, cost.cost_per_correct, cost.standing)
        assert {*money, cost.amortised_per_1k, cost.amortised_per_correct, cost.currency, cost.break_even} == {None}
    assert (unknown.requests, unknown.priced, none.requests) == (1, 0, 0)
    assert (half.requests, half.priced) == (2, 1)
    assert half.cost_per_request == pytest.approx(BUSY_SECONDS * RATE / 3600)
    assert (half.unpriced, none.unpriced) == ({NO_RATE: 1}, {})
    assert NO_RATE in unknown.unknown["cost"]
    assert "answered no request" in none.unknown["cost"]
    assert notes(half)[0] == f"cccccccccccc: 1 of 2 requests have no price: {NO_RATE}."


def test_a_negative_price_of_an_older_server_is_no_price() -> None:
    (cost,) = figures((entry(A, 900), [spent(A), spent(A, cost=-1.0)]))
    assert (cost.priced, cost.cost) == (1, pytest.approx(BUSY_SECONDS * RATE / 3600))
    assert cost.unpriced == {"the price on its trace is no amount of money": 1}


def test_a_rate_of_zero_is_a_price() -> None:
    (cost,) = figures((entry(A, 900), [spent(A, rate=0.0)] * 2))
    assert (cost.cost, cost.cpqu) == (0.0, 0.0)


def test_currencies_do_not_add_up() -> None:
    (cost,) = figures((entry(A, 900), [spent(A), spent(A, currency="EUR", started_ns=START_NS + 1)]))
    assert [(basis.currency, basis.priced) for basis in cost.bases] == [("EUR", 1), ("USD", 1)]


@pytest.mark.parametrize(
    ("k", "readiness"), [(299, "not-deployment-ready"), (300, "ready"), (0, "not-deployment-ready")]
)
def test_nothing_is_divided_by_a_poor_accuracy(k: int, readiness: str) -> None:
    (cost,) = figures((entry(A, k), [spent(A)] * 5))
    assert cost.readiness == readiness
    assert cost.cost_per_1k is not None
    assert (cost.cpqu is None, cost.cost_per_correct is None) == (k < 300, k < 300)


def test_an_entry_that_was_never_evaluated() -> None:
    (cost,) = figures((entry(A, 0, 0), [spent(A)] * 5))
    assert (cost.accuracy, cost.readiness, cost.cpqu, cost.standing) == (None, None, None, None)
    assert cost.cost_per_1k is not None


def test_idle_time_is_paid_for_by_what_was_answered() -> None:
    """Twelve hours of recorded uptime, parted by the prices of that day."""
    pairs = ((entry(A, 900), [spent(A)] * 30), (entry(B, 900), [spent(B)] * 10))
    first, second = figures(*pairs, uptime=(up(12),))
    assert (first.amortised_per_1k or 0) * first.tokens / 1000 == pytest.approx(0.75 * 12 * RATE)
    assert (second.amortised_per_1k or 0) * second.tokens / 1000 == pytest.approx(0.25 * 12 * RATE)
    assert (first.idle or 0) + (first.cost or 0) == pytest.approx(0.75 * 12 * RATE)
    assert first.cost_per_correct is not None
    assert first.amortised_per_correct == pytest.approx(0.75 * 12 * RATE / 30 / 0.9)


def test_idle_time_is_never_averaged_over_days_rates_or_versions() -> None:
    """Monday is busy and Tuesday is not; each day's idle time falls to those who answered on that day."""
    tuesday = {"started_ns": START_NS + 86_400 * 10**9}
    monday_up, tuesday_up = up(1), up(10, began=NOON + timedelta(days=1))
    pairs = ((entry(A, 900), [spent(A)] * 40), (entry(B, 900), [spent(B, **tuesday)] * 4))
    first, second = figures(*pairs, uptime=(monday_up, tuesday_up))
    assert (first.idle or 0) + (first.cost or 0) == pytest.approx(RATE)
    assert (second.idle or 0) + (second.cost or 0) == pytest.approx(10 * RATE)
    dear = {"rate": 1.0, "price_version": "p2", "started_ns": START_NS + 1}
    (both,) = figures((entry(A, 900), [spent(A), spent(A, **dear)]), uptime=(up(2), up(3, rate=1.0, version="p2")))
    assert [(b.price_version, b.rate_per_hour) for b in both.bases] == [("p2", 1.0), ("p1", RATE)]
    assert [(b.idle or 0) + (b.cost or 0) for b in both.bases] == pytest.approx([3.0, 2 * RATE])


def test_idle_time_without_recorded_uptime_is_unknown_and_says_why() -> None:
    (cost,) = figures((entry(A, 900), [spent(A)]))
    assert (cost.idle, cost.amortised_per_1k, cost.amortised_per_correct) == (None, None, None)
    assert "no uptime of a server was recorded on 2026-03-02" in cost.unknown["idle"]
    assert "idle time is unknown" in notes(cost)[-1]
    (short,) = figures((entry(A, 900), [spent(A)] * 100), uptime=(up(1e-6),))
    assert short.idle is None
    assert "shorter than the time that was paid for" in short.unknown["idle"]


def test_prices_of_two_versions_stand_side_by_side() -> None:
    later = {"started_ns": START_NS + 1, "price_version": "p2"}
    (cost,) = figures((entry(A, 900), [spent(A)] * 9 + [spent(A, rate=2 * RATE, **later)]))
    assert (cost.price_versions, cost.price_version, cost.priced) == (("p2", "p1"), "p2", 1)
    assert cost.cost_per_1k is not None
    assert cost.earlier[0].cost_per_1k is not None
    assert cost.cost_per_1k.value == pytest.approx(2 * cost.earlier[0].cost_per_1k.value)
    text = " ".join(sentences(cost, [cost]))
    for said in ("p2 at 100 mUSD/h", "p1 at 50 mUSD/h, n 9", "n 1,", "2026-03-02T12:00:00Z"):
        assert said in text


def test_a_dearer_machine_makes_no_model_worse() -> None:
    """Two entries at two rents are not compared; one that answered at both is compared at the common one."""
    draw = random.Random(3)
    jitter = [draw.uniform(0.8, 1.2) for _ in range(100)]
    dear = {"rate": 2 * RATE, "price_version": "p2", "started_ns": START_NS + 1}
    cheap_a, dear_b = [spent(A, 0.01 * j) for j in jitter], [spent(B, 0.006 * j, **dear) for j in jitter]
    first, second = figures((entry(A, 900), cheap_a), (entry(B, 900), dear_b))
    assert (first.standing, second.standing) == ("frontier", "frontier")
    assert (first.not_compared, second.not_compared) == ((B,), (A,))
    assert any("not compared with bbbbbbbbbbbb" in note for note in notes(first, [first, second]))
    more = [spent(A, 0.01 * j, **dear) for j in jitter]
    first, second = figures((entry(A, 900), cheap_a + more), (entry(B, 900, parent=A), dear_b))
    assert (first.standing, second.standing, first.not_compared) == ("dominated", "frontier", ())
    assert second.break_even is not None
    assert second.break_even.cost_difference < 0, "at the same rent it is cheaper"


def test_older_prices_that_include_waiting_stand_apart() -> None:
    old = {"priced_by": WAITING, "cost": 0.01 * RATE / 3600}
    (cost,) = figures((entry(A, 900), [spent(A, **old)] * 5), uptime=(up(1),))
    assert (cost.standing, cost.idle, cost.unexplained) == (None, None, pytest.approx(0))
    assert "include the time in the queue" in notes(cost)[0]
    both, _ = figures((entry(A, 900), [spent(A, **old)] * 5 + [spent(A)] * 5), (entry(B, 900), [spent(B, **old)] * 5))
    assert sorted(b.priced_by or "" for b in both.bases) == [WAITING, BUSY]
    assert both.cost_per_request == pytest.approx(BUSY_SECONDS * RATE / 3600), "the new price is shown, not a mixture"


def test_a_correct_answer_counts_what_was_graded_right() -> None:
    """60 of 80 graded answers are right and 20 requests failed; the evaluation's 90 % has no part in it."""
    right, wrong = [spent(A, graded=True)] * 60, [spent(A, graded=False)] * 20
    failed = [spent(A, status=500, features={})] * 20
    (cost,) = figures((entry(A, 900), right + wrong + failed))
    price = BUSY_SECONDS * RATE / 3600
    assert (cost.correct_by, cost.graded, cost.failed) == ("graded", Count(60, 100), 20)
    assert cost.cost_per_correct is not None
    low, high = wilson(60, 100)
    assert cost.cost_per_correct.value == pytest.approx(100 * price / 60)
    assert (cost.cost_per_correct.low, cost.cost_per_correct.high) == pytest.approx((price / high, price / low))
    (poor,) = figures((entry(A, 900), [spent(A, graded=True)] * 2 + wrong))
    assert poor.cost_per_correct is None
    assert "2 of 22 graded answers were right" in poor.unknown["cost_per_correct"]


@pytest.mark.parametrize("outside", [{"in_scope": False}, {"features": {}}, {"in_scope": False, "graded": True}])
@pytest.mark.parametrize("graded", [None, True])
def test_what_is_out_of_scope_does_not_dilute_a_correct_answer(outside: dict[str, Any], graded: bool | None) -> None:
    inside = [spent(A, graded=graded)] * 50
    (alone,) = figures((entry(A, 900), inside))
    (both,) = figures((entry(A, 900), inside + [spent(A, 0.0001, **outside)] * 500))
    assert both.cost_per_correct == alone.cost_per_correct
    assert (alone.outside, both.outside) == (0, 500)
    assert any("500 of 550 were out of scope" in note for note in notes(both))


def test_a_workload_without_features_has_a_price_of_a_correct_answer() -> None:
    (cost,) = figures((entry(A, 900), [spent(A, features={})] * 50))
    assert (cost.outside, cost.correct_by) == (0, "evaluated")
    assert cost.cost_per_correct is not None
    assert cost.cost_per_correct.value == pytest.approx(BUSY_SECONDS * RATE / 3600 / 0.9)


def test_a_model_billed_by_token_is_compared_by_its_price() -> None:
    billed = {"priced_by": TOKENS, "rate": None, "input_price": 1.0, "output_price": 3.0, "cost": 20e-6, "unpriced": ""}
    rented, api = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 900), [spent(B, **billed)] * 50), uptime=(up(1),))
    assert api.cost_per_1k is not None
    assert api.cost_per_1k.value == pytest.approx(2e-3)
    assert api.stages == pytest.approx({"input tokens": 50 * 5e-6, "output tokens": 50 * 15e-6})
    assert (api.unexplained, api.rate_per_hour, api.idle) == (pytest.approx(0), None, 0.0)
    assert (rented.idle or 0) + (rented.cost or 0) == pytest.approx(RATE), "the rent is not paid by a foreign model"
    assert (rented.standing, api.standing) == ("frontier", "dominated")


@pytest.mark.parametrize(
    ("old", "new", "standings"),
    [
        ((900, 0.010), (900, 0.005), ("dominated", "frontier")),  # as good, clearly cheaper
        ((800, 0.010), (900, 0.010), ("dominated", "frontier")),  # as dear, clearly better
        ((899, 0.010), (900, 0.010), ("tied", "frontier")),  # within both intervals
        ((900, 0.010), (950, 0.020), ("frontier", "frontier")),  # dearer and better: a choice
        ((900, 0.010), (900, 0.010), ("frontier", "frontier")),  # the same point
    ],
)
def test_standing(old: tuple[int, float], new: tuple[int, float], standings: tuple[str, str]) -> None:
    draw = random.Random(1)
    jitter = [draw.uniform(0.8, 1.2) for _ in range(200)]
    made = figures(
        *[(entry(sha, k), [spent(sha, seconds * j) for j in jitter]) for sha, (k, seconds) in ((A, old), (B, new))]
    )
    assert tuple(cost.standing for cost in made) == standings


@pytest.mark.parametrize(
    ("k", "seconds", "pays"),
    [(950, 0.02, "above"), (950, 0.01, "always"), (850, 0.02, "never"), (850, 0.005, "below"), (900, 0.01, "always")],
)
def test_break_even_against_the_parent(k: int, seconds: float, pays: str) -> None:
    _, child = figures((entry(A, 900), [spent(A)] * 9), (entry(B, k, parent=A), [spent(B, seconds)] * 9))
    even = child.break_even
    assert even is not None
    assert even.pays == pays
    if pays in ("above", "below"):
        assert even.price == pytest.approx((seconds - 0.01) * 0.75 * RATE / 3600 / ((k - 900) / 1000))
        assert even.price > 0
    else:
        assert even.price is None


def test_no_break_even_without_a_priced_parent() -> None:
    assert figures((entry(A, 900), []), (entry(B, 900, parent=A), [spent(B)]))[1].break_even is None
    assert figures((entry(B, 900, parent="f" * 64), [spent(B)]))[0].break_even is None


def test_shadow_copies_are_counted_and_named() -> None:
    """The rent of their time is charged to learners' answers, so they bear none; alone they show what they would."""
    copy = spent(A, 0.004, shadow_of="req-00000001", cost=None, unpriced=COPY)
    alone, both, copied = (
        figures((entry(A, 900), requests), uptime=(up(1),))[0]
        for requests in ([spent(A)] * 3, [*[spent(A)] * 3, copy], [copy] * 3)
    )
    assert (both.requests, both.shadow, both.priced) == (4, 1, 3)
    assert (both.cost_per_1k, both.amortised_per_1k) == (alone.cost_per_1k, alone.amortised_per_1k)
    assert notes(both) == ["aaaaaaaaaaaa: 1 of 4 requests were shadow copies; the figures exclude them."]
    assert (copied.requests, copied.shadow, copied.priced) == (3, 3, 3)
    assert copied.cost_per_request == pytest.approx(0.003 * RATE / 3600)
    assert (copied.idle, copied.unpriced) == (None, {})
    assert "would have cost as answers" in notes(copied)[0]


def test_the_interval_of_a_cost_holds_in_95_of_100() -> None:
    """Cost and tokens go together and have a tail, as they do in a server."""
    draw, inside = random.Random(11), 0
    for _ in range(300):
        sizes = [draw.randint(4, 40) for _ in range(80)]
        (cost,) = figures((entry(A, 900), [spent(A, 1e-4 * s * draw.expovariate(1), s) for s in sizes]))
        assert cost.cost_per_1k is not None
        inside += (cost.cost_per_1k.low or 0) <= 1000 * 0.75e-4 * RATE / 3600 <= (cost.cost_per_1k.high or 0)
    assert 0.90 <= inside / 300 <= 0.98


def test_the_bounds_of_a_price_hold_over_heavy_learners_and_busy_minutes() -> None:
    """Learners write texts of their own length and minutes are busy or not; requests taken as independent miss the
    true price in over a fifth of the runs.
    """
    rng = np.random.default_rng(12)
    runs, n, learners = 150, 300, 60
    held: dict[str, int] = {"learners": 0, "minutes": 0, "by request": 0}
    pull = 1 / np.arange(1, learners + 1) ** 0.7
    for _ in range(runs):
        length = rng.lognormal(2.3, 0.5, learners)
        who = rng.choice(learners, n, p=pull / pull.sum())
        tokens, plain = rng.poisson(length[who]) + 2, rng.poisson(12, n) + 2
        busy = np.repeat(rng.lognormal(-0.18, 0.6, n // 10), 10)
        own = [(int(t), 0.003 + 0.0005 * int(t), f"learner-{w}", 0) for t, w in zip(tokens, who, strict=True)]
        crowd = [(int(t), 0.001 * int(t) * b, None, i // 10) for i, (t, b) in enumerate(zip(plain, busy, strict=True))]
        # 3 ms a request and 0.5 ms a token, of e^(2.3 + 0.5²/2) + 2 tokens; and 1 ms a token
        for name, rows, true in (("learners", own, 0.0005 + 0.003 / (np.exp(2.425) + 2)), ("minutes", crowd, 0.001)):
            requests = [
                spent(A, seconds, t, learner_hash=learner, started_ns=START_NS + minute * 60 * 10**9)
                for t, seconds, learner, minute in rows
            ]
            found = figures((entry(A, 900), requests))[0].cost_per_1k
            assert found is not None
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= 1000 * 0.75 * true * RATE / 3600 <= found.high
        apart = [msgspec.structs.replace(one, learner_hash=None, started_ns=START_NS) for one in requests]
        naive = figures((entry(A, 900), apart))[0].cost_per_1k
        assert naive is not None
        held["by request"] += (naive.low or 0) <= 0.75 * 0.001 * 1000 * RATE / 3600 <= (naive.high or 0)
    assert held["learners"] / runs >= 0.90
    assert held["minutes"] / runs >= 0.90
    assert held["by request"] / runs < 0.80


def test_one_learner_gives_no_bounds() -> None:
    (cost,) = figures((entry(A, 900), [spent(A, learner_hash="a")] * 50))
    assert cost.cost_per_1k is not None
    assert (cost.cost_per_1k.low, cost.cost_per_1k.high) == (None, None)
