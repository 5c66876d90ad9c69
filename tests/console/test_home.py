"""The Home screen: one line for each thing an operator wants to know first; every line opens what it is about."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import console_seed
from answers import Arm, leave_answers
from modelspine.cli import main
from modelspine.errors import Unavailable
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger
from modelspine_console import frame
from modelspine_console.data.source import Source
from modelspine_console.draw.theme import NAMES, Palette
from observed import record_uptime

NOON_NS = int(console_seed.NOON.timestamp()) * 10**9
OPENS = {
    "production": "registry", "rollout": "traffic", "requests": "traffic", "accuracy": "drift", "drift": "drift",
    "incidents": "incident", "holds": "registry", "servers": "traffic", "money": "cost",
}  # fmt: skip


def line_of(desk: Any, name: str) -> str:
    """The line of the list with this name."""
    return next(line for line in desk.lines()[3:13] if f" {name} " in line)


def test_servers_that_are_not_ours_have_no_number(canary: None, project: Path) -> None:
    """No server of ours recorded uptime: while requests are new, somebody answers them, but nobody knows how many."""
    with console_seed.open_project(project) as spine:
        last = spine.traces.list(limit=1).traces[0]
        soon = datetime.fromtimestamp(last.started_ns // 10**9 + 60, UTC)
        assert Source(spine).servers(soon) is None
        assert Source(spine).servers(soon + timedelta(hours=1)) == 0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


async def test_it_is_the_first_screen_and_shows_what_the_headless_twin_does(
    spine: Spine, run_console: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with run_console(Source(spine), screen="home", size=(160, 40)) as desk:
        shown = {fact.name: fact for fact in desk.app.view.table.shown}
        assert desk.lines()[1].startswith(" 0 Home  1 Registry  2 Lineage")
        for name, fact in shown.items():
            assert fact.text[:60] in line_of(desk, name)
        await desk.press("e")
    assert main(["--root", str(project), "info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["overview"]
    assert [line["name"] for line in told["lines"]] == list(shown)
    assert told["lines"][0]["text"].split(" since ")[0] == shown["production"].text.split(" since ")[0]
    assert told["now"]["last_request"] == desk.app.view.seen.last_request
    assert told["day"]["dismissed"] == 6
    (file,) = (project / ".spine/exports").glob("home*.json")
    assert json.loads(file.read_bytes())["day"]["dismissed"] == 6
    assert "6 dismissed" in shown["incidents"].text
    assert main(["--root", str(project), "info"]) == 0
    assert shown["holds"].text in capsys.readouterr().out


@pytest.mark.parametrize("name", OPENS)
async def test_every_line_opens_its_screen(days: Any, name: str) -> None:
    async with days(screen="home") as desk:
        desk.app.view.table.seek(name)
        await desk.press("enter")
        assert desk.app.trail[-1] == OPENS[name]
        if name == "production":
            assert desk.app.view.table.current.production
        await desk.press("0")
        assert desk.app.trail[-1] == "home"


async def test_a_click_opens_a_line_and_its_second_half_opens_nothing_more(console: Any) -> None:
    async with console(screen="home") as desk:
        await click(desk, 20, 3, times=2)
        assert desk.app.trail[-1] == "registry"
        assert desk.app.view.active == 0, "the second click of a double one is not one of this table"
        await click(desk, 20, 5, times=2)
        assert desk.app.view.active == 1


async def click(desk: Any, x: int, y: int, *, times: int = 1) -> None:
    """Click at a place of the terminal."""
    await desk.pilot.click(offset=(x, y), times=times)
    await desk.settle()


async def test_the_tabs_are_clicked_where_they_are_drawn(console: Any) -> None:
    async with console(screen="home", size=(80, 24)) as desk:
        for key, name, title in frame_screens():
            at = desk.lines()[1].index(f"{key} {title}")
            await click(desk, at + len(title), 1)
            assert desk.app.trail[-1] == name
            desk.app.open_view("home")
            await desk.settle()


def frame_screens() -> Any:
    """The screens of the row of tabs."""
    from modelspine_console.action import SCREENS

    return SCREENS


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("parts", [("home",), ("registry", "v0.3.0", "summary"), ("incident", "x" * 70)])
def test_the_row_of_tabs_keeps_every_key_and_the_last_crumb(width: int, parts: tuple[str, ...]) -> None:
    screens = [(key, title, name == parts[0]) for key, name, title in frame_screens()]
    line = frame.tabs(screens, parts, width).plain
    assert len(line) == width
    for number, (key, title, here) in enumerate(screens):
        at = line.index(f" {key} {title if here else ''}") + 1
        assert frame.tab_at(screens, parts, width, at) == number
    assert frame.tab_at(screens, parts, width, width - 1) is None
    if len(parts) > 1 and len(parts[-1]) < 10:
        assert line.rstrip().endswith(parts[-1])


async def test_a_live_service_that_stopped_says_so_and_a_running_server_is_counted(
    console: Any, canary: None, project: Path
) -> None:
    clock = Clock(console_seed.NOON + timedelta(minutes=68))
    async with console(screen="home", clock=clock, size=(140, 36)) as desk:
        assert "! requests" in line_of(desk, "requests")
        assert "0 req/s · last request 58 min ago" in line_of(desk, "requests")
        assert "no server is running, so it gets no requests" in line_of(desk, "rollout")
        assert "no server" in desk.lines()[0]
        clock.time += timedelta(minutes=1)
        desk.app.tick()
        await desk.settle()
        assert "last request 59 min ago" in line_of(desk, "requests")
        record_uptime(console_seed.settings_of(project).traces, NOON_NS, 69 * 60)
        desk.app.freshness.look()
        await desk.settle()
        assert "✔ servers" in line_of(desk, "servers")
        assert "1 running" in line_of(desk, "servers")
        assert "no server" not in line_of(desk, "rollout")
        assert "1 server" in desk.lines()[0]


async def test_replayed_traffic_is_named_on_home_and_traffic(console: Any, project: Path, shas: dict[str, str]) -> None:
    with console_seed.open_project(project) as spine:
        route = spine.registry.route()
        assert route is not None
        url = spine.settings.traces
    start = NOON_NS + 400 * 86_400 * 10**9  # ahead of this machine's clock, as a simulated week may be
    leave_answers(url, route, {"stable": Arm()}, start_ns=start, seconds=60, requests=50, learners=9, source="replay")
    past = Clock(console_seed.NOON + timedelta(days=400, minutes=1))
    async with console(screen="home", clock=past) as desk:
        assert "(replayed)" in line_of(desk, "requests")
    past.time += timedelta(days=3)
    async with console(screen="home", clock=past, size=(140, 30)) as desk:
        assert "replayed traffic; its last request is dated 2027-12-27 12:00Z" in line_of(desk, "requests")
        assert "replayed traffic needs none" in line_of(desk, "servers")
        assert "figures: replayed 24 h to 2027-12-27 12:01Z" in desk.lines()[2]
        await desk.press("3")
        assert "replayed to 2027-12-27 12:00Z" in desk.lines()[2]
    with console_seed.open_project(project) as spine:
        spine.routing.single(shas["lora"], reason="an epoch without requests")
    async with console(screen="home", clock=past, size=(140, 30)) as desk:
        assert "replayed traffic; its last request is dated 2027-12-27 12:00Z" in line_of(desk, "requests")
        assert "· servers" in line_of(desk, "servers")


async def test_its_five_states(console: Any, run_console: Any, spine: Spine, tmp_path: Path) -> None:
    class Waiting(Source):
        def __init__(self, spine: Spine) -> None:
            super().__init__(spine)
            self.gate = threading.Event()

        def glance(self, now: datetime) -> Any:
            self.gate.wait(10)
            return super().glance(now)

    waiting = Waiting(spine)
    async with run_console(Source(spine), screen="registry") as desk:
        desk.app.source = waiting
        desk.app.open_view("home")
        await desk.pilot.pause(0.1)
        assert "reading the overview …" in desk.text()
        waiting.gate.set()
        await desk.settle()
        assert "production" in desk.text()
        await desk.press("/")
        await desk.type("state:warn")
        assert {fact.name for fact in desk.app.view.table.shown} == {"requests", "incidents", "servers"}
        await desk.type(" nothing-like-this")
        assert "no matches in 9 rows" in desk.text()
        await desk.press("escape")
        desk.app.view.dim(True)
        assert "stale" in desk.text()
    settings = load(tmp_path, environ={"SPINE_ROOT": str(tmp_path)})
    with Spine(settings, readonly=True) as none:
        async with run_console(Source(none), screen="home") as desk:
            assert desk.app.view.list.state == "error"
            assert "spine init" in desk.text()
    create_ledger(settings, "prod")
    with Spine(settings, readonly=True) as empty:
        async with run_console(Source(empty), screen="home") as desk:
            assert desk.app.view.list.state == "empty"
            assert "spine register" in desk.text()


async def test_a_canary_before_any_server_was_started_says_so(
    console: Any, canary: None, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(Path(console_seed.settings_of(project).traces.removeprefix("sqlite:///")), gone=True)
    async with console(screen="home", size=(140, 30)) as desk:
        assert "no server is running, so it gets no requests" in line_of(desk, "rollout")
        assert "! servers" in line_of(desk, "servers")
        assert "? requests" in line_of(desk, "requests"), "the traces may be lost"
        await desk.press("3")
        assert "no server" in desk.lines()[2]
    assert main(["--root", str(project), "route", "show"]) == 0
    assert "no server is running: the canary gets no requests" in capsys.readouterr().out


def damage(file: Path, *, gone: bool = False) -> None:
    """Overwrite or remove a database."""
    if gone:
        file.unlink()
    else:
        file.write_bytes(b"no database" * 1_000)


async def test_traces_that_cannot_be_read_are_not_checked(console: Any, project: Path) -> None:
    damage(Path(console_seed.settings_of(project).traces.removeprefix("sqlite:///")))
    async with console(screen="home", size=(140, 30)) as desk:
        for name in ("requests", "accuracy", "incidents", "servers", "money"):
            assert f"? {name}" in line_of(desk, name)
            assert "not checked" in line_of(desk, name)
        assert "✔ production" in line_of(desk, "production")
        assert "not checked: requests" in desk.lines()[2]


async def test_the_header_names_production_and_a_prod_ledger_has_a_skin_of_its_own(
    console: Any, canary: None, run_console: Any, tmp_path: Path
) -> None:
    async with console(screen="home", size=(120, 30)) as desk:
        assert desk.lines()[0].startswith(" dev ▸ project v0.1.0 since ")
        assert "canary 30 %" in desk.lines()[0]
        assert desk.app.header.base == "bar"
    settings = load(tmp_path, environ={"SPINE_ROOT": str(tmp_path)})
    create_ledger(settings, "prod")
    with Spine(settings, readonly=True) as opened:
        async with run_console(Source(opened), screen="home") as desk:
            assert desk.app.header.base == "prod"
            assert desk.lines()[0].startswith(" PROD ")
    for name in NAMES:
        assert Palette(name).style("prod").background != Palette(name).style("bar").background
    assert Palette(NAMES[0], plain=True).style("prod") != Palette(NAMES[0], plain=True).style("bar")


async def test_live_stands_only_beside_what_was_read_within_its_interval(days: Any) -> None:
    clock = Clock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    async with days(screen="drift", clock=clock) as desk:
        assert "● live" in desk.lines()[0]
        clock.time += timedelta(minutes=4)
        desk.app.freshness.look()  # the ledger answers, but nobody reads the days again
        await desk.settle()
        assert "live" not in desk.lines()[0]
        assert "○ read 4min ago" in desk.lines()[0]
        await desk.press("1")
        assert "● live" in desk.lines()[0], "the registry follows the ledger alone"
        await desk.press("4", "r")
        assert "● live" in desk.lines()[0]


@pytest.mark.parametrize(("screen", "key"), [("registry", "G"), ("ledger", "G")])
async def test_ages_tick_in_lists_and_details(console: Any, screen: str, key: str) -> None:
    clock = Clock(datetime.now(UTC) + timedelta(hours=3))
    async with console(screen=screen, clock=clock) as desk:
        await desk.press(key)
        for age in ("3 h", "4 h"):
            pane = desk.app.view.about if screen == "registry" else desk.app.view.list
            shown = pane.region
            lines = [line[shown.x : shown.right] for line in desk.lines()[shown.y : shown.bottom]]
            assert any(f" {age} " in f"{line} " for line in lines)
            clock.time += timedelta(hours=1)
            desk.app.freshness.answered = clock.time.timestamp()
            desk.app.tick()
            await desk.settle()


async def test_a_failure_to_look_keeps_the_lines_and_says_so(spine: Spine, run_console: Any) -> None:
    class Failing(Source):
        broken = False

        def glance(self, now: datetime) -> Any:
            if self.broken:
                raise Unavailable("the ledger is locked", "try again")
            return super().glance(now)

    source = Failing(spine)
    async with run_console(source, screen="home") as desk:
        source.broken = True
        desk.app.view.reload()
        await desk.settle()
        assert desk.app.view.list.state == "ready"
        assert "the ledger is locked" in " ".join(toast.message for toast in desk.app._notifications)


async def test_the_figures_are_read_less_often_than_the_rest_and_their_age_is_shown(
    spine: Spine, run_console: Any
) -> None:
    class Counting(Source):
        glances = days = 0

        def glance(self, now: datetime) -> Any:
            self.glances += 1
            return super().glance(now)

        def day(self, seen: Any, moment: str | None, clock: Any) -> Any:
            self.days += 1
            return super().day(seen, moment, clock)

    source, clock = Counting(spine), Clock(datetime.now(UTC))
    async with run_console(source, screen="home", clock=clock) as desk:
        for _ in range(3):
            desk.app.view.reload()
            await desk.settle()
        assert (source.glances >= 4, source.days) == (True, 1)
        await desk.press("r")
        assert source.days == 2, "r reads everything again"
        clock.time += timedelta(seconds=40)
        desk.app.tick()
        assert desk.app.view.list.aside == "figures: last 24 h · 40 s old"
        desk.app.view.reload()
        await desk.settle()
        assert source.days == 3
        assert desk.app.view.list.aside == "figures: last 24 h"
