"""What is written to the terminal: little enough for a slow ssh, and still everything that is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.color import ColorSystem
from rich.console import Console as Printer
from rich.segment import Segment
from rich.style import Style
from textual._compositor import LayoutUpdate
from textual.geometry import Region, Size
from textual.strip import Strip

from modelspine_console.action import SCREENS
from modelspine_console.draw import changed_cells
from modelspine_console.draw.changed_cells import Shown
from terminal import Terminal

MOST = 40_000
"""Bytes of a change of the screen at 120×40."""
COLUMNS, ROWS = 120, 40
_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


@pytest.fixture
def terminal(project: Path) -> Iterator[Terminal]:
    """A console on the Registry in a terminal of 120×40."""
    opened = Terminal("--screen", "registry", root=project, columns=COLUMNS, rows=ROWS)
    opened.until("tombstoned", 60)
    yield opened
    opened.close()


def quiet(terminal: Terminal) -> None:
    """Wait until nothing but the clock is written any more."""
    size = -400
    while len(terminal.output) - size >= 400:
        size = len(terminal.output)
        terminal.read(0.4)


def test_no_change_of_the_screen_writes_much(terminal: Terminal) -> None:
    quiet(terminal)
    written = {}
    for key, name, _ in SCREENS:
        terminal.output = b""
        terminal.press(key)
        quiet(terminal)
        written[name] = len(terminal.output)
    assert max(written.values()) < MOST, written
    assert sum(written.values()) > 20_000, "they were drawn at all"


def test_refresh_writes_everything_again(terminal: Terminal) -> None:
    quiet(terminal)
    terminal.output = b""
    terminal.press("r")
    for text in ("READ-ONLY", "tombstoned", "summary", "help"):
        terminal.until(text)


# what is written is what is to be shown ----------------------------------------------------------------


def printed(text: str, cells: dict[tuple[int, int], Any]) -> None:
    """Do to a screen what a terminal does."""
    x = y = at = 0
    look: tuple[str, ...] = ()
    while at < len(text):
        found = _SEQUENCE.match(text, at)
        if found is None:
            cells[x, y] = (text[at], look if text[at] != " " else tuple(p for p in look if p.startswith("48")))
            x, at = x + 1, at + 1
            continue
        at = found.end()
        if found[2] == "H":
            y, x = (int(part) - 1 for part in found[1].split(";"))
        else:
            look = _turned(look, found[1])


def _turned(look: tuple[str, ...], codes: str) -> tuple[str, ...]:
    for code in re.findall(r"[34]8;2;\d+;\d+;\d+|\d+", codes):
        if code == "0":
            look = ()
        else:
            same = {"39": "38", "49": "48"}.get(code, code)[:2] if code[:2] in ("38", "48", "39", "49") else ""
            look = tuple(part for part in look if not same or not part.startswith(same))
            look += () if code in ("39", "49") else (code,)
    return tuple(sorted(look))


def frame(*lines: list[tuple[str, str]]) -> LayoutUpdate:
    """An update of the whole screen."""
    strips = [[Strip([Segment(text, Style.parse(style)) for text, style in line])] for line in lines]
    return LayoutUpdate(strips, Region(0, 0, 20, len(lines)))


FRAMES = (
    frame([("status  ", "#ffffff on #000000"), ("promoted    ", "bold #00ff00 on #000000")],
          [("abc def ghi         ", "#ffffff on #101010")]),
    frame([("status  ", "#ffffff on #000000"), ("promoted    ", "bold #00ff00 on #000000")],
          [("abc dxf ghi         ", "#ffffff on #101010")]),
    frame([("status  ", "underline #ffffff on #000000"), ("held        ", "#ff0000 on #000000")],
          [("                    ", "#123456 on #101010")]),
    frame([("abcdefgh", "#ffffff on #000000"), ("    promoted", "#00ff00 on #202020")],
          [("▌ row ━━━━╸  x      ", "#ffffff on #101010")]),
)  # fmt: skip


def test_after_each_frame_the_terminal_shows_that_frame() -> None:
    shown, size, printer = Shown(), Size(20, 2), Printer(color_system="truecolor", force_terminal=True)
    cells: dict[tuple[int, int], Any] = {}
    for each in (*FRAMES, *reversed(FRAMES)):
        printed(shown.changes(each, size).render_segments(printer), cells)
        wanted: dict[tuple[int, int], Any] = {}
        for y, (line,) in enumerate(each.strips):
            x = 0
            for text, style, _ in line:
                assert style is not None
                codes = Strip.render_ansi(style, ColorSystem.TRUECOLOR)
                printed(f"\x1b[{y + 1};{x + 1}H\x1b[0;{codes}m{text}", wanted)
                x += len(text)
        assert _seen(cells) == _seen(wanted)


def _seen(cells: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
    """The cells as one sees them: on a blank only its ground, and its line where it has one."""
    return {at: (text, tuple(part for part in look if text != " " or part.startswith("48"))) for at, (text, look) in
            cells.items()}  # fmt: skip


def test_only_the_word_that_changed_is_written() -> None:
    shown, size, printer = Shown(), Size(20, 2), Printer(color_system="truecolor", force_terminal=True)
    shown.changes(FRAMES[0], size).render_segments(printer)
    written = shown.changes(FRAMES[1], size).render_segments(printer)
    assert _SEQUENCE.sub("", written) == "dxf"
    assert shown.changes(FRAMES[1], size).render_segments(printer) == ""
    shown.forget()
    assert "status" in shown.changes(FRAMES[1], size).render_segments(printer)


def test_wide_and_combining_characters_keep_their_cells() -> None:
    cells = changed_cells._cells("日a\u0301本", "")
    assert [cell[0] for cell in cells if cell is not None] == ["日", "", "a\u0301", "本", ""]
