"""What a figure rests on: one price version, recorded uptime, graded answers, the scope; never a mixture."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from cost_requests import BUSY_SECONDS, NOON, RATE, START_NS, A, B, entry, figures, spent, up
from miniobserve.cost import BUSY, COPY, TOKENS, WAITING, CostMeter
from miniobserve.fold import Bucket, fold
from modelspine.cost.figures import cost_per_1k
from modelspine.cost.format import notes, pays, sentences
from modelspine.cost.partial import QUERIES
from modelspine.cost.query import Spent
from modelspine.gate.eval_report import Count
from modelspine.stats import wilson
from observed import make_trace


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
    for said in ("p2 at 0.1 USD/h", "p1 at 0.05 USD/h, n 9", "n 1,", "2026-03-02T12:00:00Z"):
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


def shared(sha: str, workers: int, **more: Any) -> Spent:
    """A request to one of several workers."""
    made = spent(sha, **more)
    price = CostMeter(made.rate_per_hour, "p1", workers=workers).price(made.stages)
    return msgspec.structs.replace(made, workers=workers, cost=price)


def test_a_price_is_checked_at_the_workers_part_of_the_rent() -> None:
    (cost,) = figures((entry(A, 900), [shared(A, 2)] * 10), uptime=(up(1),))
    assert (cost.workers, cost.unexplained) == (2, pytest.approx(0, abs=1e-9))
    assert cost.cost_per_request == pytest.approx(BUSY_SECONDS * RATE / 7200)
    assert cost.tokens_per_second == pytest.approx(2 * 10 / BUSY_SECONDS), "of the machine"
    assert cost.cost_per_1k is not None
    assert cost.cost_per_1k.value == pytest.approx(cost_per_1k(RATE, cost.tokens_per_second or 0))
    assert (cost.idle or 0) + (cost.cost or 0) == pytest.approx(RATE), "the rent is that of the machine"
    assert not any("differ" in note for note in notes(cost))
    assert "p1 at 0.05 USD/h for 2 workers" in sentences(cost, [cost])[0]
    wrong = [msgspec.structs.replace(shared(A, 2), cost=BUSY_SECONDS * RATE / 3600)] * 10
    (forgot,) = figures((entry(A, 900), wrong))
    assert forgot.unexplained == pytest.approx(0.5)
    assert "differ from stage seconds × rate / (3600 · workers) by 50.00 %" in " ".join(notes(forgot))


def test_a_copy_would_have_cost_as_much_as_an_answer_of_a_worker() -> None:
    copies = [shared(B, 2, shadow_of="r", unpriced=COPY)] * 10
    copies = [msgspec.structs.replace(copy, cost=None) for copy in copies]
    answered, copied = figures((entry(A, 900), [shared(A, 2)] * 10), (entry(B, 900), copies))
    assert copied.cost == pytest.approx(answered.cost)
    assert copied.unexplained == pytest.approx(0, abs=1e-9)


def test_prices_of_other_numbers_of_workers_are_neither_added_nor_compared() -> None:
    """A part of the same rent is smaller where more workers share it, and no model is better for that."""
    few, many = [spent(A)] * 9, [shared(A, 4, started_ns=START_NS + 1)] * 9
    first, second = figures((entry(A, 900), few), (entry(B, 900), [shared(B, 4)] * 9))
    assert (first.not_compared, second.not_compared) == ((B,), (A,))
    (both,) = figures((entry(A, 900), few + many), uptime=(up(1),))
    assert [(basis.workers, basis.priced) for basis in both.bases] == [(4, 9), (1, 9)]
    assert sum((b.idle or 0) + (b.cost or 0) for b in both.bases) == pytest.approx(RATE), "one rent for both"


def test_a_replayed_day_has_one_rent_however_often_it_was_replayed() -> None:
    began = NOON - timedelta(hours=12)
    days = tuple(msgspec.structs.replace(up(23.5, began=began), simulated=True) for _ in range(3))
    (cost,) = figures((entry(A, 900), [spent(A)] * 30), uptime=days)
    assert (cost.idle or 0) + (cost.cost or 0) == pytest.approx(23.5 * RATE)
    (cost,) = figures((entry(A, 900), [spent(A)] * 30), uptime=(up(1), up(1)))
    assert (cost.idle or 0) + (cost.cost or 0) == pytest.approx(2 * RATE), "two servers at once are two rents"


def test_a_break_even_is_in_the_currency_of_the_prices_that_it_compares() -> None:
    """The child was priced in USD like its parent, and now is in EUR."""
    euros = {"currency": "EUR", "price_version": "p2", "started_ns": START_NS + 1}
    child = [*[spent(B, 0.02)] * 9, *[spent(B, 0.02, **euros)] * 9]
    entries = figures((entry(A, 900), [spent(A)] * 9), (entry(B, 950, parent=A), child))
    even = entries[1].break_even
    assert (entries[1].currency, even and even.currency) == ("EUR", "USD")
    text = pays(entries[1], entries) or ""
    assert "USD" in text
    assert "EUR" not in text


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


def test_failures_count_as_often_as_answers_have_a_grade() -> None:
    """900 answers of which one in ten has a grade, and 100 failures; 4 in 5 graded answers are right."""
    grades = (False, True, True, True, True)
    answered = [spent(A, graded=None if number % 10 else grades[number // 10 % 5]) for number in range(900)]
    failed = [spent(A, status=500, features={})] * 100
    (cost,) = figures((entry(A, 900), answered + failed))
    price = BUSY_SECONDS * RATE / 3600
    assert cost.cost_per_correct is not None
    assert cost.cost_per_correct.value == pytest.approx(1_000 * price / 720)
    assert (cost.failed, cost.ungraded) == (100, 810)
    assert "100 of them failures that count in the same proportion" in sentences(cost, [cost])[0]


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


def test_a_request_of_nobody_and_its_retries_are_one_unit() -> None:
    """Of a unit, the query keeps the number of its tokens."""
    units: list[dict[str, Any]] = [{}, {"retry_of": "request-0"}, {}, *[{"unit_hash": A}] * 3]
    asked = tuple(make_trace(f"request-{n}", input_tokens=1, **unit) for n, unit in enumerate(units))
    rows = fold([Bucket(live=asked)], QUERIES, {"since": -(2**63), "until": 2**63 - 1})["units"]
    assert [(tokens, n) for _, tokens, n, *_ in rows] == [(1, 1), (2, 1), (3, 1)]


def test_a_model_billed_by_token_is_compared_by_its_price() -> None:
    billed = {"priced_by": TOKENS, "rate": None, "input_price": 1.0, "output_price": 3.0, "cost": 20e-6, "unpriced": ""}
    rented, api = figures((entry(A, 900), [spent(A)] * 50), (entry(B, 900), [spent(B, **billed)] * 50), uptime=(up(1),))
    assert api.cost_per_1k is not None
    assert api.cost_per_1k.value == pytest.approx(2e-3)
    assert api.stages == pytest.approx({"input tokens": 50 * 5e-6, "output tokens": 50 * 15e-6})
    assert (api.unexplained, api.rate_per_hour, api.idle) == (pytest.approx(0), None, 0.0)
    assert (rented.idle or 0) + (rented.cost or 0) == pytest.approx(RATE), "the rent is not paid by a foreign model"
    assert (rented.standing, api.standing) == ("frontier", "dominated")
