"""The figures of the last day."""

from __future__ import annotations

import msgspec
import pytest

from cost_requests import RATE, up
from modelspine.overview.day import _rent


def test_a_day_that_was_replayed_twice_has_one_rent() -> None:
    day = msgspec.structs.replace(up(20), simulated=True)
    assert _rent([day, day]) == pytest.approx(20 * RATE)
    assert _rent([up(1), up(1)]) == pytest.approx(2 * RATE), "two servers at once are two rents"
    assert _rent([]) is None
