"""``spine drift``: another day as the reference, what was graded, what is dated ahead, and what is out of scope."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli_world import World, check_refused, leave_trace, make_world, run
from miniobserve.traces import Trace
from modelspine.spine import open_spine
from modelspine.times import ledger_time

Capture = pytest.CaptureFixture[str]
OLD_NS = 1_772_409_600_000_000_000
OLD = "2026-03-02"
DAY_NS = 86_400 * 10**9
BEFORE = "2026-02-23"
"""The same weekday one week before ``OLD``."""
AHEAD_NS = time.time_ns() + 900 * DAY_NS
AHEAD = ledger_time(AHEAD_NS)[:10]


def leave_many(world: World, day_ns: int, n: int, **more: Any) -> None:
    """Traces of one day, a few thousand of them a second, through one writer."""
    from miniobserve.writer import TraceWriter

    with open_spine(world.root, readonly=True) as spine:
        some: Trace = spine.traces.list(limit=1).traces[0]
        writer = TraceWriter(spine.settings.traces)
    waiting = []
    for number in range(n):
        own: dict[str, Any] = {name: value(number) if callable(value) else value for name, value in more.items()}
        trace = msgspec.structs.replace(
            some, started_ns=day_ns + number, unit_hash=f"learner-{number % 20}", feedback=None,
            **{"request_id": f"req-{day_ns // DAY_NS}-{number:05d}", "entry_sha": world.silent,
               "features": {"length": "2"}} | own,
        )  # fmt: skip
        waiting.append(writer.submit(trace))
    for each in waiting:
        each.result(10)
    writer.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two Mondays: the first as trained on, the second half out of scope; one request of the far future."""
    world = make_world(tmp_path_factory.mktemp("days") / "project")
    leave_many(world, OLD_NS - 7 * DAY_NS, 80, graded=True)
    leave_many(world, OLD_NS, 80, in_scope=lambda number: number % 2 == 0, graded=lambda number: number % 4 == 0)
    leave_trace(world.root, "req-of-the-future", "row 1", "row 1", started_ns=AHEAD_NS, features={"length": "2"})
    return world


@pytest.fixture
def world(made: World, tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    monkeypatch.chdir(root)
    return made._replace(root=root)


def test_texts_out_of_scope_make_a_day_act(world: World, capsys: Capture) -> None:
    found = run(capsys, "drift", "report", "--day", OLD, "--json").json
    length = found["features"]["length"]
    assert (found["status"], length["status"], length["bins"][0]["bin"]) == ("act", "act", "(missing)")
    assert (length["absent"], found["window"]["outside"]) == (40, 40)
    human = run(capsys, "drift", "show", "--day", OLD).out
    assert "because" in human
    assert "length: (missing) 50.0 % of the day" in human
    assert "40 out of scope, counted as (missing)" in human


def test_another_day_is_a_reference_and_leaves_the_days_report_alone(world: World, capsys: Capture) -> None:
    main = run(capsys, "drift", "report", "--day", OLD, "--json").json
    found = run(capsys, "drift", "report", "--day", OLD, "--same-weekday", "--json").json
    assert found["reference"] == {"corpus_dvc_hash": None, "corpora": [], "n": 80, "day": BEFORE}
    assert found["file"] == f"{OLD}-against-{BEFORE}.json"
    assert (world.root / "drift_reports" / found["file"]).is_file()
    assert found["features"]["length"]["reference_n"] == 80
    same = run(capsys, "drift", "report", "--day", OLD, "--against-day", BEFORE, "--json").json
    assert (same["seq"], same["created"]) == (found["seq"], False)
    shown = run(capsys, "drift", "show", "--day", OLD, "--same-weekday", "--json").json
    assert shown == {key: value for key, value in found.items() if key not in ("created", "ahead")}
    again = run(capsys, "drift", "show", "--day", OLD, "--json").json
    assert (again["seq"], again["reference"]["corpora"]) == (main["seq"], main["reference"]["corpora"])
    assert [(each["seq"], each["against_day"]) for each in again["others"]] == [(found["seq"], BEFORE)]
    assert (
        f"also reported against {BEFORE}: {found['status']} (#{found['seq']})"
        in run(capsys, "drift", "show", "--day", OLD).out
    )
    human = run(capsys, "drift", "show", "--day", OLD, "--against-day", BEFORE).out
    assert f"against {BEFORE}" in human
    assert f"80 requests of {BEFORE}" in human
    assert f"against {BEFORE}" in run(capsys, "history").out
    walk = run(capsys, "incident", f"req-{OLD_NS // DAY_NS}-00002", "--json").json["answers"][1]
    assert walk["evidence"]["event"] == f"#{main['seq']}", "the walk quotes the report against the corpora"


def test_a_reference_day_that_cannot_serve_is_refused(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "drift", "report", "--day", OLD, "--against-day", OLD), 2)
    check_refused(run(capsys, "drift", "report", "--day", OLD, "--against-day", "2026-01-05"), 2)
    check_refused(run(capsys, "drift", "report", "--day", BEFORE, "--same-weekday"), 2)
    check_refused(run(capsys, "drift", "report", "--day", OLD, "--same-weekday", "--against", "v0.1.0"), 2)
    check_refused(run(capsys, "drift", "show", "--same-weekday"), 2)
    check_refused(run(capsys, "drift", "show", "--day", OLD, "--same-weekday"), 2)
    with open_spine(world.root, readonly=True) as spine:
        assert not [event for event in spine.registry.events() if event.kind == "drift_reported"]


