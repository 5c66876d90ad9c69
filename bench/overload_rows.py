"""Bench group overload: the server under more load than it can handle, and with clients that never finish.

Each figure's peer is the same server: without the overload, without a limit on the queue, without the slow clients.
``tests/fault`` asserts the correctness of replies under overload.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import load
import served
import slow
from engines import PATH
from load import Load
from rows import Row

TIMES = 4
SLOW = 200


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    if not served.has_a_model():
        yield Row("overload", float("nan"), "/s", None, "make a model: ./run demo", None)
        return
    bodies = served.bodies(200)
    with tempfile.TemporaryDirectory() as folder:
        root = served.copied(Path(folder))
        with served.spine(root) as address:
            idle = load.closed(address, PATH, bodies, connections=1, seconds=5)
            most = load.closed(address, PATH, bodies, connections=16, seconds=8).answered
            half, over, after = load.opened(address, PATH, bodies, (most / 2, 6), (TIMES * most, 8), (most / 2, 6))
            with slow.held(address, PATH, count=SLOW, seconds=14) as held:
                [beside] = load.opened(address, PATH, bodies, (most / 2, 10))
        with served.spine(root, "--queue", "4096") as address:
            [unbounded] = load.opened(address, PATH, bodies, (TIMES * most, 8))
    yield from _overload(most, idle, half, over, after, unbounded)
    budget = 1.5 * half.p99
    yield Row(f"p99 beside {SLOW} slow connections", beside.p99, "ms", budget, f"without{_not(beside)}", half.p99)
    [found] = held
    yield Row("  the longest one was kept", found.longest, "s", 6, f"{found.closed} were closed", None)


def _overload(most: float, idle: Load, half: Load, over: Load, after: Load, unbounded: Load) -> Iterator[Row]:
    what = f"{TIMES} × overload ({TIMES * most:.0f}/s)"
    yield Row(f"{what}: answered a second", over.answered, "/s", 0.95 * most, "16 connections", most, "more")
    waits = f"{what}: p99 of what is admitted"
    yield Row(waits, over.p99, "ms", 4 * half.p99, "at half of what it can do", half.p99)
    yield Row(waits, over.p99, "ms", None, "one connection, idle", idle.p99)
    yield Row(waits, over.p99, "ms", None, "the same with --queue 4096", unbounded.p99)
    said = f"{over.shed:,} shed, {over.unsaid} without Retry-After, {over.failed} failed"
    yield Row("  503 of what is shed, p50", over.shed_p50, "ms", 10, said, None)
    yield Row("  503 of what is shed, p99", over.shed_p99, "ms", 10, "", None)
    yield Row("  a second after it, p99", after.p99, "ms", 1.5 * half.p99, f"before it{_not(after)}", half.p99)


def _not(load: Load) -> str:
    return f"; {load.shed} shed, {load.failed} failed"
