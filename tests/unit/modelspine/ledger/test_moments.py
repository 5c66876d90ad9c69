"""Moments of a ledger: the time of an event, its neighbours, and the start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelspine.errors import BadInput
from modelspine.ledger.event import Event
from modelspine.ledger.moments import before_start, moment_of, neighbour

TIMES = [f"2026-11-22T12:00:0{second}.000000Z" for second in (1, 2, 2, 5)]
EVENTS = [
    Event(seq=n, at=at, actor="a", host="h", kind="noted", body={}, prev="", hash="") for n, at in enumerate(TIMES, 1)
]


def test_a_number_means_the_time_of_its_event() -> None:
    assert moment_of(EVENTS, "#4") == TIMES[3]
    assert moment_of(EVENTS, "yesterday", datetime(2026, 11, 22, tzinfo=UTC)).startswith("2026-11-21T23")
    for bad, hint in (("#0", "#1 to #4"), ("#5", "#1 to #4")):
        with pytest.raises(BadInput) as error:
            moment_of(EVENTS, bad)
        assert hint in error.value.hint
    with pytest.raises(BadInput):
        moment_of([], "#1")


def test_the_time_before_the_first_event_is_said() -> None:
    assert before_start(EVENTS, "2001-01-01T00:00:00.000000Z") == (
        "2001-01-01T00:00:00Z is before the ledger's start: its first event, #1, is of 2026-11-22T12:00:01Z"
    )
    assert before_start(EVENTS, TIMES[0]) == ""
    assert before_start([], "2001-01-01T00:00:00.000000Z") == ""


def test_steps_lead_through_the_times_of_the_events_and_back_to_the_present() -> None:
    assert neighbour(EVENTS, None, -1) == TIMES[1], "the present shows the newest event already"
    assert neighbour(EVENTS, TIMES[1], -1) == TIMES[0], "events of one time are one step"
    assert neighbour(EVENTS, TIMES[0], -1) == TIMES[0], "there is none before the first"
    assert neighbour(EVENTS, "2026-11-22T12:00:04.000000Z", -1) == TIMES[1]
    assert neighbour(EVENTS, TIMES[0], 1) == TIMES[1]
    assert neighbour(EVENTS, TIMES[1], 1) is None, "the newest event is the present"
    assert neighbour(EVENTS, None, 1) is None
    assert neighbour(EVENTS, "2001-01-01T00:00:00.000000Z", 1) == TIMES[0]
    assert neighbour(EVENTS[:1], None, -1) == TIMES[0]
    assert neighbour([], None, -1) is None
