"""A small true project, made once, and a console over a copy of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from textual import events
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot

import console_days
import console_seed as _seed
import console_tiny as tiny
from hostile import STRINGS
from minitutor.workload import Minitutor
from modelspine import project as project_module
from modelspine.spine import Spine
from modelspine.traffic.ladder import read_ladder
from modelspine_console.app import Console
from modelspine_console.data.source import Source
from session_folder import session_folder


@pytest.fixture(autouse=True)
def _words_of_the_tutor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that names no workload speaks as where the tutor alone is installed, whatever other tests installed."""
    real = project_module.load_workload
    monkeypatch.setattr(project_module, "load_workload", lambda name: real(name or Minitutor.name))


@pytest.fixture(autouse=True)
def _quiet_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in ("SPINE_ROOT", "SPINE_LEDGER", "SPINE_TRACES", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    return _project(tmp_path_factory, "project", _seed.small)


def _project(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], dict[str, str]]
) -> tuple[Path, dict[str, str]]:
    """A project that one of the session's workers made, and the SHAs of its entries by name."""

    def fill(folder: Path) -> None:
        (folder / "shas.json").write_text(json.dumps(make(folder / "project")))

    folder = session_folder(factory, f"console-{name}", fill)
    shas: dict[str, str] = json.loads((folder / "shas.json").read_text())
    return folder / "project", shas


@pytest.fixture
def shas(_made: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """SHAs of the project's entries by name."""
    return _made[1]


@pytest.fixture
def project(_made: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    """A copy of the project."""
    return Path(shutil.copytree(_made[0], tmp_path / "project"))


@pytest.fixture
def spine(project: Path) -> Iterator[Spine]:
    """The project's spine, read-only, with the workload of one word."""
    with Spine(_seed.settings_of(project), readonly=True) as opened:
        opened.__dict__["workload"] = tiny.Tiny()
        yield opened


@pytest.fixture(scope="session")
def _with_canary(_made: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a canary; its 1,200 requests are written once a session."""

    def make(root: Path) -> dict[str, str]:
        shutil.copytree(_made[0], root)
        # The first step waits for no time, so that what it waits for is the same however long a test takes.
        minima = ((3_000, 0), (6_000, 60), (10_000, 60))
        steps = [{"weight_bp": bp, "min_seconds": seconds, "min_samples": 5_000} for bp, seconds in minima]
        file = root / "ladder.json"
        file.write_text(json.dumps({"steps": steps}))
        _seed.try_out(root, "canary", _made[1]["lora"], ladder=read_ladder(file))
        return _made[1]

    return _project(tmp_path_factory, "canary", make)[0]


@pytest.fixture
def canary(project: Path, _with_canary: Path) -> None:
    """The LoRA entry on three tenths of the learners, the first of three steps."""
    shutil.rmtree(project)
    shutil.copytree(_with_canary, project)


@pytest.fixture(scope="session")
def _fortnight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    return _project(tmp_path_factory, "fortnight", console_days.make)


@pytest.fixture
def fortnight(_fortnight: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Spine]:
    """The spine, read-only, of a copy of the fortnight: requests every day, reports on all but the last."""
    root = shutil.copytree(_fortnight[0], tmp_path / "fortnight")
    with Spine(_seed.settings_of(root), readonly=True) as opened:
        opened.__dict__["workload"] = console_days.Talker()
        yield opened


class Desk:
    """A running console, and how to look at it."""

    def __init__(self, app: Console, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def settle(self, seconds: float = 40.0) -> None:
        """Wait until nothing is being fetched, every message is handled and everything is drawn.

        Textual's own pause waits until the whole process was idle for 20 ms, several times a key. The event loop knows
        better: where it has nothing left to run, every message was handled, and only threads and timers can go on.
        """
        end, ready = time.monotonic() + seconds, asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        while time.monotonic() < end:
            await self.app.animator.wait_until_complete()
            await asyncio.sleep(0)
            while ready:  # noqa: ASYNC110 -- the loop has no event for having nothing left to do
                await asyncio.sleep(0)
            drawn, idle = self._draw(), self.app.jobs.idle
            # A job that has ended has left its message in the loop, so the loop is looked at last.
            if idle and not drawn and not ready:
                return
            await asyncio.sleep(0 if idle else 0.002)
        raise AssertionError("the console never came to rest")

    def _draw(self) -> bool:
        """Draw what is to be drawn now and not at the next frame; whether there was something."""
        screen = self.app.screen
        waiting = bool(
            screen._layout_required or screen._scroll_required or screen._repaint_required or screen._recompose_required
            or screen._dirty_widgets or screen._callbacks
        )  # fmt: skip
        screen._on_timer_update()
        return waiting

    async def press(self, *keys: str) -> None:
        """Press keys, then wait."""
        for key in keys:
            self._send(key)
            await self.settle()

    def _send(self, key: str) -> None:
        """Send a key as a terminal would."""
        name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
        event = events.Key(name, key_to_character(name))
        event.set_sender(self.app)
        driver = self.app._driver
        assert driver is not None
        driver.send_message(event)

    async def type(self, text: str) -> None:
        """Type a text into the prompt."""
        self.app.typist.type(text)
        await self.settle()

    def lines(self) -> list[str]:
        """The screen as lines of text."""
        screen = self.app.screen
        strips = screen._compositor.render_strips()
        return [strip.text.rstrip() for strip in strips]

    def text(self) -> str:
        """The screen as text."""
        return "\n".join(self.lines())

    def segments(self) -> str:
        """Every character that would be written to the terminal."""
        return "".join(segment.text for strip in self.app.screen._compositor.render_strips() for segment in strip)


@asynccontextmanager
async def running(source: Any, *, size: tuple[int, int] = (120, 36), **options: Any) -> AsyncIterator[Desk]:
    """A console in a terminal of this size, on the Registry unless another screen is named."""
    options.setdefault("screen", "registry")
    app = Console(source, **options)
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, pilot)
        await pilot.pause()
        await desk.settle()
        yield desk
    app.jobs.close()
    await asyncio.sleep(0)


@pytest.fixture(scope="session")
def seed() -> ModuleType:
    """The maker of projects."""
    return _seed


@pytest.fixture(scope="session")
def strings() -> list[str]:
    """Hostile strings."""
    return STRINGS


@pytest.fixture(scope="session")
def run_console() -> Any:
    """Opens a console on any source."""
    return running


Opener = Callable[..., Any]


@pytest.fixture
def days(fortnight: Spine) -> Opener:
    """Opens a console on the fortnight, two days after it: ``async with days(screen=…) as desk``."""

    def open_(**options: Any) -> Any:
        options.setdefault("clock", lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
        return running(options.pop("source", None) or Source(fortnight), **options)

    return open_


@pytest.fixture
def console(spine: Spine) -> Opener:
    """Opens a console on the project: ``async with console(screen=…) as desk``."""

    def open_(**options: Any) -> Any:
        options.setdefault("clock", lambda: datetime.now(UTC))
        spine.speak()  # another fixture may have opened the project since, without this workload
        return running(Source(spine), **options)

    return open_
