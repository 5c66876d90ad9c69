"""The five states of a pane, freshness, and the room a terminal gives."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelspine.errors import Unavailable
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger
from modelspine_console.data.source import Source


class Slow(Source):
    """Waits where it is told to."""

    def __init__(self, spine: Spine) -> None:
        super().__init__(spine)
        self.gate = threading.Event()

    def entries(self) -> Any:
        self.gate.wait(10)
        return super().entries()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


async def test_loading_then_ready(spine: Spine, run_console: Any) -> None:
    source = Slow(spine)
    threading.Timer(0.6, source.gate.set).start()
    async with run_console(source) as desk:
        assert desk.app.view.list.state == "ready"
    source = Slow(spine)
    async with run_console(Source(spine)) as desk:
        desk.app.source = source
        desk.app.view.list.turn("loading", "reading the registry …")
        desk.app.view.reload()
        await desk.pilot.pause(0.1)
        assert "reading the registry …" in desk.text()
        source.gate.set()
        await desk.settle()
        assert "4 of 4" in desk.text()


async def test_empty_project_says_what_to_do(tmp_path: Path, run_console: Any) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    settings = load(root, environ={"SPINE_ROOT": str(root), "USER": "ada"})
    create_ledger(settings, "prod")
    with Spine(settings, readonly=True) as spine:
        async with run_console(Source(spine)) as desk:
            assert "no entries" in desk.text()
            assert "spine register" in desk.text()
            assert desk.lines()[0].startswith(" PROD ▸ empty nothing in production ▸ READ-ONLY")
            await desk.press("2")
            assert "nothing is in production yet" in desk.text()
            for key in "456":
                await desk.press(key)
                assert "a → b" not in desk.text(), "signs that are not drawn need no legend"
                assert desk.app.view.list.state == "empty", key
                assert "there are no traces at" in desk.app.view.list.message
                assert "spine serve" in desk.app.view.list.message
                assert all(pane.state == "empty" and pane.message for pane in desk.app.view.panes), "no pane is blank"
            assert not desk.app._notifications, "nothing failed"
            await desk.press("7")
            assert "1 of 1" in desk.text()


async def test_filtered_to_nothing_says_of_how_many(console: Any) -> None:
    async with console() as desk:
        await desk.press("slash")
        await desk.type("nobody")
        assert "no matches in 4 rows" in desk.text()
        await desk.press("enter", "escape")
        assert "4 of 4" in desk.text()


async def test_no_ledger_is_an_error_with_a_way_out(tmp_path: Path, run_console: Any) -> None:
    settings = load(tmp_path, environ={"SPINE_ROOT": str(tmp_path)})
    with Spine(settings, readonly=True) as spine:
        async with run_console(Source(spine)) as desk:
            assert desk.app.view.list.state == "error"
            assert "there is no" in desk.text()
            assert "disconnected" in desk.lines()[0]


async def test_a_password_in_the_ledgers_url_is_not_on_the_screen(console: Any) -> None:
    url = "postgresql://spine:hunter1@db.example/ops?schema=tutor&password=hun/ter2&sslrootcert=/etc/ca.pem"
    async with console() as desk:
        opened = desk.app.source._spine
        opened.settings = msgspec.structs.replace(opened.settings, ledger=url)
        shown = desk.app.context().ledger
    assert shown.startswith("ops?schema=tutor&")
    assert "hun" not in shown
    assert "ter" not in shown


async def test_old_data_is_stale_then_live_again(spine: Spine, run_console: Any) -> None:
    clock = Clock()
    async with run_console(Source(spine), clock=clock, interval=3600) as desk:
        assert "live" in desk.lines()[0]
        clock.time += timedelta(seconds=3 * 3600 + 1)
        desk.app.tick()
        await desk.settle()
        assert "stale" in desk.lines()[0]
        assert "stale" in desk.lines()[2]
        assert "v0.3.0" in desk.text(), "numbers stay"
        await desk.press("r")
        assert "live" in desk.lines()[0]
        assert "stale" not in desk.lines()[2]


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_ledger_that_goes_away_is_disconnected(
    project: Path, spine: Spine, run_console: Any, replaced: bool
) -> None:
    async with run_console(Source(spine), interval=3600) as desk:
        ledger = project / ".spine/ledger.db"
        kept = project / ".spine/kept.db"
        ledger.rename(kept)
        if replaced:
            create_ledger(spine.settings, "dev")
        desk.app.freshness.look()
        await desk.settle()
        assert "disconnected" in desk.lines()[0]
        assert "v0.3.0" in desk.text(), "numbers stay"
        await desk.press("exclamation_mark")
        assert ("the ledger was replaced by another one" if replaced else "there is no ledger at") in desk.text()
        await desk.press("escape")
        for key in ("j", "2", "6", "7", "1", "v", "o", "slash", "escape"):
            await desk.press(key)
        if not replaced:
            create_ledger(spine.settings, "dev")
            desk.app.freshness.look()
            await desk.settle()
            await desk.press("exclamation_mark")
            assert "the ledger was replaced by another one" in desk.text(), "the newest reason, with its way out"
            assert "refresh opens it anyway" in desk.text()
            await desk.press("escape")
            kept.rename(ledger)
        await desk.press("r")
        assert "live" in desk.lines()[0]


async def test_a_ledger_that_was_deleted_and_restored_is_live_by_itself(
    project: Path, spine: Spine, run_console: Any
) -> None:
    async with run_console(Source(spine), interval=3600) as desk:
        ledger = project / ".spine/ledger.db"
        kept = shutil.copy(ledger, project / ".spine/kept.db")
        ledger.unlink()
        desk.app.freshness.look()
        await desk.settle()
        assert "disconnected" in desk.lines()[0]
        shutil.copy(kept, ledger)
        with Spine(spine.settings, readonly=False) as other:
            other.registry.note("written after the restore")
        desk.app.freshness.look()
        await desk.settle()
        assert "live" in desk.lines()[0]
        await desk.press("7")
        assert "written after the restore" in desk.text()


async def test_an_unexpected_error_is_shown_and_nothing_dies(spine: Spine, run_console: Any) -> None:
    class Broken(Source):
        def detail(self, sha: str) -> Any:
            raise RuntimeError(f"boom {sha[:4]}")

        def events(self) -> Any:
            raise Unavailable("the ledger sleeps", "wake it")

    async with run_console(Broken(spine)) as desk:
        assert "RuntimeError: boom" in desk.text()
        await desk.press("7")
        assert "the ledger sleeps" in desk.text()
        assert "wake it" in desk.text()


async def test_an_answer_to_an_older_question_is_dropped(console: Any) -> None:
    from modelspine_console.app_protocol import Answer
    from modelspine_console.data.jobs import Outcome

    async with console() as desk:
        view = desk.app.view
        before = view.shown
        view.post_message(Answer("detail", view._generations["detail"] - 1, Outcome(error="too late")))
        await desk.settle()
        assert view.shown is before
        assert "too late" not in desk.text()


@pytest.mark.parametrize(
    ("size", "panes"),
    [
        ((60, 16), 1),
        ((80, 24), 1),
        ((83, 24), 1),
        ((84, 24), 2),
        ((109, 36), 2),
        ((110, 36), 3),
        ((140, 36), 3),
        ((200, 60), 3),
        ((400, 60), 3),
    ],
)
async def test_panes_follow_the_width(console: Any, size: tuple[int, int], panes: int) -> None:
    async with console(size=size) as desk:
        view = desk.app.view
        assert sum(pane.display for pane in view.panes) == panes
        above = view.about.display and view.about.region.y > view.list.region.y
        assert above == (panes > 1 and size[0] < 400), "the list stands above its details where its columns need that"
        assert all(len(line) <= size[0] for line in desk.lines())
        assert "● production" in desk.text()
        await desk.press("enter")
        assert desk.app.view.panes[1].display
        await desk.press("escape")
        assert desk.app.view.panes[0].display


@pytest.mark.parametrize("size", [(59, 16), (60, 15), (59, 15), (20, 5), (1, 1)])
async def test_too_small_says_so_and_recovers(console: Any, size: tuple[int, int]) -> None:
    async with console(size=size) as desk:
        if size[0] > 10:
            assert "too small" in desk.text()
        assert "production" not in desk.text()
        await desk.press("j", "2", "1")
        await desk.pilot.resize_terminal(80, 24)
        await desk.settle()
        assert "● production" in desk.text()


async def test_without_colour_every_status_still_has_glyph_and_word(spine: Spine, run_console: Any) -> None:
    async with run_console(Source(spine), plain=True) as desk:
        text = desk.text()
        for shown in ("● production", "✖ tombstoned", "… pending", "○ promoted", "● live"):
            assert shown in text
        assert "▌" in text, "the cursor is a sign and not a colour alone"


class Long(Source):
    """Needs longer for a list than lies between two looks."""

    def traces(self, asked: Any) -> Any:
        threading.Event().wait(0.7)
        return super().traces(asked)


async def test_a_list_that_outlasts_a_look_is_shown_all_the_same(spine: Spine, run_console: Any) -> None:
    async with run_console(Source(spine), interval=0.2) as desk:
        desk.app.source = Long(spine)
        await desk.pilot.press("6")
        for _ in range(60):
            await desk.pilot.pause(0.1)
            if desk.app.view.list.state == "ready":
                break
        assert desk.app.view.list.state == "ready", "asked for at every look, its answer never was the newest"
        desk.app.freshness.paused = True
        await desk.settle()
