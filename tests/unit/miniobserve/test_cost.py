"""One number from the meter to the trace, the histogram and the roll-up; and how a batch is divided."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniobserve.cost import (
    BUSY,
    COPY,
    NO_RATE,
    NO_SECONDS,
    NO_TOKENS,
    TOKENS,
    UNLISTED,
    CostMeter,
    TokenPrice,
    Usage,
    busy_seconds,
    divided,
)
from miniobserve.metrics import Metrics
from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter

STAGES = st.dictionaries(st.sampled_from(["queue", "prefill", "decode"]), st.floats(0, 100), min_size=1)
SHA = "ab12" + "0" * 60


@given(STAGES, st.floats(0, 1000), st.integers(1, 8))
def test_a_price_is_the_busy_seconds_at_a_workers_part_of_the_rate(
    stages: dict[str, float], rate: float, workers: int
) -> None:
    price = CostMeter(rate, "p1", workers=workers).price(stages)
    busy = stages.get("prefill", 0.0) + stages.get("decode", 0.0)
    assert price == pytest.approx(busy * rate / 3600 / workers)


def test_waiting_costs_nothing() -> None:
    meter = CostMeter(1.0, "p1")
    assert meter.price({"queue": 30.0, "decode": 0.5}) == meter.price({"decode": 0.5})
    assert meter.price({"queue": 30.0}) == 0.0, "it kept no worker busy"


def test_an_unknown_rate_gives_no_price_and_never_zero() -> None:
    assert CostMeter(None, "p1").price({"decode": 1.0}) is None
    assert CostMeter(0.0, "p1").price({"decode": 1.0}) == 0.0
    assert CostMeter(0.05, "p1").price({}) is None


@given(st.lists(STAGES, min_size=1, max_size=8), st.floats(0, 1000))
def test_the_shares_of_a_batch_are_its_wall_seconds(reported: list[dict[str, float]], wall: float) -> None:
    """Whatever a workload reports: too little, too much, or the queue as a stage of its own."""
    shares = divided(reported, wall)
    assert all(seconds >= 0 for share in shares for seconds in share.values())
    assert sum(busy_seconds(share) for share in shares) == pytest.approx(wall, abs=1e-9)
    assert not any("queue" in share for share in shares)


def test_what_a_workload_reports_stays_where_it_fits() -> None:
    first, second = divided([{"decode": 1.0}, {"decode": 2.0, "format": 1.0}], 6.0)
    assert first == {"decode": 1.0, "other": 1.0}
    assert second == {"decode": 2.0, "format": 1.0, "other": 1.0}
    assert divided([{"decode": 3.0}, {"decode": 1.0}], 3.0) == [{"decode": 2.25}, {"decode": 0.75}]
    assert divided([{"decode": 4.0}, {}, {"decode": 4.0}], 6.0) == [{"decode": 2.0}, {"other": 2.0}, {"decode": 2.0}]
    assert divided([{"decode": 50.0}, {"decode": 1.0}], 4.0) == [{"other": 1.5}, {"decode": 1.0, "other": 1.5}], "a lie"


def charge_of(meter: CostMeter, semver: str = "v0.3.0", **more: object) -> tuple[object, ...]:
    used = {"sha": SHA, "semver": semver, "stages": {"decode": 3.6}, "tokens": (1000, 500), **more}
    charge = meter.charge(Usage(**used))  # type: ignore[arg-type]
    return charge.amount, charge.priced_by, charge.unpriced


def test_a_model_in_the_table_is_billed_by_token_and_every_other_one_by_the_rent() -> None:
    table = {"v0.3.0": TokenPrice(0.15, 0.60), "ab12": TokenPrice(1.0, 1.0)}
    meter = CostMeter(1.0, "p1", tokens=table)
    assert charge_of(meter) == (pytest.approx((1000 * 0.15 + 500 * 0.60) / 1e6), TOKENS, "")
    assert charge_of(meter, "v0.1.0") == (pytest.approx(1500 / 1e6), TOKENS, ""), "by its SHA"
    assert charge_of(meter, "v0.1.0", sha="cd") == (pytest.approx(0.001), BUSY, "")
    assert charge_of(CostMeter(None, "p1", tokens={"*": TokenPrice(2.0, 0.0)}))[:2] == (pytest.approx(0.002), TOKENS)


def test_an_unknown_price_has_its_reason() -> None:
    half = CostMeter(1.0, "p1", tokens={"*": TokenPrice(0.15, None)})
    assert charge_of(half) == (None, TOKENS, UNLISTED)
    assert charge_of(half, tokens=(1000, 0))[0] == pytest.approx(0.00015), "nothing was written"
    assert charge_of(half, tokens=None) == (None, TOKENS, NO_TOKENS)
    assert charge_of(CostMeter(None, "p1")) == (None, BUSY, NO_RATE)
    assert charge_of(CostMeter(1.0, "p1"), copy=True) == (None, BUSY, COPY)
    assert charge_of(CostMeter(1.0, "p1"), stages={}) == (None, BUSY, NO_SECONDS)


def test_stages_trace_histogram_and_roll_up_agree(writer: TraceWriter, url: str, trace: Callable[..., Trace]) -> None:
    meter = CostMeter(0.05, "p1")
    metrics = Metrics()
    total = 0.0
    for number in range(200):
        stages = {"queue": number * 1e-3, "tokenize": 3e-4, "prefill": 2e-3, "decode": number * 1e-4}
        made = trace(f"request-{number}", stages=stages, cost=meter.price(stages))
        total += (sum(stages.values()) - stages["queue"]) * 0.05 / 3600
        writer.submit(made).result(5)
        metrics.observe(made)
    reader = TraceReader.open(url)
    traced = sum(found.cost or 0.0 for found in reader.list(limit=500).traces)
    rolled = sum(minute.cost for minute in reader.minutes(0))
    shown = next(
        float(line.split()[-1])
        for line in metrics.render(queue_depth=0, slots_used=0).decode().splitlines()
        if line.startswith("spine_cost_per_request_usd_sum")
    )
    assert total > 0
    assert traced == pytest.approx(total, rel=1e-3)
    assert rolled == pytest.approx(traced, rel=1e-9)
    assert shown == pytest.approx(traced, rel=1e-9)


def test_the_histogram_in_usd_takes_no_other_currency(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", cost=1.0, currency="EUR"))
    assert b"spine_cost_per_request_usd_sum{" not in metrics.render(queue_depth=0, slots_used=0)
