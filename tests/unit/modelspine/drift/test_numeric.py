"""Numbers over a reference's deciles: the bins of a report, how often they alarm without drift, and what they see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelspine.drift.bins import Bins, Tally, fill, fix
from modelspine.drift.features import Feature, judge_features
from modelspine.drift.status import WATCH

NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), min_size=2, max_size=60)
Columns = Mapping[str, Iterable[Any]]


def tally(columns: Columns, pieces: int = 1) -> Tally:
    """Count requests, each with one value of each column; in several pieces as of several files."""
    made = Tally()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for at in range(pieces):
        made.add([{name: value for name, value in row.items() if value is not None} for row in rows[at::pieces]])
    return made


def deciles(values: Iterable[Any]) -> Bins:
    return fix(tally({"x": values}))["x"]


def judge(reference: Columns, live: Columns) -> dict[str, Feature]:
    return judge_features(fix(tally(reference)), tally(live))


def one(reference: Iterable[Any], live: Iterable[Any]) -> Feature:
    return judge({"x": reference}, {"x": live})["x"]


@given(NUMBERS, NUMBERS)
def test_pieces_add_up_and_nothing_is_lost(reference: list[float], live: list[float]) -> None:
    bins = deciles(reference)
    whole = fill(bins, tally({"x": live}), "x")
    assert sum(whole.counts) == len(live)
    assert fill(bins, tally({"x": live}, pieces=2), "x") == whole
    assert fill(bins, tally({"x": reference}), "x").counts == (*bins.counts, 0, 0)


def test_what_is_no_number_is_missing() -> None:
    bins = deciles([1.0, 2.0, None, math.nan, math.inf])
    assert (bins.counts, bins.missing) == ((1, 1), 3)
    assert fill(bins, tally({"x": [math.nan, 1.5, None]}), "x").counts == (0, 1, 0, 2)
    assert one([1.0, 2.0], []).reason == "unknown: no data; no request was counted"
    assert one([None, math.nan], [1.0]).reason.startswith("not compared")


def test_a_constant_that_moves_is_seen() -> None:
    """Deciles of one value are one bin, which every other value would fall into as well."""
    assert deciles([1.0] * 20 + [7.0] * 480).labels == deciles([7.0] * 500).labels == ("< 7", "7", "> 7")
    assert one([7.0] * 500, [7.0] * 400).status == "stable"
    assert one([7.0] * 500, [7.5] * 400).status == "act"
    assert one([7.0] * 500, [math.nan] * 100 + [7.0] * 300).status == "act"


@pytest.mark.long
@pytest.mark.parametrize(("n", "m"), [(5_000, 200), (400, 400), (5_000, 5_000)])
def test_no_drift_seldom_alarms_and_the_null_is_right(n: int, m: int) -> None:
    """Skewed numbers with many zeros, five features: 2 of 100 windows alarm at most. A cut-off is the broken twin."""
    draw = np.random.default_rng(11)

    def window(size: int) -> np.ndarray:
        return draw.lognormal(0, 1, (5, size)) * (draw.random((5, size)) > 0.3)

    def columns(size: int) -> Columns:
        return {str(at): row.tolist() for at, row in enumerate(window(size))}

    alarms, bare, below, ps = 0, 0, 0, []
    for _ in range(120):
        found = judge(columns(n), columns(m))
        alarms += any(each.status in ("watch", "act") for each in found.values())
        bare += any((each.psi or 0) > 0.05 for each in found.values())
        below += sum((each.psi or 0) <= (each.usual or 0) for each in found.values())
        ps += [each.p for each in found.values()]
    assert alarms <= 3
    assert 0.93 < below / 600 < 0.97, "95 % of windows stay below the usual PSI"
    assert 0.025 < np.mean(np.array(ps) < 0.05) < 0.08
    if m == 200:
        assert bare > 60, "half of that PSI is nothing at this size"


def test_a_shift_of_half_a_deviation_is_seen() -> None:
    draw = np.random.default_rng(3)
    bins = fix(tally({name: draw.normal(size=3_000).tolist() for name in "abc"}))
    seen = 0
    for _ in range(100):
        live = tally({name: draw.normal(0.5 * (name == "b"), 1, 400).tolist() for name in "abc"})
        found = judge_features(bins, live)
        seen += found["b"].status in ("watch", "act") and found["a"].status == found["c"].status == "stable"
    assert seen >= 97
    assert (found["b"].psi or 0) > WATCH > (found["a"].usual or 1)


def test_too_few_requests_say_how_many_are_missing() -> None:
    found = one(map(float, range(1_000)), map(float, range(0, 1_000, 10)))
    assert (found.status, found.reason, found.p_adjusted) == ("insufficient", "not enough requests: 100 of 170", None)
    assert "the reference is too small" in one(map(float, range(100)), map(float, range(300))).reason
