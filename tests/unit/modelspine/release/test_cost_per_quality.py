"""One number an entry: what its right answers cost, measured at the gate, before any traffic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_baseline
from miniobserve.cost import CostMeter
from modelspine.gate.eval_report import read_report
from modelspine.release.gate_run import gate_entry
from modelspine.spine import Spine

Make = Callable[..., Path]


def report(**runtime: Any) -> Any:
    return read_report(json.dumps(eval_report(90, 100, runtime=runtime)).encode())


def test_it_is_busy_seconds_times_the_rate_for_each_right_answer() -> None:
    found = report(busy_seconds=[2.0, 4.0], rate_per_hour=0.36).cost_per_quality
    # 3 s at 0.0001 USD a second are 0.0003 USD for 90 right answers.
    assert found.usd == pytest.approx(0.0003 / 90 * 1e6)
    assert (found.low, found.high) == (pytest.approx(0.0002 / 90 * 1e6), pytest.approx(0.0004 / 90 * 1e6))
    assert (found.runs, found.rate_per_hour) == (2, 0.36)


def test_it_is_the_price_that_a_server_would_have_put_on_those_seconds() -> None:
    """Of two workers, each has half of the rent; the report's figure and that of live traffic are one."""
    found = report(busy_seconds=[3.0], rate_per_hour=0.36, workers=2).cost_per_quality
    price = CostMeter(0.36, "p1", workers=2).price({"decode": 3.0})
    assert price is not None
    assert (found.usd, found.workers) == (pytest.approx(price / 90 * 1e6), 2)
    assert report(busy_seconds=[3.0], rate_per_hour=0.36).cost_per_quality.usd == pytest.approx(2 * found.usd)


@pytest.mark.parametrize(
    "runtime",
    [
        {},
        {"busy_seconds": [1.0]},
        {"rate_per_hour": 0.05},
        {"busy_seconds": [], "rate_per_hour": 0.05},
        {"busy_seconds": ["1"], "rate_per_hour": 0.05},
        {"busy_seconds": [-1.0], "rate_per_hour": 0.05},
        {"busy_seconds": [1.0], "rate_per_hour": "cheap"},
        {"busy_seconds": [1.0], "rate_per_hour": 0.05, "currency": "EUR"},
        {"busy_seconds": [1.0], "rate_per_hour": 0.05, "workers": 0},
        {"busy_seconds": [1.0], "rate_per_hour": 0.05, "workers": "2"},
    ],
)
def test_what_was_not_measured_has_no_number(runtime: dict[str, Any]) -> None:
    assert report(**runtime).cost_per_quality is None


def test_no_right_answer_has_no_price() -> None:
    raw = eval_report(0, 100, runtime={"busy_seconds": [1.0], "rate_per_hour": 0.05})
    assert read_report(json.dumps(raw).encode()).cost_per_quality is None


def test_an_entry_has_it_from_its_gate_run_on(spine: Spine, project: Path, make_bundle: Make, tmp_path: Path) -> None:
    baseline = write_baseline(project)
    sha = spine.registry.register(make_bundle(1)).sha
    assert spine.registry.get(sha).cost_per_quality is None
    fresh = tmp_path / "report.json"
    runtime = {"busy_seconds": [1.0, 1.5], "rate_per_hour": 0.05, "price_version": "2026-01"}
    fresh.write_text(json.dumps(eval_report(95, 100, entry_sha=sha, runtime=runtime)))
    gate_entry(spine, sha, baseline=baseline, report=fresh)
    found = spine.registry.get(sha).cost_per_quality
    assert found is not None
    assert found.usd == pytest.approx(1.25 * 0.05 / 3600 / 95 * 1e6)
    gate_entry(spine, sha, baseline=baseline)
    assert spine.registry.list()[0].cost_per_quality == found, "a later run that measured nothing takes nothing away"
