"""Cost beside quality: each figure by hand, and what is not known stays unknown."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_requests import BUSY_SECONDS, RATE, START_NS, A, B, C, entry, figures, spent, up
from miniobserve.cost import BUSY, COPY, NO_RATE
from modelspine.cost.basis import Range, _per_1k
from modelspine.cost.figures import cost_per_1k
from modelspine.cost.format import notes
from modelspine.cost.meter import Meter, Terms
from modelspine.stats import wilson
from modelspine.units_by_size import Sized


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


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.floats(1e-6, 1), st.integers(1, 500)), min_size=1, max_size=40))
@pytest.mark.long
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
    (rented,) = figures((entry(A, 900), [spent(A, rate=0.0)] * 2), uptime=(up(1, rate=0.0),))
    assert (rented.idle, rented.amortised_per_1k, rented.amortised_per_correct) == (0.0, 0.0, 0.0)


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
        cost = per_1k([(s, 1e-4 * s * draw.expovariate(1), None, 0) for s in sizes])
        inside += (cost.low or 0) <= 1000 * 0.75e-4 * RATE / 3600 <= (cost.high or 0)
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
            found = per_1k(rows)
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= 1000 * 0.75 * true * RATE / 3600 <= found.high
        naive = per_1k([(tokens, seconds, None, 0) for tokens, seconds, _, _ in crowd])
        held["by request"] += (naive.low or 0) <= 0.75 * 0.001 * 1000 * RATE / 3600 <= (naive.high or 0)
    assert held["learners"] / runs >= 0.90
    assert held["minutes"] / runs >= 0.90
    assert held["by request"] / runs < 0.80


def per_1k(rows: list[tuple[int, float, str | None, int]]) -> Range:
    """The cost of 1,000 tokens of requests: tokens, seconds, learner and minute; summed here, as DuckDB does it."""
    meter, units = Meter(Terms("p1", BUSY, "USD", RATE)), dict[str, tuple[int, float]]()
    for number, (tokens, seconds, learner, minute) in enumerate(rows):
        cost = 0.75 * seconds * RATE / 3600
        meter.tokens, meter.cost = meter.tokens + tokens, meter.cost + cost
        for sums, key in ((units, learner or f"request-{number}"), (meter.minutes, minute)):
            before = sums.get(key, (0, 0.0))  # type: ignore[attr-defined]
            sums[key] = (before[0] + tokens, before[1] + cost)  # type: ignore[index]
    meter.units = [Sized(tokens, 1, cost, cost * cost) for tokens, cost in units.values()]
    return _per_1k(meter)


def test_one_learner_gives_no_bounds() -> None:
    (cost,) = figures((entry(A, 900), [spent(A, unit_hash="a")] * 50))
    assert cost.cost_per_1k is not None
    assert (cost.cost_per_1k.low, cost.cost_per_1k.high) == (None, None)