def test_what_was_graded_stands_beside_what_was_expected(world: World, capsys: Capture) -> None:
    run(capsys, "drift", "report", "--day", OLD)
    found = run(capsys, "drift", "show", "--day", OLD, "--json").json["graded"]
    assert (found["k"], found["n"], found["units"], found["ungraded"]) == (20, 80, 20, 0)
    assert "20/80 25.0 % (95 % interval" in run(capsys, "drift", "show", "--day", OLD).out
    assert "20/80 25.0 %" in run(capsys, "drift", "show", "--weeks", "5000").out


def test_a_request_from_the_future_is_named_and_moves_nothing(world: World, capsys: Capture) -> None:
    early = {"n": 1, "first": [{"request_id": "req-of-the-future", "at": ledger_time(AHEAD_NS)}]}
    found = run(capsys, "drift", "report", "--json").json
    assert found["day"] == ledger_time(time.time_ns())[:10]
    assert found["ahead"] == early
    trend = run(capsys, "drift", "show", "--json").json
    assert trend["window"]["to"] == found["day"]
    assert trend["ahead"] == {**early, "reports": []}
    assert [day["day"] for day in trend["days"]] == [found["day"]]
    human = run(capsys, "drift", "show").out
    assert "1 request dated ahead of this machine's clock, left out: req-of-the-future at" in human
    assert "2 days before" in human, "days that the window does not reach are counted"


def test_a_day_ahead_can_be_asked_for_and_stays_out_of_the_trend(world: World, capsys: Capture) -> None:
    asked = run(capsys, "drift", "report", "--day", AHEAD)
    assert f"counted on {AHEAD} alone, because that day was named: req-of-the-future" in asked.out
    trend = run(capsys, "drift", "show", "--weeks", "5200", "--json").json
    assert trend["ahead"]["reports"] == [AHEAD]
    assert AHEAD not in [day["day"] for day in trend["days"] + trend["unreported"]]
    assert f"the report of {AHEAD}" in run(capsys, "drift", "show").out
    assert run(capsys, "drift", "show", "--day", AHEAD, "--json").json["window"]["n"] == 1


def test_a_request_later_today_is_left_out_of_today(world: World, capsys: Capture, monkeypatch: Any) -> None:
    """The clock stands at the middle of ``OLD``; one request of that day is dated an hour later."""
    noon = OLD_NS - OLD_NS % DAY_NS + DAY_NS // 2
    leave_trace(world.root, "req-an-hour-early", "x", "x", started_ns=noon + 3600 * 10**9, features={"length": "2"})
    monkeypatch.setattr("modelspine.drift.measurement.clock_limit", lambda: noon + 300 * 10**9)
    found = run(capsys, "drift", "report", "--json").json
    assert found["day"] == OLD
    assert (found["window"]["n"], found["window"]["left_out"]) == (80, {"ahead": 1})
    assert found["ahead"]["first"][0]["request_id"] == "req-an-hour-early"
    assert "1 dated ahead of the clock" in run(capsys, "drift", "show", "--day", OLD).out


