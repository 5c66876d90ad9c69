"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelspine.errors import BadInput
from modelspine.times import age, ledger_time, moment, nanoseconds


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-22", "2026-11-22T23:59:59.999999Z"),
        ("2026-11-22T14:03", "2026-11-22T14:03:00.000000Z"),
        ("2026-11-22T14:03:11Z", "2026-11-22T14:03:11.000000Z"),
        ("2026-11-22T14:03:11+02:00", "2026-11-22T12:03:11.000000Z"),
    ],
)
def test_moment(typed: str, meant: str) -> None:
    assert moment(typed) == meant


@pytest.mark.parametrize("bad", ["", "yesterday", "2026-13-01", "\x1b[2J", "9" * 400, "0001-01-01T00:00:00+14:00"])
def test_not_a_moment(bad: str) -> None:
    with pytest.raises(BadInput):
        moment(bad)


def test_of_ns() -> None:
    assert ledger_time(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"


@pytest.mark.parametrize(
    "at", ["2023-11-14T22:13:20.123456Z", "2026-11-22T23:59:59.999999Z", "1970-01-01T00:00:00.000001Z"]
)
def test_nanoseconds_are_exact_and_lead_back(at: str) -> None:
    found = nanoseconds(at)
    assert found == nanoseconds(datetime.fromisoformat(at))
    assert found % 1000 == 0
    assert ledger_time(found) == at


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (600, "10 min"), (10_800, "3 h"), (600_000, "6 d"), (-5, "0 s")]
)
def test_age(seconds: int, said: str) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    at = datetime.fromtimestamp(now.timestamp() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert age(at, now) == said
