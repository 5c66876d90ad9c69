"""Bench group console: every screen on a pseudo terminal of 120×40, compared with a plain Textual DataTable.

Everything is measured from outside, from the start of the process or the key press to the bytes that draw the result.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import console_store
from console_pty import Screen
from rows import Row

PEER = """
import sys
from textual.app import App
from textual.widgets import DataTable
from modelspine.spine import open_spine

class Peer(App):
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("status", "semver", "sha", "variant", "accuracy", "false accepts", "age")
        with open_spine(readonly=True) as spine:
            for e in reversed(spine.registry.list()):
                cells = (e.status, e.semver, e.sha[:12], e.variant, e.accuracy, e.false_accept, e.registered_at)
                table.add_row(*map(str, cells))
        table.focus()
Peer().run()
"""
UP, DOWN, HALF, END, HOME, TAB, BACK = b"\x1b[A", b"\x1b[B", b"\x04", b"G", b"g", b"]", b"\x7f"
_LIST = (DOWN, DOWN, DOWN, UP, HALF, DOWN, END, UP, HOME)


class Watched(NamedTuple):
    """A screen, and how it is used here."""

    name: str
    key: bytes
    sign: bytes
    """A word of its rows."""
    typed: bytes
    """What is typed into its filter."""
    keys: tuple[bytes, ...] = _LIST


SCREENS = (
    Watched("home", b"0", b"servers", b"state:warn", (DOWN, DOWN, UP, UP)),
    Watched("registry", b"1", b"pending", b"v0.99 promoted"),
    Watched("lineage", b"2", b"commit", b"part-004 corpus"),
    Watched("traffic", b"3", b"stable", b"stable", (TAB,)),
    Watched("drift", b"4", b"report", b"2026", (DOWN, DOWN, UP, UP)),
    Watched("cost", b"5", b"unknown", b"v0.99 fp32"),
    Watched("incident", b"6", b"Yesterday", b"goed"),
    Watched("ledger", b"7", b"registered", b"promoted bench"),
)
"""Every screen."""


class Figures(NamedTuple):
    """What was measured of one program, in milliseconds and MB."""

    frame: float
    listed: float
    p50: float
    p95: float
    typing: float
    memory: float


def rows() -> Iterator[Row]:
    """Yield the rows of this group."""
    yield from of_store(entries=10_000, requests=100_000, hops=1_000)


def of_store(*, entries: int, requests: int, hops: int) -> Iterator[Row]:
    """Yield the rows for a store of this size."""
    spine = str(Path(sys.executable).with_name("spine"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        console_store.make(root, entries=entries, requests=requests, hops=hops)
        peer = _measured([sys.executable, "-c", PEER], root, b"semver", b"lora", _LIST, b"")
        for screen in SCREENS:
            words = [spine, "console", "--screen", screen.name]
            found = _measured(words, root, b"READ-ONLY", screen.sign, screen.keys, screen.typed)
            yield from _rows(screen.name, found, peer if screen.name == "registry" else None)
        yield from _bytes(spine, root)


def _rows(name: str, found: Figures, peer: Figures | None) -> Iterator[Row]:
    named, figures = ("", (None,) * len(found)) if peer is None else ("Textual DataTable", peer)
    whats = (
        ("first frame", "ms", 1000.0), ("rows on screen", "ms", None), ("key to repaint, p50", "ms", None),
        ("key to repaint, p95", "ms", 30.0), ("letter of a filter to repaint, p95", "ms", 30.0),
        ("resident memory", "MB", None),
    )  # fmt: skip
    for (what, unit, budget), figure, other in zip(whats, found, figures, strict=True):
        typed = what.startswith("letter")  # a DataTable has no filter
        peer_name, peer_figure = ("", None) if typed else (named, other)
        yield Row(f"console, {name}: {what}", figure, unit, budget, peer_name, peer_figure)


def _measured(
    words: list[str], root: Path, frame: bytes, sign: bytes, keys: tuple[bytes, ...], typed: bytes, times: int = 120
) -> Figures:
    """Measure one program that shows ``sign`` once it has its rows."""
    frames = []
    for _ in range(3):
        screen = Screen(words, root)
        frames.append(screen.until(b"\x1b[?1049h", frame))
        screen.close()
    screen = Screen(words, root)
    listed = screen.until(frame, sign)
    screen.change(b"", 3.0)  # the details, and what is read after the rows
    pressed = [screen.key(keys[number % len(keys)]) for number in range(times)]
    memory = screen.memory()
    letters = [] if not typed else [screen.key(b"/"), *_typed(screen, typed)]
    screen.close()
    taken, typing = _sorted(pressed), _sorted(letters)
    return Figures(
        frame=1000 * statistics.median(frames),
        listed=1000 * listed,
        p50=taken[len(taken) // 2],
        p95=_p95(taken),
        typing=_p95(typing) if typing else 0.0,
        memory=memory,
    )


def _typed(screen: Screen, text: bytes) -> Iterator[float | None]:
    """Type a filter and take it back, twice."""
    for letter in 2 * (text + BACK * len(text)):
        yield screen.key(bytes([letter]))


def _sorted(seconds: list[float | None]) -> list[float]:
    """The milliseconds of the keys that had a repaint; a cursor at the end of a list does not move."""
    return sorted(1000 * each for each in seconds if each is not None)


def _p95(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def _bytes(spine: str, root: Path) -> Iterator[Row]:
    """What is written when another screen is opened, for each screen from each neighbour; and at a key in a list."""
    screen = Screen([spine, "console", "--screen", "registry"], root)
    screen.until(b"READ-ONLY", b"pending")
    screen.change(b"", 3.0)
    keys = [screen.change(DOWN, 0.5) for _ in range(20)]
    forth = [each.key for each in SCREENS]
    for key in forth:  # each is read for the first time
        screen.change(key, 3.0)
    changes = [screen.change(key, 1.0) for key in (*forth, *reversed(forth))]
    screen.close()
    kilo = [size / 1000 for size in sorted(changes)]
    yield Row("console: written for a change of the screen, median", kilo[len(kilo) // 2], "kB", None, "", None)
    yield Row("console: written for a change of the screen, most", kilo[-1], "kB", 40.0, "", None)
    yield Row("console: written for a key in the registry, most", max(keys) / 1000, "kB", None, "", None)