def test_a_tester_moves_no_default(world: World, capsys: Capture, monkeypatch: Any) -> None:
    """A probe asks every day, also when no learner does; the newest day is the last one that learners asked on."""
    with open_spine(world.root, readonly=True) as spine:
        given = spine.traces.list(limit=1).traces[0].assignment
    probe = msgspec.structs.replace(given, tester="probe")
    for at in (OLD_NS + DAY_NS, AHEAD_NS + 1):
        leave_trace(world.root, f"req-of-a-probe-{at}", "x", "x", started_ns=at, assignment=probe)
    monkeypatch.setattr("modelspine.drift.measurement.clock_limit", lambda: OLD_NS + 2 * DAY_NS)
    assert run(capsys, "drift", "report", "--json").json["day"] == OLD
    monkeypatch.undo()
    monkeypatch.chdir(world.root)
    ahead = run(capsys, "drift", "show", "--json").json["ahead"]
    assert (ahead["n"], len(ahead["first"])) == (1, 1), "nor is it one of the learners' requests ahead"


def test_a_request_of_tomorrow_moves_no_default_just_before_midnight(
    world: World, capsys: Capture, monkeypatch: Any
) -> None:
    """At 23:58, a request dated 00:01 is within the tolerance of the clocks, and still one of tomorrow."""
    midnight = OLD_NS - OLD_NS % DAY_NS + DAY_NS
    leave_trace(world.root, "req-of-tomorrow", "x", "x", started_ns=midnight + 60 * 10**9, features={"length": "2"})
    monkeypatch.setattr("modelspine.drift.measurement.clock_limit", lambda: midnight + 180 * 10**9)
    found = run(capsys, "drift", "report", "--json").json
    assert (found["day"], found["window"]["n"]) == (OLD, 80)


def test_requests_of_testers_are_named(world: World, capsys: Capture) -> None:
    with open_spine(world.root, readonly=True) as spine:
        given = spine.traces.list(limit=1).traces[0].assignment
    eva = msgspec.structs.replace(given, tester="eva")
    leave_many(world, OLD_NS - 14 * DAY_NS, 3, assignment=eva)
    leave_many(world, OLD_NS - 7 * DAY_NS + 1_000, 3, assignment=eva, request_id=lambda number: f"req-eva-{number}")
    found = run(capsys, "drift", "report", "--day", BEFORE, "--json").json
    assert (found["window"]["n"], found["window"]["left_out"]) == (80, {"testers": 3})
    assert "left out: 3 of testers" in run(capsys, "drift", "show", "--day", BEFORE).out
    refused = run(capsys, "drift", "report", "--day", "2026-02-16")
    check_refused(refused, 2)
    assert "no request was answered on 2026-02-16; left out: 3 of testers" in refused.err


def test_a_day_on_which_most_requests_failed_is_not_stable(world: World, capsys: Capture) -> None:
    stable = run(capsys, "drift", "report", "--day", BEFORE, "--json").json
    assert (stable["status"], stable["failed"]["k"], stable["failed"]["n"]) == ("stable", 0, 80)
    failing = {"status": 500, "graded": None, "features": {}, "request_id": lambda number: f"req-failed-{number}"}
    leave_many(world, OLD_NS - 7 * DAY_NS + 1_000, 320, **failing)
    found = run(capsys, "drift", "report", "--day", BEFORE, "--json").json
    assert (found["status"], found["window"]["n"], found["window"]["left_out"]) == ("act", 80, {"failed": 320})
    assert (found["failed"]["k"], found["failed"]["n"], found["failed"]["status"]) == (320, 400, "act")
    assert found["window"]["failed"] == {world.silent: 320}
    said = "Failing: 320 of 400 requests failed (80.0 %); no drift: 80 requests like the training data by length"
    assert found["sentence"].startswith(said)
    graded = found["graded"]
    assert (graded["k"], graded["n"], graded["right"], graded["right_of"]) == (80, 80, 0.2, 400)
    day = run(capsys, "drift", "show", "--day", BEFORE).out
    for part in ("✖ act  coverage 0.0 %  failed 80.0 %", "80/400 20.0 %", "of the answers 80/80 100.0 %"):
        assert part in day
    trend = run(capsys, "drift", "show", "--weeks", "5200").out
    row = next(line for line in trend.splitlines() if line.startswith(f"{BEFORE} Mon  ✖"))
    assert "! 80.0 %" in row
    assert "80/400 20.0 %" in row
    against = run(capsys, "drift", "report", "--day", BEFORE, "--against-day", OLD, "--json").json
    assert against["status"] == "act"


