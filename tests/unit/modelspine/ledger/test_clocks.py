"""One machine with a wrong clock moves nobody else's time: what the ledger says of a past moment stays what it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_world import run
from modelspine.attestation.checks import staleness
from modelspine.ledger.clocks import Cut, cut_at, events_until, jump_text, jumps
from modelspine.ledger.event import Event
from modelspine.ledger.moments import moment_of, neighbour
from modelspine.ledger.sealing import AHEAD
from modelspine.ledger.store import Draft, Ledger
from modelspine.spine import Spine
from modelspine.times import FORMAT

NOON = datetime(2026, 5, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def stamp(moment: datetime) -> str:
    return moment.strftime(FORMAT)


def written(folder: Path, *clocks: datetime) -> list[Event]:
    """The events of a ledger whose writers' clocks showed these times."""
    times = list(clocks)
    ledger = Ledger(f"sqlite:///{folder / 'l.db'}", actor="a", create=True, clock=lambda: times.pop(0))
    for number in range(len(clocks)):
        ledger.append([Draft(kind="noted", body={"text": str(number)})], expected=None)
    events = ledger.events()
    ledger.close()
    return events


def test_a_moment_before_a_jump_is_what_it_was_and_one_after_it_is_marked_unsure(tmp_path: Path) -> None:
    ahead = NOON + timedelta(days=2)
    events = written(tmp_path, NOON, NOON + MINUTE, ahead, NOON + 3 * MINUTE, NOON + 4 * MINUTE)
    before = events[:2]
    for seconds in (0, 59, 60, 119):
        at = stamp(NOON + timedelta(seconds=seconds))
        cut = cut_at(events, at)
        assert cut == cut_at(before, at)
        assert cut.seq == cut.by_order
        assert events_until(events, at) == events_until(before, at)
    assert cut_at(events, stamp(NOON + 3 * MINUTE)) == Cut(seq=4, by_order=2)
    assert cut_at(events, stamp(NOON + 9 * MINUTE)) == Cut(seq=5, by_order=2)
    assert cut_at(events, stamp(ahead + MINUTE)) == Cut(seq=5, by_order=5)
    assert cut_at(events, "2020-01-01T00:00:00.000000Z") == Cut(seq=0, by_order=0)


def test_a_clock_that_stands_before_the_ledger_began_says_nothing(tmp_path: Path) -> None:
    events = written(tmp_path, NOON, NOON + MINUTE * 60, datetime(1970, 1, 1, tzinfo=UTC), NOON + MINUTE * 61)
    assert events[2].time == "1970-01-01T00:00:00.000000Z"
    assert cut_at(events, stamp(NOON)) == Cut(seq=1, by_order=1)
    assert cut_at(events, stamp(NOON + MINUTE * 61)) == Cut(seq=4, by_order=4)


def test_a_first_event_from_a_clock_that_was_ahead_hides_nothing(tmp_path: Path) -> None:
    """The ledger was opened on a machine whose clock stood years ahead; all other writers say so."""
    ahead = NOON + timedelta(days=900)
    events = written(tmp_path, ahead, ahead + MINUTE, NOON, NOON + MINUTE)
    now = stamp(NOON + MINUTE * 9)
    assert cut_at(events, stamp(NOON), now) == Cut(seq=3, by_order=0)
    assert cut_at(events, now, now) == Cut(seq=4, by_order=0)
    assert cut_at(events, now, stamp(ahead + MINUTE)) == Cut(seq=0, by_order=0), "nobody contradicts it any more"


def test_the_number_of_an_event_after_a_jump_means_that_event(tmp_path: Path) -> None:
    events = written(tmp_path, NOON, NOON + timedelta(days=9), NOON + MINUTE, NOON + 2 * MINUTE, NOON + 3 * MINUTE)
    for seq in (1, 3, 4, 5):
        assert cut_at(events, moment_of(events, f"#{seq}")).seq == seq
    assert neighbour(events, events[3].time, -1) == events[2].time
    assert neighbour(events, events[2].time, 1) == events[3].time


