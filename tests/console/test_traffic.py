"""The Traffic screen over a true project: its values are the headless report's, its states, and where it leads."""

from __future__ import annotations

import json
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import console_seed
from modelspine.cli.run import main
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger
from modelspine.times import ledger_time, nanoseconds
from modelspine.traffic.canary import consider
from modelspine_console.data.source import Source
from modelspine_console.data.traffic_source import Reading, Traffic
from modelspine_console.screens.traffic_tabs import noted

SIZE = (170, 44)
LATER = console_seed.NOON + timedelta(minutes=10)
NEXT = "right_square_bracket"


@pytest.fixture
def told(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a headless command says, as JSON."""
    monkeypatch.setenv("SPINE_ROOT", str(project))

    def ask(*words: str) -> Any:
        assert main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def row_of(desk: Any, arm: str) -> str:
    return next(line for line in desk.lines()[4:] if f" {arm} " in line)


def share(k: int, n: int) -> str:
    return f"{k:,}/{n:,} {100 * k / n:5.1f}"


# values -----------------------------------------------------------------------------------------------


async def test_the_arms_are_those_of_the_headless_report(console: Any, canary: None, told: Any) -> None:
    report, shown = told("route", "report"), told("route", "show")
    units = sum(arm["units"] for arm in report["arms"])
    async with console(screen="traffic", size=SIZE, clock=lambda: LATER) as desk:
        heads = "arm model target actual % 30 min req/s p50 ms p95 ms p99 ms errors graded correct % accepted %"
        assert " ".join(desk.lines()[3].split()) == heads
        for arm in report["arms"]:
            line = row_of(desk, arm["name"])
            said = arm["feedback"]
            for value in (
                f"{arm['semver']} {arm['sha'][:12]}",
                f"{arm['set_bp'] / 100:.2f}",
                share(arm["units"], units),
                *(f"{1000 * arm[name]:.1f}" for name in ("p50", "p95", "p99")),
                f"{arm['errors']}/{arm['requests']}",
                share(arm["graded"]["k"], arm["graded"]["n"]),
                share(said["accepted"], sum(said.values())),
            ):
                assert value in line, (value, line)
        assert "● stable" in desk.text()
        assert "◐ canary" in desk.text()
        assert f"canary v0.3.0 · step 1 of 3 · holds; waiting for {shown['canary']['waits_for'][0]}" in desk.lines()[2]
        await desk.press("e")
    assert report["arms"][1]["errors"] > 0


async def test_an_export_is_the_headless_report(console: Any, canary: None, told: Any, project: Path) -> None:
    async with console(screen="traffic") as desk:
        await desk.press("e")
    (file,) = (project / ".spine/exports").glob("traffic-epoch-*.json")
    assert json.loads(file.read_bytes()) == told("route", "report")


async def test_the_pace_is_the_headless_one(console: Any, canary: None, told: Any) -> None:
    pace = told("route", "show")["pace"]
    assert (pace["quiet"], pace["replayed"]) == (False, False)
    async with console(screen="traffic", size=SIZE) as desk:
        for arm in pace["arms"]:
            assert f" {arm['per_second']:.2f} " in row_of(desk, arm["name"])
        assert " 0.00 " in row_of(desk, "stable")
        assert "no server · 0 req/s · last request " in desk.lines()[2], "a rate of the past is none of now"
        await desk.press("j", NEXT, NEXT)
        assert "0.00   no server   0 req/s · last request " in desk.text()
        assert f"{sum(pace['arms'][1]['minutes']):,} requests" in desk.text()


async def test_the_comparison_says_what_may_be_peeked_at(console: Any, canary: None, told: Any, spine: Spine) -> None:
    report, said = told("route", "report"), told("route", "show")
    route = spine.registry.route()
    assert route is not None
    since = nanoseconds(report["since"])
    decision = consider(spine.traces.evidence, route, since, datetime.now(UTC))
    async with console(screen="traffic", size=(120, 36)) as desk:
        text = desk.text()
        found = report["difference"]["graded"]
        interval = f"{100 * found['value']:+.1f} pp [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
        assert f"graded correct  {interval}" in text
        assert "always-valid intervals: safe to check at any time" in text
        assert f"✔ matches the weights (Bayes factor {report['split']['bayes_factor']:.2g}" in text
        assert f"{decision.verdict}  " in text
        assert decision.reason[:40] in text
        assert "2 pp correct answers, 1 pp errors, 50 % mean latency" in text
        await desk.press(NEXT)
        text = desk.text()
        assert said["sentence"][:70] in text
        assert f"├─ ◐ 30 %   now      target 30.00   actual {said['steps'][0]['actual_bp'] / 100:.1f}" in text
        assert "├─ ○ 60 %   next     target 60.00   needs 60 s and 5,000 answers" in text
        answers = next(line for line in desk.lines() if "│     answers" in line)
        assert f"{said['steps'][0]['evidence'][-1]['have']} of 5,000 graded answers" in answers
        assert "━" in answers
        assert "─" in answers
        for waits in decision.waits_for:
            assert waits in text


async def test_a_split_that_is_not_as_set_is_told(console: Any, canary: None, spine: Spine, project: Path) -> None:
    route = spine.registry.route()
    assert route is not None
    by_hand = sqlite3.connect(project / ".spine/traces.db")
    for table in ("unit_sums", "requests"):
        query = f"UPDATE {table} SET arm = 'canary' WHERE epoch = ? AND arm = 'stable' AND u > 'a'"
        by_hand.execute(query, (route.epoch,))
    by_hand.commit()
    by_hand.close()
    async with console(screen="traffic") as desk:
        assert "✖ sample-ratio mismatch" in desk.text()


async def test_an_arm_that_fails_is_named_beside_the_comparison_and_on_its_own(
    console: Any, project: Path, shas: dict[str, str], told: Any
) -> None:
    console_seed.try_out(project, "ab", shas["lora"], failed=1.0)
    (note,) = told("route", "show")["notes"]
    failed = told("route", "report")["arms"][0]["errors"]
    said = f"the stable arm fails on {failed} of {failed} requests;"
    assert said in note
    async with console(screen="traffic", size=(120, 40)) as desk:
        assert said in " ".join(desk.text().split())
        assert f"stable v0.1.0 none, {failed} of {failed} failed; counted by" in " ".join(desk.text().split())
        await desk.press(NEXT)
        assert said in " ".join(desk.text().split())


@pytest.mark.parametrize(
    ("recent", "shown"),
    [(None, ["the epoch's"]), ((), []), (("the last hour's",), ["the last hour's"])],
)
def test_notes_of_the_last_hour_replace_those_of_the_epoch_once_they_were_read(
    recent: tuple[str, ...] | None, shown: list[str]
) -> None:
    """Also where the last hour has none: an arm that failed at first and is well now is no longer named."""
    traffic = Traffic(epochs=(), shown=None, pace=None, notes=recent, problem="", hint="", untraced=False, denied={})
    report: Any = SimpleNamespace(notes=("the epoch's",))
    assert [line.plain for _, line in noted(report, traffic)] == shown


async def test_a_shadow_is_shown_as_pairs(console: Any, project: Path, shas: dict[str, str], told: Any) -> None:
    console_seed.try_out(project, "shadow", shas["int8"], share_bp=5000)
    report = told("route", "report")
    async with console(screen="traffic", size=(120, 40)) as desk:
        text = desk.text()
        assert "▸shadow" in text
        assert "◌ shadow" in text
        for square in (report["shadow"]["pairs"], *report["shadow"]["buckets"]):
            cells = [square[name] for name in ("both", "only_live", "only_shadow", "neither")]
            name = "both graded" if square["bucket"] == "all" else square["bucket"]
            line = next(line for line in desk.lines() if line.strip().startswith(square["bucket"]))
            assert line.split()[-5:] == [*(f"{cell:,}" for cell in cells), f"{square['p']:.2g}"], name
        assert "each learner counted once" in text
        copied = next(arm for arm in report["arms"] if arm["name"] == "shadow")
        assert share(copied["requests"], 1_200) in row_of(desk, "shadow")


# where it leads ---------------------------------------------------------------------------------------


async def test_an_epoch_opens_its_own_report(console: Any, canary: None, told: Any) -> None:
    epochs = told("route", "epochs")["epochs"]
    assert [each["route"]["strategy"] for each in epochs] == ["canary", "single"]
    first = epochs[1]["route"]["epoch"]
    report = told("route", "report", "--epoch", str(first))
    assert report["arms"][0]["requests"] == 240
    async with console(screen="traffic", size=SIZE) as desk:
        await desk.press("d", NEXT, NEXT, NEXT, "z")
        assert "▸epochs" in desk.text()
        assert "it knows went" in desk.text()
        await desk.press("z", "j", "enter")
        assert f"traffic ▸ epoch #{first}" in desk.lines()[1]
        assert "single · ended" in desk.lines()[2]
        assert "0/240" in row_of(desk, "stable")
        assert "canary" not in "\n".join(desk.lines()[3:6])
        await desk.press("escape")
        assert "step 1 of 3" in desk.lines()[2]
        desk.app.navigation.jump(f"traffic {first}")
        await desk.settle()
        assert "0/240" in row_of(desk, "stable")
        desk.app.navigation.jump("traffic nowhere")
        await desk.settle()
        assert "nowhere is no epoch number" in desk.app.freshness.last_error.error
        desk.app.navigation.jump("traffic 999")
        await desk.settle()
        assert "no epoch #999 here" in desk.app.freshness.last_error.error
        assert "step 1 of 3" in desk.lines()[2]


async def test_a_request_opens_its_walk(console: Any, canary: None, spine: Spine) -> None:
    newest = spine.traces.list(limit=2).traces
    async with console(screen="traffic", size=(120, 36)) as desk:
        await desk.press("d", "left_square_bracket")
        assert "▸requests" in desk.text()
        await desk.press("j", "y")
        assert desk.app.clipboard == newest[1].request_id
        await desk.press("enter")
        assert desk.app.view.NAME == "incident"
        assert desk.app.view.request == newest[1].request_id


async def test_another_moment_shows_the_route_of_then(console: Any, canary: None, spine: Spine) -> None:
    event = next(event for event in spine.registry.events() if event.kind == "tombstoned")
    async with console(screen="traffic", size=(120, 36)) as desk:
        desk.app.navigation.jump(f"at {event.at}")
        await desk.settle()
        assert "single · 0 req/s" in desk.lines()[2]
        assert "◐ canary" not in desk.text()
        desk.app.navigation.jump("at now")
        await desk.settle()
        assert "◐ canary" in desk.text()


async def test_an_arm_leads_to_its_lineage_and_its_requests(console: Any, canary: None, shas: dict[str, str]) -> None:
    async with console(screen="traffic") as desk:
        await desk.press("j")
        assert desk.app.view.target() == shas["lora"]
        await desk.press("o")
        assert desk.app.view.NAME == "lineage"
        await desk.press("minus", "i")
        assert desk.app.view.NAME == "incident"
        assert f"sha:{shas['lora']}" in desk.app.view.filter_text


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 30), (139, 40), (140, 40), (200, 60)])
async def test_it_fits_every_terminal(console: Any, canary: None, size: tuple[int, int]) -> None:
    async with console(screen="traffic", size=size) as desk:
        for keys in (("d",), (NEXT,), ("z",), ("z",), ("tab",), ("shift+tab",), ("tab",), ("escape",)):
            await desk.press(*keys)
            text = desk.text()
            assert desk.app._exception is None
            assert "90" in text or "arm" in text
        beside = size[0] >= 140
        assert desk.app.view.beside.display is beside
        assert desk.app.view.list.display
        assert desk.app.view.about.display


# states -----------------------------------------------------------------------------------------------


async def test_nothing_routed_and_nothing_traced_each_say_the_way_out(tmp_path: Path, run_console: Any) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    settings = load(root, environ={"SPINE_ROOT": str(root), "USER": "ada"})
    create_ledger(settings, "dev")
    with Spine(settings, readonly=True) as spine:
        async with run_console(Source(spine), screen="traffic") as desk:
            assert desk.app.view.list.state == "empty"
            assert "nothing is routed yet" in desk.text()
            assert "spine promote" in desk.text()
            desk.app.navigation.jump("traffic 3")
            await desk.press("escape", "3", "enter", "escape", "e")
            assert "nothing is routed yet" in desk.text()


async def test_without_traces_the_route_stands_and_the_way_out_is_told(
    console: Any, canary: None, project: Path
) -> None:
    for file in (project / ".spine").glob("traces.db*"):
        file.unlink()
    async with console(screen="traffic") as desk:
        assert "30.00" in row_of(desk, "canary")
        assert desk.app.view.about.state == "empty"
        assert "there are no traces at" in desk.text()
        assert "spine serve" in desk.text()
        await desk.press("left_square_bracket")
        assert "▸requests" in desk.text()
        assert "there are no traces at" in desk.text()


async def test_traces_that_cannot_be_read_are_an_error_and_the_route_stands(
    console: Any, canary: None, project: Path
) -> None:
    for file in (project / ".spine").glob("traces.db*"):
        file.unlink()
    (project / ".spine/traces.db").write_bytes(b"this is no database at all, whatever it is called" * 100)
    async with console(screen="traffic") as desk:
        assert "30.00" in row_of(desk, "canary")
        assert desk.app.view.about.state == "error"
        await desk.press(NEXT)
        assert "unknown: " in desk.text()


async def test_filtered_to_nothing_and_stale(console: Any, canary: None) -> None:
    time = [datetime.now(UTC)]
    async with console(screen="traffic", clock=lambda: time[0], interval=3600) as desk:
        await desk.press("slash")
        await desk.type("arm:nobody")
        assert "no matches in 2 rows" in desk.text()
        await desk.press("enter", "escape")
        assert "◐ canary" in desk.text()
        time[0] += timedelta(hours=4)
        desk.app.tick()
        await desk.settle()
        assert "stale" in desk.lines()[0]
        assert "stale" in desk.lines()[2]
        assert "30.00" in row_of(desk, "canary"), "numbers stay"


class Slow(Source):
    """Takes ten seconds of the clock for a report, and counts them."""

    time = LATER
    read = 0

    def report(self, *asked: Any) -> Reading:
        self.read += 1
        found = super().report(*asked)
        return Reading(report=found.report, decision=found.decision, at=self.time, took=timedelta(seconds=10))


async def test_a_report_that_is_slow_to_read_rests_and_the_route_does_not(
    spine: Spine, canary: None, run_console: Any
) -> None:
    source = Slow(spine)
    async with run_console(source, screen="traffic", clock=lambda: source.time, interval=3600) as desk:
        for seconds, read in ((0, 1), (2, 1), (98, 1), (100, 2), (102, 2)):
            source.time = LATER + timedelta(seconds=seconds)
            desk.app.freshness.look()
            await desk.settle()
            assert source.read == read, seconds
        source.time += timedelta(seconds=30)
        desk.app.freshness.look()
        await desk.settle()
        assert "report 32 s old" in desk.lines()[2]
        await desk.press("r")
        assert source.read == 3, "r reads everything again"


class Long(Source):
    """Needs longer for a report than lies between two looks, and counts them."""

    read = 0

    def report(self, *asked: Any) -> Reading:
        self.read += 1
        threading.Event().wait(1.5)
        return msgspec.structs.replace(super().report(*asked), took=timedelta(seconds=10))


async def test_a_report_that_outlasts_a_look_is_not_asked_for_again(
    spine: Spine, canary: None, run_console: Any
) -> None:
    source = Long(spine)
    async with run_console(source, screen="traffic", interval=0.3) as desk:
        assert "115/153" in row_of(desk, "stable")
        assert source.read == 1, "asked for at every look, its answer would never have been the newest"


def test_a_report_of_a_moment_counts_the_requests_until_then(canary: None, told: Any, spine: Spine) -> None:
    whole = told("route", "report")
    since = whole["since"]
    assert told("route", "report", "--at", since) == whole, "these requests are replayed ones, from before"
    assert main(["route", "report", "--at", "2020-01-01"]) != 0, "nothing was routed then"
    first, last = spine.traces.evidence.span(whole["epoch"]) or (0, 0)
    source = Source(spine)
    epoch = source.traffic(None, LATER).epochs[0]
    source.at = ledger_time((first + last) // 2)
    reading = source.report(epoch, lambda: LATER)
    assert reading.moment == source.at
    rows = spine.traces.evidence._read(
        "SELECT COUNT(*), MIN(slot) FROM requests WHERE epoch = ? AND shadow_of IS NULL AND started_ns <= ?",
        (epoch.number, (first + last) // 2),
    )
    assert sum(arm.requests for arm in reading.report.arms) == rows[0][0]
    assert 0 < rows[0][0] < sum(arm["requests"] for arm in whole["arms"])


async def test_another_moment_reads_its_own_report(spine: Spine, canary: None, run_console: Any) -> None:
    source = Slow(spine)
    async with run_console(source, screen="traffic", clock=lambda: source.time, interval=3600) as desk:
        assert source.read == 1
        await desk.press("colon")
        await desk.type(f"at {spine.registry.events()[-1].at}")
        await desk.press("enter")
        assert source.read == 2, "the report that was read is of now"


async def test_traces_that_go_away_take_the_verdict_with_them(console: Any, canary: None, project: Path) -> None:
    async with console(screen="traffic", size=(120, 36), interval=3600) as desk:
        await desk.press(NEXT)
        assert "▸ladder" in desk.text()
        assert "unknown: " not in desk.text()
        for file in (project / ".spine").glob("traces.db*"):
            file.unlink()
        desk.app.freshness.look()
        await desk.settle()
        assert "unknown: " in desk.text(), "a verdict on what was read before is one on nothing"
        assert "no traces" in desk.lines()[2]
        assert "115/153" in row_of(desk, "stable"), "numbers stay, with their age"