def test_a_day_on_which_every_request_failed_is_reported(world: World, capsys: Capture) -> None:
    day = "2026-02-16"
    leave_many(world, OLD_NS - 14 * DAY_NS, 60, status=503, graded=None, features={})
    run(capsys, "drift", "report", "--day", BEFORE)
    trend = run(capsys, "drift", "show", "--weeks", "5200", "--json").json
    assert {"day": day, "answered": 0, "failed": 60} in trend["unreported"]
    assert f"{day}  0 answered, 60 failed, no report" in run(capsys, "drift", "show", "--weeks", "5200").out
    found = run(capsys, "drift", "report", "--day", day, "--json").json
    assert (found["status"], found["sentence"], found["file"]) == (
        "act",
        "Failing: all 60 requests failed",
        f"{day}.json",
    )
    assert (found["graded"]["right"], found["graded"]["right_of"]) == (0.0, 60)
    assert "coverage           unknown: no request was answered" in run(capsys, "drift", "show", "--day", day).out
    trend = run(capsys, "drift", "show", "--weeks", "5200", "--json").json
    assert [each["day"] for each in trend["days"]] == [day, BEFORE]
    assert f"many requests failed on 1 day ({day} Mon 100.0 %)" in trend["sentences"]["trend"]
    assert [(each["failing"], each["failed"]) for each in trend["weekdays"]] == [(1, {"k": 60, "n": 140})]
    check_refused(run(capsys, "drift", "report", "--day", BEFORE, "--against-day", day), 2)


def test_another_entry_that_answers_worse_on_the_same_day_is_said(world: World, capsys: Capture) -> None:
    other = {"entry_sha": world.loud, "request_id": lambda number: f"req-loud-{number}"}
    leave_many(world, OLD_NS - 7 * DAY_NS + 1_000, 60, graded=False, **other)
    found = run(capsys, "drift", "report", "--day", BEFORE, "--json").json
    (each,) = found["graded"]["by_others"]
    assert (each["entry"], each["k"], each["n"], each["contradicts"]) == (world.loud, 0, 60, True)
    short = world.loud[:12]
    assert f"0.0 % of the answers by {short} are correct, but 100.0 % of those by" in found["sentence"]
    human = run(capsys, "drift", "show", "--day", BEFORE).out
    assert f"60 answered by other entries ({short} 0/60 0.0 %)" in human
    assert f"! the figure is not that of the whole day: {short} answered worse" in human
    assert "! 80/80 100.0 %" in run(capsys, "drift", "show", "--weeks", "5200").out


def test_the_calendars_first_days_have_no_weekday_before_them(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "drift", "report", "--day", "0001-01-03", "--same-weekday"), 2)
    check_refused(run(capsys, "drift", "show", "--day", "0001-01-03", "--same-weekday"), 2)
    for day in ("0001-01-03", "9999-12-31"):
        check_refused(run(capsys, "drift", "report", "--day", day), 2)
        check_refused(run(capsys, "drift", "report", "--day", OLD, "--against-day", day), 2)
        assert run(capsys, "cost", "--day", day, "--json").json["requests"] == 0
        assert run(capsys, "traces", "list", "--day", day, "--json").json["traces"] == []


def test_only_requests_from_the_future(world: World, capsys: Capture, monkeypatch: Any) -> None:
    monkeypatch.setattr("modelspine.drift.measurement.clock_limit", lambda: OLD_NS - 60 * DAY_NS)
    refused = run(capsys, "drift", "report")
    check_refused(refused, 2)
    assert AHEAD in refused.err


def test_a_report_of_an_older_version_is_shown(world: World, capsys: Capture) -> None:
    """As a version before graded answers recorded it: the fixture of the unit test, in this ledger."""
    from modelspine.ledger.store import Draft
    from modelspine.ledger.transactions import History

    raw = (Path(__file__).parents[2] / "fixtures" / "drift-1" / "report.json").read_bytes()
    with open_spine(world.root) as spine:
        digest = spine.ledger.put(raw)
        body = {"day": "2026-11-23", "entry": world.silent, "evidence": {"report": digest}, "file": "2026-11-23.json",
                "status": "watch", "n": 400}  # fmt: skip
        History(spine.ledger).change(lambda _: [Draft(kind="drift_reported", body=body)], sha=world.silent)
    human = run(capsys, "drift", "show", "--day", "2026-11-23").out
    assert "! watch" in human
    assert "unknown: this report was made before graded answers were counted" in human
    assert run(capsys, "drift", "show", "--weeks", "5200", "--json").json["days"][-1]["graded"] is None
    assert "2026-11-23" in run(capsys, "drift", "show", "--weeks", "5200").out