def test_a_promotion_with_a_clock_of_its_own_is_judged_by_it() -> None:
    """After an event from a clock that was ahead, a forged promotion must not escape the look at its time."""
    said: Any = SimpleNamespace(
        issued=stamp(NOON), expires=stamp(NOON + timedelta(hours=1)), ledger=SimpleNamespace(seq=1)
    )
    ahead = Event(seq=1, at=stamp(NOON + timedelta(days=9)), actor="a", host="h", kind="noted", body={}, prev="")
    for clock, stale in (
        (NOON + MINUTE, None),
        (NOON + timedelta(hours=2), f"its verdict had expired at {said.expires}"),
    ):
        body = {"clock": stamp(clock)}
        promoted = Event(seq=2, at=ahead.at, actor="a", host="h", kind="promoted", body=body, prev="")
        assert staleness(said, promoted, [ahead, promoted]) == stale


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.integers(-4, 30))
def test_without_a_jump_both_readings_are_one(steps: list[int], at: int) -> None:
    """Clocks that differ by minutes, but by less than five, leave no doubt."""
    when, events = NOON, []
    for seq, step in enumerate(steps, 1):
        when = max(when, when + step * MINUTE)
        events.append(Event(seq=seq, at=stamp(when), actor="a", host="h", kind="noted", body={}, prev="", hash=""))
    cut = cut_at(events, stamp(NOON + at * MINUTE))
    assert cut.seq == cut.by_order == sum(event.at <= stamp(NOON + at * MINUTE) for event in events)


def test_the_event_whose_time_jumped_is_named_once(tmp_path: Path) -> None:
    ahead = NOON + timedelta(days=2)
    events = written(tmp_path, NOON, ahead, NOON + MINUTE, NOON + 2 * MINUTE, ahead + timedelta(days=9), NOON)
    found = list(jumps(events, stamp(NOON + 5 * MINUTE)))
    assert [(jump.seq, jump.by) for jump in found] == [(2, 3), (5, 6)]
    assert stamp(ahead)[:19] in jump_text(found[0])
    assert stamp(NOON + MINUTE)[:19] in jump_text(found[0])


@pytest.mark.parametrize(("late", "named"), [(timedelta(0), False), (MINUTE, True)])
def test_the_newest_event_is_held_against_this_machines_clock(tmp_path: Path, late: timedelta, named: bool) -> None:
    events = written(tmp_path, NOON, NOON + AHEAD + late)
    assert [jump.seq for jump in jumps(events, stamp(NOON))] == ([2] if named else [])


def test_the_writer_is_warned_with_both_times(spine: Spine) -> None:
    now = datetime.now(UTC)
    spine.ledger._clock = lambda: now + timedelta(days=2)
    assert spine.registry.note("from another host").warnings == ()
    spine.ledger._clock = lambda: now
    warned = spine.registry.note("from here").warnings
    assert len(warned) == 1
    assert stamp(now)[:19] in warned[0]
    assert stamp(now + timedelta(days=2))[:19] in warned[0]


def test_the_commands_name_the_jump_and_say_when_a_past_state_is_unsure(
    spine: Spine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spine.settings.root)
    now = datetime.now(UTC)
    assert "unsure" not in run(capsys, "history", "--at", stamp(now)).err
    spine.ledger._clock = lambda: now + timedelta(days=2)
    spine.registry.note("from another host")
    assert "the time of #2 jumped" in run(capsys, "info").out
    assert "the time of event #2 jumped" in run(capsys, "verify").out
    assert "one of the two clocks is wrong" in (done := run(capsys, "note", "from here")).err + done.out
    after = stamp(datetime.now(UTC))
    done = run(capsys, "history", "--at", after)
    assert "#3 by the clocks" in done.err
    assert "#1 by the order" in done.err
    assert "from here" in done.out
    assert "unsure" not in run(capsys, "history", "--at", stamp(now)).err
    assert run(capsys, "verify").code == 0
