"""The Drift screen over a true fortnight: its values are those of ``spine drift``, whatever they are."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import Any

import pytest

from cli_world import run
from modelspine.cli.drift import status_cell
from modelspine.drift.changes import two_way
from modelspine.drift.days import Day, recorded
from modelspine.drift.days import days as known
from modelspine.drift.features import Bin, Feature
from modelspine.drift.figures import chance, figure, part, percent
from modelspine.drift.measurement import measure
from modelspine.errors import Unavailable
from modelspine.spine import Spine
from modelspine_console.data.source import Source
from modelspine_console.screens import drift_tabs as tabs
from modelspine_console.screens.drift import _requests, _unreported
from modelspine_console.writes.changes import Changes

Capture = pytest.CaptureFixture[str]
NEWEST, REPORTED, FIRST = "2026-11-18", "2026-11-17", "2026-11-05"


@pytest.fixture
def twin(fortnight: Spine, capsys: Capture) -> Any:
    """Runs the headless twin on the same project."""
    return lambda *words: run(capsys, *words, root=fortnight.settings.root)


async def test_every_day_says_what_the_twin_says(days: Any, twin: Any) -> None:
    made = twin("drift", "show", "--weeks", "5200", "--json").json
    async with days(screen="drift", size=(160, 40)) as desk:
        desk.app.view.zoomed = True
        desk.app.view.activate(0)
        await desk.settle()
        lines = desk.lines()
        for report in made["days"]:
            shown = next(line for line in lines if report["day"] in line)
            worst = max(report["features"].items(), key=lambda item: item[1]["psi"])
            expected = f"{100 * report['expected_accuracy']:.1f}"
            source = "replay" if report["window"]["replayed"] else "live"
            for text in (
                report["status"],
                worst[0],
                f"{worst[1]['psi']:.3f}",
                f"{report['window']['n']:,}",
                expected,
            ):
                assert text in shown, (text, shown)
            assert source in shown
        missing = next(line for line in lines if NEWEST in line)
        assert "○ no report" in missing
        assert [day["day"] for day in made["unreported"]] == [NEWEST]
        assert f"{made['unreported'][0]['answered']:,}" in missing
        assert [line[2:12] for line in lines[4:18]] == sorted((line[2:12] for line in lines[4:18]), reverse=True)


def test_a_day_without_a_report_names_its_failures() -> None:
    said, _ = _unreported(Day(day=NEWEST, answered=400, failed=30))
    assert said == f"{NEWEST}: no report; 400 requests were answered, 30 failed"


async def test_a_day_without_a_report_says_how_to_make_it(days: Any) -> None:
    async with days(screen="drift") as desk:
        assert desk.app.view.about.state == "empty"
        said = desk.app.view.about.message
        assert "no report; 400 requests were answered" in said
        assert f"spine drift report --day {NEWEST}" in said
        assert desk.app.view.copies()[1] == ("report command", f"spine drift report --day {NEWEST}")
        await desk.press("o")
        assert desk.app.view.NAME == "drift", "it is compared by no entry"


async def test_the_tabs_show_the_days_report(days: Any, twin: Any) -> None:
    report = twin("drift", "show", "--day", REPORTED, "--json").json
    async with days(screen="drift", argument=REPORTED, size=(100, 70)) as desk:
        await desk.press("enter", "z")
        assert desk.lines()[1].endswith(f" drift ▸ {REPORTED} ▸ features")
        text = desk.text()
        for name, feature in report["features"].items():
            line = next(line for line in desk.lines() if line.startswith(f" {name} "))
            numbers = [figure(feature[key]) for key in ("psi", "kl")]
            numbers += [chance(feature[key]) for key in ("p", "p_adjusted")]
            for shown in (
                f"{feature['n']}/{feature['needed']}",
                *numbers,
                feature["status"],
            ):
                assert shown in line
        assert "30 learners, the busiest sent 4 %" in text
        await desk.press("right_square_bracket")
        assert "┄ watch 0.10   ┄ act 0.25" in desk.text()
        assert "┄┄┄" in desk.text()
        await desk.press("right_square_bracket")
        for each in report["features"]["tense_person"]["bins"]:
            line = next(line for line in desk.lines() if line.startswith(f" {each['bin']} "))
            for shown in (percent(each["p"]), percent(each["q"])):
                assert shown in line
            assert part(each["contribution"], report["features"]["tense_person"]["psi"]) in line
        await desk.press("right_square_bracket")
        line = next(line for line in desk.lines() if line.startswith(" past_simple"))
        one = next(b for b in report["features"]["tense_person"]["bins"] if b["bin"] == "past_simple 3sg")
        assert f"{100 * one['q']:.1f}" in line
        assert f"{100 * (one['q'] - one['p']):+.1f}" in line
        await desk.press("right_square_bracket")
        for name, each in report["expected"].items():
            line = next(line for line in desk.lines() if line.startswith(f" {name} "))
            assert percent(each["live"]) in line
            assert percent(each["reference"]) in line
            assert line.endswith(f"{each['n']}")


async def test_export_is_what_the_twin_prints(days: Any, twin: Any) -> None:
    async with days(screen="drift") as desk:
        await desk.press("e", "j", "enter", "e")
        folder = desk.app.source.settings.home / "exports"
    whole = json.loads(next(folder.glob("drift-2026????T*.json")).read_text())
    assert whole == twin("drift", "show", "--weeks", "5200", "--json").json
    one = json.loads(next(folder.glob(f"drift-{REPORTED}-*.json")).read_text())
    assert one == twin("drift", "show", "--day", REPORTED, "--json").json


async def test_requests_of_a_day_and_its_lineage(days: Any) -> None:
    async with days(screen="drift", argument=REPORTED) as desk:
        await desk.press("i")
        assert (desk.app.view.NAME, desk.app.view.filter_text) == ("incident", f"day:{REPORTED}")
        assert "400 of 400" in desk.text()
        await desk.press("minus", "o")
        assert desk.app.view.NAME == "lineage"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("status:act", 4),
        ("status:no", 1),
        ("source:replay", 3),
        ("day:2026-11-1", 9),
        ("feature:verb", 13),
        ("!act", 10),
        ("nobody", 0),
    ],
)
async def test_filter(days: Any, text: str, left: int) -> None:
    async with days(screen="drift") as desk:
        await desk.press("slash")
        await desk.type(text)
        assert len(desk.app.view.table.order) == left
        if not left:
            assert "no matches in 14 rows" in desk.text()
            assert "no day selected" in desk.text()
        await desk.press("enter", "escape")
        assert "14 of 14" in desk.text()


async def test_jump_to_a_day_sort_and_another_moment(days: Any, fortnight: Spine) -> None:
    event = next(e for e in fortnight.registry.events() if e.body.get("day") == "2026-11-07")
    async with days(screen="registry") as desk:
        desk.app.navigation.jump("drift 2026-11-09")
        await desk.settle()
        assert desk.app.view.table.current.day == "2026-11-09"
        await desk.press("s", "s")
        assert "sort: status" in desk.text()
        assert desk.app.view.table.rows[desk.app.view.table.order[0]].made.report.status == "act"
        desk.app.navigation.jump("drift 1999-01-01")
        await desk.settle()
        assert "no day 1999-01-01 here" in desk.app.freshness.last_error.error
        desk.app.navigation.jump(f"at {event.at}")
        await desk.settle()
        reported = [day.day for day in desk.app.view.table.rows if day.made is not None]
        assert reported == ["2026-11-07", "2026-11-06", FIRST], "later reports were not known yet"


async def test_requests_after_the_report_are_said(days: Any, fortnight: Spine) -> None:
    from cli_world import leave_trace

    leave_trace(fortnight.settings.root, "req-came-later", "go x 1sg 1", "x", started_ns=1_793_836_800_000_000_000 + 12)
    async with days(screen="drift", argument=FIRST) as desk:
        assert "1 more requests arrived since" in desk.text()


async def test_a_damaged_report_spoils_its_own_day_alone(days: Any, fortnight: Spine) -> None:
    event = next(e for e in fortnight.registry.events() if e.body.get("day") == "2026-11-07")
    ledger = sqlite3.connect(fortnight.settings.home / "ledger.db")
    for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        ledger.execute(f"DROP TRIGGER {name}")
    digest = event.body["evidence"]["report"]
    assert ledger.execute("UPDATE evidence SET body = '{}' WHERE digest = ?", (digest,)).rowcount == 1
    ledger.commit()
    ledger.close()
    async with days(screen="drift", argument="2026-11-07") as desk:
        assert "✖ damaged" in desk.text()
        assert desk.app.view.about.state == "error"
        assert "hashes to" in desk.app.view.about.message
        assert "backup" in desk.app.view.about.message
        await desk.press("j")
        assert desk.app.view.about.state == "ready"


def test_a_number_of_requests_that_is_unknown_is_no_zero() -> None:
    shown = [_requests(Day(day=NEWEST, answered=answered)).plain for answered in (None, 0, 1_234)]
    assert shown == ["–", "0", "1,234"]


async def test_no_day_no_traces_and_a_ledger_that_fails(console: Any, spine: Spine, run_console: Any) -> None:
    async with console(screen="drift") as desk:
        assert "no report" in desk.text(), "the small project has an hour of requests and no report"
    shutil.move(spine.settings.home / "traces.db", spine.settings.home / "away.db")
    async with console(screen="drift", size=(150, 30)) as desk:
        assert desk.app.view.list.state == "empty"
        assert "there are no traces at" in desk.app.view.list.message

    class Broken(Source):
        def drift(self) -> Any:
            raise Unavailable("the ledger sleeps", "wake it")

    async with run_console(Broken(spine), screen="drift") as desk:
        assert desk.app.view.list.state == "error"
        assert "wake it" in desk.text()


async def test_old_days_are_marked(days: Any) -> None:
    async with days(screen="drift", interval=3600) as desk:
        desk.app.freshness.answered -= 3 * 3600 + 1
        desk.app.tick()
        await desk.settle()
        assert "stale" in desk.lines()[0]
        assert "stale" in desk.lines()[2]
        assert "0.497" in desk.text(), "numbers stay"


# making a report -----------------------------------------------------------------------------------------------


async def test_a_report_is_made_through_the_dialog_and_is_the_one_it_showed(days: Any, fortnight: Spine) -> None:
    changes = Changes(fortnight)
    async with days(screen="drift", changes=changes, write=True) as desk:
        await desk.press("D")
        text = desk.text()
        for said in (f"record the drift report of {NEWEST} in dev", f"day       {NEWEST}", "no report", "act, n 400"):
            assert said in text
        assert f"spine drift report --day {NEWEST}" in text
        assert NEWEST not in known(fortnight)
        await desk.press("enter")
        event = known(fortnight)[NEWEST]
        assert recorded(fortnight, event).report == measure(fortnight, NEWEST)
        desk.app.freshness.look()
        await desk.settle()
        assert desk.app.view.table.current.made.event == event
        await desk.press("D")
        assert "is identical" in desk.app.freshness.last_error.error
        assert len(desk.app.screen_stack) == 1


async def test_no_report_is_made_on_a_ledger_that_moved_nor_in_read_only_mode(days: Any, fortnight: Spine) -> None:
    changes = Changes(fortnight)
    async with days(screen="drift", changes=changes) as desk:
        await desk.press("D")
        assert len(desk.app.screen_stack) == 1
        desk.app.write_mode.switch(on=True)
        await desk.press("D")
        with Spine(fortnight.settings, readonly=False) as other:
            other.registry.note("somebody was quicker")
        await desk.press("enter")
        assert "nothing was changed" in desk.text()
        assert NEWEST not in known(fortnight)


# graded answers, coverage and requests of the future --------------------------------------------------------


async def test_what_was_graded_contradicts_and_a_request_ahead_is_named(fortnight: Spine, run_console: Any) -> None:
    import msgspec

    from modelspine.drift.accuracy import Covered
    from modelspine.drift.failures import FailedRequests
    from modelspine.drift.graded_text import contradiction, graded
    from modelspine.drift.grades import Graded
    from modelspine.drift.measurement import Ahead, Named

    found = Source(fortnight).drift()
    day = next(day for day in found.days if day.day == REPORTED)
    assert day.made is not None
    against = msgspec.structs.replace(day.made.report.reference, day="2026-11-10")
    report = msgspec.structs.replace(
        day.made.report, reference=against, coverage=0.6, status="act",
        failed=FailedRequests(k=300, n=700, psi=2.5, p=0.0005, status="act", needed=39),
        graded=Graded(k=240, n=400, low=0.55, high=0.65, units=60, compared=400, dimension="verb", expected=0.95,
                      observed=0.6, p=0.0001, contradicts=True, ungraded=7),
        covered=Covered(k=240, n=400, reference_k=9, reference_n=9, psi=2.0, p=0.0, status="act", needed=39),
    )  # fmt: skip
    made = msgspec.structs.replace(day.made, report=report)
    more = msgspec.structs.replace(day, made=made, others=(day.made.event,))
    days = tuple(more if each is day else each for each in found.days)
    early = Ahead(n=2, first=(Named("req-of-2031", "2031-05-05T10:00:00.000000Z"),))

    class Changed(Source):
        def drift(self) -> Any:
            return msgspec.structs.replace(found, days=days, ahead=early)

    async with run_console(Changed(fortnight), screen="drift", argument=REPORTED, size=(180, 50)) as desk:
        await desk.press("z")
        row = next(line for line in desk.lines() if REPORTED in line and "▌" in line)
        assert "! 60.0" in row
        assert "! 42.9" in row
        assert "2 ahead of the clock" in desk.text()
        await desk.press("z", "enter", "z")
        text = " ".join(desk.text().split())
        assert "coverage 60.0 % failed 42.9 %" in text
        assert "Failing: 300 of 700 requests failed (42.9 %)" in text
        assert "against 2026-11-10" in text
        assert contradiction(report) in text
        assert "also reported against" in text
        await desk.press("right_square_bracket")
        assert "req-of-2031 at 2031-05-05" in desk.text()
        await desk.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        text = " ".join(desk.text().split())
        assert graded(report) in text
        assert contradiction(report) in text
        await desk.press("minus")
        await desk.press("slash")
        await desk.type("contradicts:yes failing:yes")
        assert len(desk.app.view.table.order) == 1


# the drawing by itself ----------------------------------------------------------------------------------------


def feature(psi: float | None, *names: str) -> Feature:
    share = 1 / max(1, len(names))
    bins = tuple(Bin(bin=name, p=share, q=share, contribution=psi or 0.0) for name in names)
    return Feature(psi=psi, kl=psi, p=0.5, p_adjusted=0.5, status="stable", n=9, needed=1, missing=0, bins=bins)


def reported(fortnight: Spine, day: str, psi: float | None) -> Day:
    import msgspec

    event = known(fortnight)[REPORTED]
    made = recorded(fortnight, event)
    report = msgspec.structs.replace(made.report, day=day, features={"x": feature(psi, "a b", "a c", "d b", "d c")})
    return Day(day=day, answered=9, event=event, made=msgspec.structs.replace(made, report=report))


@pytest.mark.parametrize("width", [10, 30, 50, 79, 200])
@pytest.mark.parametrize(
    "values",
    [(), (None,), (0.0,), (0.1,), (0.2, 0.2, 0.2), (1e308, 0.01), (1e-300,), (None, 0.3, None, 0.1), (0.01,) * 900,
     (float("inf"), float("nan"), 0.3)],
    ids=str,
)  # fmt: skip
def test_a_plot_of_any_days(fortnight: Spine, values: tuple[float | None, ...], width: int) -> None:
    from datetime import date, timedelta

    start = date(2026, 1, 1)
    found = [reported(fortnight, (start + timedelta(days=n)).isoformat(), v) for n, v in enumerate(values)]
    lines = tabs.course(found, found[-1] if found else Day(day="2026-01-01", answered=1), width)
    text = "\n".join(line.plain for line in lines)
    assert "\x1b" not in text
    drawable = [v for v in values if v is not None]
    if drawable and width >= 30:
        assert "●" in "".join(line.plain for line in lines[3:])
        assert all(line.cell_length <= width for line in lines[3:]), "the sentence and the legend are folded later"
    elif not values:
        assert text.strip() == "No day has a report yet"


def test_every_peak_survives_thinning() -> None:
    from modelspine_console.draw.plots import thinned

    points = [(float(n), 5.0 if n == 777 else 0.1) for n in range(10_000)]
    few = thinned(points, 160)
    assert len(few) <= 160
    assert (777.0, 5.0) in few


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (("a b", "a c", "d b", "d c"), 4),
        (("a×b", "a×c", "d×b", "(unseen)", "e f + g h"), 3),
        (("a/b", "c/d", "e/f", "g/h"), 0),
        (("≤ 3", "> 3"), 0),
        (("passed as right", "corrected"), 0),
        (("a", "b"), 0),
        ((), 0),
    ],
)
def test_two_way_features_are_found_whatever_they_are_called(names: tuple[str, ...], rows: int) -> None:
    assert len(two_way(feature(0.1, *names).bins)) == rows


def test_signs_are_those_of_the_command() -> None:
    for status in ("insufficient", "stable", "watch", "act"):
        assert tabs.status(status).plain == status_cell(status).text


async def test_every_tab_begins_with_the_sentence_of_the_twin(days: Any, twin: Any) -> None:
    whole = twin("drift", "show", "--weeks", "5200", "--json").json
    day = twin("drift", "show", "--day", REPORTED, "--json").json
    said = {"trend": whole["sentences"]["trend"], "weekdays": whole["sentences"]["weekdays"]}
    async with days(screen="drift", argument=REPORTED, size=(200, 40)) as desk:
        await desk.press("enter", "z")
        for tab in desk.app.view.TABS:
            assert desk.app.view.tab == tab
            assert tab == "expected" or said.get(tab, day["sentence"]) in " ".join(desk.text().split())
            await desk.press("]")
        await desk.press("[")
        assert desk.app.view.tab == "weekdays"
        calendar = next(line for line in desk.lines() if line.strip().startswith("2026-11-16"))
        assert "[" in calendar, "the selected day is marked"
        assert any(line.split()[:1] == ["Tuesday"] for line in desk.lines())
