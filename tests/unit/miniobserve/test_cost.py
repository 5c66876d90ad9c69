"""One number from the meter to the trace, the histogram and the roll-up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniobserve.cost import CostMeter
from miniobserve.metrics import Metrics
from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter


@given(
    st.dictionaries(st.sampled_from(["queue", "prefill", "decode"]), st.floats(0, 100), min_size=1), st.floats(0, 1000)
)
def test_a_price_is_the_stages_seconds_at_the_rate(stages: dict[str, float], rate: float) -> None:
    price = CostMeter(rate, "p1").price(stages)
    assert price == pytest.approx(sum(seconds * rate / 3600 for seconds in stages.values()))


def test_an_unknown_rate_gives_no_price_and_never_zero() -> None:
    assert CostMeter(None, "p1").price({"decode": 1.0}) is None
    assert CostMeter(0.0, "p1").price({"decode": 1.0}) == 0.0
    assert CostMeter(0.05, "p1").price({}) is None, "a request whose model failed spent nobody knows how much"


def test_stages_trace_histogram_and_roll_up_agree(writer: TraceWriter, url: str, trace: Callable[..., Trace]) -> None:
    meter = CostMeter(0.05, "p1")
    metrics = Metrics()
    total = 0.0
    for number in range(200):
        stages = {"queue": number * 1e-5, "tokenize": 3e-4, "prefill": 2e-3, "decode": number * 1e-4}
        made = trace(f"request-{number}", stages=stages, cost=meter.price(stages))
        total += sum(stages.values()) * 0.05 / 3600
        writer.submit(made).result(5)
        metrics.observe(made)
    reader = TraceReader.open(url)
    traced = sum(found.cost or 0.0 for found in reader.list(limit=500).traces)
    rolled = sum(minute.cost for minute in reader.minutes(0))
    shown = next(
        float(line.split()[-1])
        for line in metrics.render(queue_depth=0, slots_used=0).decode().splitlines()
        if line.startswith("cost_per_request_usd_sum")
    )
    assert total > 0
    assert traced == pytest.approx(total, rel=1e-3)
    assert rolled == pytest.approx(traced, rel=1e-9)
    assert shown == pytest.approx(traced, rel=1e-9)
