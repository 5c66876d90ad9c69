"""A console that stays open for a day: every refresh frees what the one before it needed."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple

import pytest
from textual.timer import Timer
from textual.widget import Widget

from modelspine_console.action import SCREENS

ROUNDS, EACH, TICKS = 4, 4, 16
"""Rounds over all screens in a day, refreshes of a screen in a round, and ticks between two refreshes.

Each refresh reads the open screen again, as ``r`` does. What is kept on purpose is there after the first round.
"""
MEASURED = (ROUNDS - 1) * EACH * len(SCREENS)
"""Refreshes over which growth is measured."""


_CODE, _OWN = (FunctionType, MethodType, CellType), ("modelspine", "miniobserve")
_CHANCE = {"objects": 0.5, "blocks": 100.0}
"""What may grow at a refresh by chance, and as caches of a fixed size fill up."""


class Living(NamedTuple):
    """What is alive in the process."""

    widgets: int
    timers: int
    threads: int
    tasks: int
    workers: int
    objects: int
    """Functions with what they refer to, and values of this project: what a screen or a fetch may keep by mistake.

    Textual's own caches are left out, because they fill up over hours, to a limit.
    """
    blocks: int
    """Blocks of memory that Python has allocated."""


class Day:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """The simulated time."""
        return self.now


def living(app: Any) -> Living:
    """Count what is alive."""
    gc.collect()
    known = gc.get_objects()
    # By type: an object of another library may answer `isinstance` with a warning.
    widgets, timers = (sum(issubclass(type(each), kind) for each in known) for kind in (Widget, Timer))
    objects = sum(type(each) in _CODE or str(type(each).__module__).startswith(_OWN) for each in known)
    return Living(
        widgets, timers, threading.active_count(), len(asyncio.all_tasks()), len(app.workers), objects,
        sys.getallocatedblocks(),
    )  # fmt: skip


async def grown(desk: Any, clock: Day, rounds: int, each: Callable[[Any], None] = lambda _app: None) -> Living:
    """What grew after the first round of a day; ``each`` is called at every refresh."""
    app, before = desk.app, None
    step = timedelta(days=1) / (ROUNDS * EACH * TICKS * len(SCREENS))
    for number in range(rounds):
        for _, name, _ in SCREENS:
            app.open_view(name)
            for _ in range(EACH):
                for _ in range(TICKS):
                    clock.now += step
                    app.tick()
                app.freshness.reread = True
                app.freshness.look()
                each(app)
                await desk.settle(30)
        if not number:
            before = living(app)
    assert before is not None
    return Living(*(after - then for after, then in zip(living(app), before, strict=True)))


def leaks(found: Living, refreshes: int) -> list[str]:
    """What grew by more than chance: a leak leaves one or more at each refresh."""
    return [
        name
        for name, growth in zip(Living._fields, found, strict=True)
        if growth > max(2.0, _CHANCE.get(name, 0.0) * refreshes)
    ]


async def test_a_day_of_refreshes_leaves_nothing_behind(console: Any) -> None:
    clock = Day()
    began = clock.now
    async with console(screen="home", clock=clock) as desk:
        found = await grown(desk, clock, ROUNDS)
        assert desk.app.freshness.link == "live"
    assert clock.now - began == pytest.approx(timedelta(days=1), abs=timedelta(seconds=1))
    assert leaks(found, MEASURED) == [], found


async def test_a_console_that_leaks_is_caught(console: Any) -> None:
    kept: list[Any] = []
    end = threading.Event()

    def leak(app: Any) -> None:
        app.set_interval(3600.0, app.tick)
        kept.append(Widget())
        threading.Thread(target=end.wait, args=(120,), daemon=True).start()
        kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(3600)))
        kept.append([str(number) for number in range(200)])

    clock = Day()
    async with console(screen="home", clock=clock) as desk:
        found = await grown(desk, clock, 2, leak)
        end.set()
        for task in kept:
            if isinstance(task, asyncio.Task):
                task.cancel()
    assert set(leaks(found, EACH * len(SCREENS))) == {*Living._fields} - {"workers"}, found
