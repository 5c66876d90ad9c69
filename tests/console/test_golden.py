"""Each screen at 80×24, compared with its kept picture. ``SPINE_GOLDEN=write`` writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
SCREENS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "home": ("home", "", ("j", "j")),
    "registry": ("registry", "", ()),
    "registry-summary": ("registry", "", ("G", "enter")),
    "registry-buckets": ("registry", "", ("G", "enter", "right_square_bracket")),
    "registry-gate": ("registry", "", ("G", "enter", "right_square_bracket", "right_square_bracket")),
    "registry-none": ("registry", "", ("slash",)),
    "registry-compare": ("registry", "", ("j", "space", "G", "space", "equals_sign")),
    "lineage": ("lineage", "", ("l",)),
    "lineage-hop": ("lineage", "", ("l", "j", "j", "j", "d")),
    "traffic-single": ("traffic", "", ()),
    "incident": ("incident", "", ()),
    "incident-walk": ("incident", "req-000000a7", ("j", "j", "j")),
    "ledger": ("ledger", "", ()),
    "ledger-chain": ("ledger", "", ("j", "d", "right_square_bracket")),
    "help": ("registry", "", ("question_mark",)),
}
TRAFFIC: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {
    "home-canary": ((120, 30), ("0", "j")),
    "traffic": ((80, 24), ()),
    "traffic-ladder": ((80, 24), ("d", "right_square_bracket")),
    "traffic-arm": ((80, 24), ("j", "d", "right_square_bracket", "right_square_bracket")),
    "traffic-epochs": ((80, 24), ("d", *["right_square_bracket"] * 3)),
    "traffic-wide": ((140, 32), ()),
}
DAYS: dict[str, tuple[str, tuple[int, int], tuple[str, ...]]] = {
    "drift": ("drift", (80, 24), ()),
    "drift-features": ("drift", (80, 24), ("j", "enter")),
    "drift-trend": ("drift", (80, 24), ("j", "enter", "right_square_bracket")),
    "drift-map": ("drift", (80, 24), ("j", "enter", *["right_square_bracket"] * 3)),
    "drift-weekdays": ("drift", (80, 24), ("j", "enter", "left_square_bracket")),
    "drift-wide": ("drift", (140, 30), ("j", "j", "right_square_bracket", "right_square_bracket")),
    "cost": ("cost", (80, 24), ()),
    "cost-plot": ("cost", (80, 24), ("enter",)),
    "cost-wide": ("cost", (140, 44), ("j",)),
}
"""Pictures of the fortnight: the screen, the terminal, the keys."""
_NORMAL = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<day>"),
    (re.compile(r"\d\d:\d\d:\d\d UTC"), "<clock>"),
    (re.compile(r"\d\d:\d\dZ \(\d+ (s|min|h|d)\)"), "<minute> (<age>)"),
    (re.compile(r"(live|stale) \d+s"), r"\1 <age>"),
    (re.compile(r" +\d+ (s|min|h|d)\b"), " <age>"),
    (re.compile(r" +[snhd]$"), ""),  # the end of an age that a dialog covers
    (re.compile(r" +\d\.\d$"), " <ms>"),
    (re.compile(r"opened by\b.*…$"), "opened by …"),  # cut where the age before it ends
    (re.compile(r"\b[0-9a-f]{7,}(…|\b)"), "<hex>"),
    (re.compile(r"[▁▂▃▄▅▆▇█]{10,} {2,}\d\.\d\d\b"), "<pace>"),
    (re.compile(r"req/s +\d+\.\d\d"), "req/s <pace>"),
    (re.compile(r"(▁|▂|▃|▄|▅|▆|▇|█){10,}.*requests"), "<pace>"),
)


def normal(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, mark in _NORMAL:
        line = pattern.sub(mark, line)
    if "▸ READ-ONLY" in line:
        # The header is padded to the width, its ages are of different lengths, and one of them is left out first.
        line = re.sub(r" {2,}(?=[●○‖✖])", "  ", line.replace(" since <age>", ""))
    return line.rstrip()


@pytest.mark.parametrize("name", SCREENS)
async def test_screen_is_as_kept(console: Any, name: str) -> None:
    screen, argument, keys = SCREENS[name]
    async with console(screen=screen, argument=argument, size=(80, 24)) as desk:
        await desk.press(*keys)
        if name == "registry-none":
            await desk.type("nobody status:held")
        compare(name, [normal(line) for line in desk.lines()], 24)


@pytest.mark.parametrize("name", TRAFFIC)
async def test_a_canary_is_as_kept(console: Any, canary: None, name: str) -> None:
    size, keys = TRAFFIC[name]
    async with console(screen="traffic", size=size) as desk:
        await desk.press(*keys)
        compare(name, [normal(line) for line in desk.lines()], size[1])


@pytest.mark.parametrize("name", DAYS)
async def test_the_fortnight_is_as_kept(days: Any, name: str) -> None:
    screen, size, keys = DAYS[name]
    async with days(screen=screen, size=size) as desk:
        await desk.press(*keys)
        compare(name, [normal(line) for line in desk.lines()], size[1])


def compare(name: str, lines: list[str], rows: int) -> None:
    """Compare a screen with its kept picture."""
    assert len(lines) == rows
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("SPINE_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert file.read_text(encoding="utf-8").splitlines() == lines
