"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from modelspine.errors import BadInput
from modelspine.times import age, day, event_number, ledger_time, moment, nanoseconds

FRIDAY = datetime(2026, 11, 27, 12, 30, 15, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("now", "2026-11-27T12:30:15.000000Z"),
        ("today", "2026-11-27T23:59:59.999999Z"),
        ("Yesterday", "2026-11-26T23:59:59.999999Z"),
        ("yesterday 14:00", "2026-11-26T14:00:00.000000Z"),
        ("thursday", "2026-11-26T23:59:59.999999Z"),
        ("thu 14:00:05 UTC", "2026-11-26T14:00:05.000000Z"),
        ("friday", "2026-11-27T23:59:59.999999Z"),
        ("friday 12:00", "2026-11-27T12:00:00.000000Z"),
        ("friday 13:00", "2026-11-20T13:00:00.000000Z"),
        ("SATURDAY", "2026-11-21T23:59:59.999999Z"),
        ("08:15", "2026-11-27T08:15:00.000000Z"),
        ("13:15", "2026-11-26T13:15:00.000000Z"),
        ("8:15z", "2026-11-27T08:15:00.000000Z"),
        ("-3d", "2026-11-24T12:30:15.000000Z"),
        ("3d ago", "2026-11-24T12:30:15.000000Z"),
        ("20m", "2026-11-27T12:10:15.000000Z"),
        ("20 min", "2026-11-27T12:10:15.000000Z"),
        ("  2w ", "2026-11-13T12:30:15.000000Z"),
        ("90s", "2026-11-27T12:28:45.000000Z"),
        ("2026-11-22 14:03", "2026-11-22T14:03:00.000000Z"),
    ],
)
def test_a_moment_in_words(typed: str, meant: str) -> None:
    assert moment(typed, FRIDAY) == meant


def test_words_count_from_the_present_in_utc() -> None:
    east = timezone(timedelta(hours=9))
    assert moment("today", datetime(2026, 11, 28, 3, tzinfo=east)) == "2026-11-27T23:59:59.999999Z"
    assert moment("now")[:4] >= "2025"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("2026-11-22", "2026-11-22"), ("yesterday", "2026-11-26"), ("sun", "2026-11-22"), ("3d", "2026-11-24")],
)
def test_a_day_in_words(typed: str, meant: str) -> None:
    assert day(typed, FRIDAY) == meant


@pytest.mark.parametrize("bad", ["", "now", "08:15", "yesterday 14:00", "#16", "breakfast", "2026-11-22T10:00", "20y"])
def test_not_a_day(bad: str) -> None:
    with pytest.raises(BadInput, match="is not a day"):
        day(bad, FRIDAY)


def test_an_event_is_named_by_its_number() -> None:
    assert (event_number("#16"), event_number(" #0 ")) == (16, 0)
    assert [event_number(text) for text in ("16", "#", "#-1", "#1.5", "#٣", "#1234567890", "16#")] == [None] * 7


@pytest.mark.parametrize(
    "bad",
    ["", "tomorrow", "th", "thursdays", "thursday noon", "yesterday 25:00", "24:00", "8:1", "3y", "m", "-d", "--3d",
     "999999w", "#16", "today yesterday", "\u0663d", "2026-13-01", "\x1b[2J", "9" * 400, "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_not_a_moment(bad: str) -> None:
    with pytest.raises(BadInput, match="is not a time"):
        moment(bad, FRIDAY)


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
