"""How fast requests come, epoch by epoch; and that a look at them costs the same however many there were."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from answers import NS, Arm, leave_answers
from miniobserve.reader import TraceReader
from miniobserve.writer import TraceWriter
from modelspine.errors import BadInput, Unavailable
from modelspine.ledger.route import Arm as Place
from modelspine.ledger.route import Guard, Route, weight_of
from modelspine.ledger.state import fold
from modelspine.ledger.store import Draft, Ledger
from modelspine.traffic.canary import consider_or_error
from modelspine.traffic.epochs import epochs
from modelspine.traffic.ladder import default_ladder, rungs
from modelspine.traffic.request_rate import MINUTES, NEWEST, Exposure, blast_radius, known_rate, pace, rate

NOON = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
START = int(NOON.timestamp()) * NS


def route(strategy: str = "canary") -> Route:
    arms = tuple(
        Place(name=name, sha=name * 10, semver="", weight_bp=bp) for name, bp in (("stable", 8_000), (strategy, 2_000))
    )
    return Route(
        strategy=strategy, epoch=3, salt="3", arms=arms, ladder=default_ladder() if strategy == "canary" else None
    )


def store(
    path: Path, requests: int, strategy: str = "canary", seconds: float = 600, source: str = "replay"
) -> TraceReader:
    url = f"sqlite:///{path}"
    behave = {"stable": Arm(), strategy: Arm(accepted=0.0)}
    leave_answers(
        url, route(strategy), behave, start_ns=START, seconds=seconds, requests=requests, learners=60, source=source
    )
    return TraceReader.open(url)


def test_the_pace_counts_each_arm_by_minute(tmp_path: Path) -> None:
    traces = store(tmp_path / "t.db", 1_200)
    found = pace(traces, route(), NOON + timedelta(seconds=600))
    assert (found.quiet, len(found.arms[0].minutes)) == (False, MINUTES)
    whole = [sum(arm.minutes[n] for arm in found.arms) for n in range(MINUTES)]
    assert whole == [0] * 19 + [60, *[120] * 9, 60]
    newest = sum(whole[-NEWEST:]) / (60 * NEWEST - 30)
    assert sum(arm.per_second for arm in found.arms) == pytest.approx(newest) == pytest.approx(2.0)
    traces.close()


@pytest.mark.parametrize(
    ("now", "quiet", "requests"),
    [
        (NOON + timedelta(seconds=300), False, 660),  # the moment asked about lies inside; minutes are whole
        (NOON + timedelta(minutes=39), False, 60),  # all but its last minute is out of sight by now
        (NOON + timedelta(hours=3), True, 1_200),  # the last of it is shown instead
        (NOON - timedelta(days=3), True, 1_200),  # replayed traffic is ahead of the clock
    ],
)
def test_replayed_traffic_is_shown_where_it_ended(tmp_path: Path, now: datetime, quiet: bool, requests: int) -> None:
    traces = store(tmp_path / "t.db", 1_200)
    found = pace(traces, route(), now)
    assert found.quiet is quiet
    counted = sum(sum(arm.minutes) for arm in found.arms)
    assert counted == pytest.approx(requests, abs=30)
    assert found.until == ("2026-11-22T12:11:00.000000Z" if quiet else now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    traces.close()


def test_the_rate_of_live_traffic_is_never_one_of_the_past(tmp_path: Path) -> None:
    traces = store(tmp_path / "t.db", 1_200, source="live")
    now = NOON + timedelta(hours=1)
    found = pace(traces, route(), now)
    assert (found.quiet, found.replayed, found.per_second) == (False, False, 0.0)
    assert found.until == now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert sum(sum(arm.minutes) for arm in found.arms) == 0
    assert found.last is not None
    assert found.last.startswith("2026-11-22T12:10:29")
    assert pace(traces, route(), NOON - timedelta(days=3)).last is None, "what came later was not there at that moment"
    traces.close()


def test_a_shadow_has_no_pace_and_none_came_is_zero(tmp_path: Path) -> None:
    traces = store(tmp_path / "t.db", 200, "shadow")
    found = pace(traces, route("shadow"), NOON + timedelta(seconds=600))
    assert [arm.name for arm in found.arms] == ["stable"]
    traces.close()
    TraceWriter(f"sqlite:///{tmp_path / 'empty.db'}").close()
    traces = TraceReader.open(f"sqlite:///{tmp_path / 'empty.db'}")
    assert [(arm.per_second, sum(arm.minutes)) for arm in pace(traces, route(), NOON).arms] == [(0.0, 0), (0.0, 0)]
    traces.close()


def steps(traces: TraceReader) -> int:
    """Hundreds of instructions SQLite runs for a look: its work, whatever the machine."""
    counted = [0]

    def count() -> None:
        counted[0] += 1

    connection = traces._database._connection  # type: ignore[attr-defined]
    connection.set_progress_handler(count, 100)
    now = NOON + timedelta(seconds=600)
    pace(traces, route(), now)
    since = NOON.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    decision, problem = consider_or_error(lambda: traces, route(), since, now)
    connection.set_progress_handler(None, 0)
    assert (problem, decision is not None) == (None, True)
    return counted[0]


@pytest.mark.long
def test_a_look_costs_the_same_however_many_requests_there_were(tmp_path: Path) -> None:
    few, many = store(tmp_path / "few.db", 8_000), store(tmp_path / "many.db", 16_000)
    assert steps(many) < 1.2 * steps(few), "60 learners and 10 minutes each"
    whole = [0]
    connection = many._database._connection  # type: ignore[attr-defined]
    connection.set_progress_handler(lambda: whole.__setitem__(0, whole[0] + 1), 100)
    connection.execute("SELECT arm, u, SUM(seconds) FROM requests WHERE epoch = 3 GROUP BY arm, u").fetchall()
    connection.set_progress_handler(None, 0)
    assert whole[0] > 3 * steps(many), "a scan would have been seen"
    few.close()
    many.close()


def test_epochs_are_every_route_with_its_end(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'l.db'}", actor="ada", create=True)
    sha = "a" * 64
    arm = {"name": "stable", "sha": sha, "semver": "v0.1.0", "weight_bp": 10_000}
    body = {"sha": sha, "strategy": "single", "arms": [arm]}
    ledger.append([Draft(kind="opened", body={"env": "dev"})], expected=0)
    ledger.append([Draft(kind="routed", body={**body, "reason": "first"})], expected=1)
    ledger.append([Draft(kind="noted", body={"text": "x"})], expected=2)
    ledger.append([Draft(kind="rolled_back", body={**body, "reason": "second"})], expected=3)
    ledger.append([Draft(kind="routed", body={**body, "reason": "third", "verb": "abort"})], expected=4)
    events = ledger.events()
    found = epochs(fold(events), events)
    assert [(each.number, each.verb, each.reason) for each in found] == [
        (5, "abort", "third"),
        (4, "rolled_back", "second"),
        (2, "routed", "first"),
    ]
    assert [each.until for each in found] == [None, events[4].at, events[3].at]
    assert {each.actor for each in found} == {"ada"}
    assert epochs(fold([]), []) == []
    ledger.close()


@pytest.mark.parametrize(
    ("text", "weight"),
    [("10%", 1_000), (" 2.5 % ", 250), ("0.01%", 1), ("250", 250), ("250 bp", 250), ("100 %", 10_000), ("0", 0)],
)
def test_a_weight_as_people_type_it(text: str, weight: int) -> None:
    assert weight_of(text) == weight


@pytest.mark.parametrize("text", ["", "x", "1,5%", "-1", "1e3", "0.001%", "٣%", "10 %%", "5 %\n6"])
def test_what_is_no_weight_says_how_one_is_written(text: str) -> None:
    with pytest.raises(BadInput, match="is not a weight") as told:
        weight_of(text)
    assert "10%" in told.value.hint


def test_the_rate_is_the_busiest_hours_of_the_last_day_there_was(tmp_path: Path) -> None:
    """However long ago, as replayed days are; a quiet night after a busy noon does not make a canary look harmless."""
    url = f"sqlite:///{tmp_path / 't.db'}"
    behave = {"stable": Arm(), "canary": Arm()}
    for seed, (hours, seconds, requests) in enumerate([(0, 3_570, 720), (10, 600, 6)], 1):
        start = START - 30 * NS + hours * 3_600 * NS
        leave_answers(url, route(), behave, start_ns=start, seconds=seconds, requests=requests, seed=seed)
    traces = TraceReader.open(url)
    assert rate(traces) == pytest.approx(720 / 3_600)
    future, later = time.time_ns() + 86_400 * NS, START + 5 * 86_400 * NS
    leave_answers(url, route(), behave, start_ns=future, seconds=1, requests=50, seed=3)
    assert rate(traces) == pytest.approx(720 / 3_600)  # one wrong time moves no rate
    probe = msgspec.structs.replace(traces.list(limit=1).traces[0], request_id="req-of-a-probe", started_ns=later)
    writer = TraceWriter(url)
    given = msgspec.structs.replace(probe.assignment, tester="probe")
    writer.submit(msgspec.structs.replace(probe, assignment=given)).result(5)
    writer.close()
    assert traces.requests.last_day(later + NS) == "2026-11-27"
    assert rate(traces, NOON + timedelta(days=6)) == pytest.approx(720 / 3_600)  # nor does a probe that asks alone
    traces.close()
    assert known_rate(lambda: TraceReader.open(url)) == pytest.approx(0.2)


def test_rungs_and_exposure() -> None:
    assert [rung for _, rung in rungs(default_ladder())] == ["here", "ahead", "ahead", "ahead"]
    nobody = blast_radius(100, Guard(), None)
    assert nobody == Exposure(weight_bp=100, window_seconds=30, requests_per_second=None)
    assert nobody.summary == (
        "1 % of an unknown rate (assumed 1 request/s) over 2 windows of 30 s = less than one answer before an abort"
    )
    assert blast_radius(5_000, Guard(), None).summary.endswith("= 30.0 answers before an abort")

    def gone() -> TraceReader:
        raise Unavailable("there is no store", "make one")

    assert known_rate(gone) is None
