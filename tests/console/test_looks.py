"""Themes, ASCII, 256 colours, and the contrast and distance of what is drawn."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from rich.color import Color as RichColor
from textual.color import Color

import modelspine
import modelspine_console
from modelspine.signs import SIGNS
from modelspine_console.draw.format import CONSOLE_SIGNS
from modelspine_console.draw.terminal import Ascii, ascii_text, nearest
from modelspine_console.draw.theme import NAMES, Palette

FOLDER = Path(modelspine_console.__file__).parent
TEXTS = ("strong", "muted", "accent", "good", "warn", "bad")
STATUSES = ("good", "warn", "bad")
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(colour: Color) -> tuple[float, float, float]:
    """The colour's parts in proportion to their light."""
    parts = (part / 255 for part in colour.rgb)
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def contrast(first: Color, second: Color) -> float:
    """The contrast ratio of WCAG 2."""
    light, dark = sorted(
        (sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) + 0.05
         for c in (first, second)), reverse=True,
    )  # fmt: skip
    return light / dark


def lab(light: tuple[float, ...]) -> tuple[float, float, float]:
    """CIE Lab of linear RGB, for D65."""
    red, green, blue = (max(0.0, min(1.0, part)) for part in light)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def seen(colour: Color, kind: str) -> tuple[float, float, float]:
    """How a colour is seen with a kind of blindness, as Lab."""
    light = linear(colour)
    return lab(tuple(sum(a * b for a, b in zip(line, light, strict=True)) for line in BLINDNESS[kind]))


def colour_of(palette: Palette, role: str) -> Color:
    found = palette.style(role).foreground
    assert found is not None
    return found


def ground_of(palette: Palette, role: str) -> Color:
    found = palette.style(role).background
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_text_can_be_read_on_every_ground(name: str) -> None:
    palette = Palette(name)
    least = 7.0 if name == "high-contrast" else 4.5
    for role in (*TEXTS, "faint"):
        colour = colour_of(palette, role)
        wanted = least if role != "faint" or name == "high-contrast" else 3.0
        assert contrast(colour, ground_of(palette, "ground")) >= wanted, role
        for ground in ("bar", "cursor", "cursor_away"):
            wanted = 4.5 if name == "high-contrast" else 2.5 if role == "faint" else 3.9
            assert contrast(colour, ground_of(palette, ground)) >= wanted, (role, ground)
    for number in range(5):
        style = palette.style(f"heat{number}")
        assert contrast(colour_of(palette, f"heat{number}"), ground_of(palette, f"heat{number}")) >= 4.5, style


@pytest.mark.parametrize("kind", BLINDNESS)
def test_statuses_are_told_apart_whatever_colours_one_sees(kind: str) -> None:
    palette = Palette("colour-blind")
    for first, second in itertools.combinations(STATUSES, 2):
        one, other = seen(colour_of(palette, first), kind), seen(colour_of(palette, second), kind)
        distance = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        assert distance > 30, (first, second, distance)
    usual = Palette("dusk")
    one, other = (seen(colour_of(usual, role), "deuteranopia") for role in ("good", "bad"))
    assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 < 30, "else no theme for it is needed"


@pytest.mark.parametrize("name", NAMES)
def test_colours_with_numbers_keep_grounds_and_statuses_apart(name: str) -> None:
    palette = Palette(name)
    numbers = palette.indexes

    def number(colour: Color) -> int:
        return numbers[colour.hex.lower()]

    grounds = [number(ground_of(palette, role)) for role in ("ground", "bar", "cursor", "cursor_away")]
    assert len({*grounds}) == 4
    assert len({number(ground_of(palette, f"heat{n}")) for n in range(5)}) == 5
    assert len({number(colour_of(palette, role)) for role in (*STATUSES, "accent", "muted")}) == 5
    for hex_, index in numbers.items():
        shade = Color(*RichColor.from_ansi(index).get_truecolor())
        assert contrast(shade, Color.parse(hex_)) < 2.2, (hex_, index)


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_colours_keep_statuses_apart_on_any_ground(name: str) -> None:
    palette = Palette(name, plain=True)
    found = [palette.style(role).foreground for role in (*STATUSES, "accent")]
    numbers = {colour.rich_color.number for colour in found if colour is not None}
    assert len(numbers) == len(found)
    assert not numbers & {0, 7, 15}, "black and white are the ground of some terminals"
    for role in ("muted", "head", "stale", "ground", "bar"):
        assert palette.style(role).foreground is None, "the terminal's own colour can be read on its own ground"


def test_the_nearest_number_of_each_numbered_colour_is_its_own() -> None:
    for index in range(16, 256):
        triplet = RichColor.from_ansi(index).get_truecolor()
        found = RichColor.from_ansi(nearest(*triplet)).get_truecolor()
        assert found == triplet, index


def test_every_sign_of_console_and_core_has_one_in_ascii() -> None:
    files = [*FOLDER.rglob("*.py"), *Path(modelspine.__file__).parent.rglob("*.py")]
    sources = [file.read_text() for file in files if file.name != "terminal.py"]
    drawn = {char for text in sources for word in re.findall(r'"[^"\n]*"', text) for char in word if not char.isascii()}
    drawn |= {sign.glyph for sign in [*SIGNS.values(), *CONSOLE_SIGNS.values()] if not sign.glyph.isascii()}
    assert [char for char in drawn if ascii_text(char) == "?"] == []
    assert {len(ascii_text(char)) for char in drawn} == {1}


def test_statuses_of_a_kind_have_different_signs_in_ascii_too() -> None:
    for words in (("production", "canary", "promoted", "held", "pending", "tombstoned"),
                  ("verified", "recorded", "missing", "mismatch"), ("pass", "fail", "error", "warn"),
                  ("stable", "watch", "act", "insufficient")):  # fmt: skip
        assert len({ascii_text(SIGNS[word].glyph) for word in words}) == len(words), words


@pytest.mark.parametrize("text", ["漢字 é", "⠿⠁⣿", "✔ verified", "plain", "👩‍👩‍👧‍👦"])
def test_ascii_takes_as_many_cells(text: str) -> None:
    from rich.cells import cell_len

    found = ascii_text(text)
    assert found.isascii()
    assert found.isprintable()
    assert len(found) == sum(cell_len(char) for char in text)


async def test_ascii_reaches_every_cell_borders_and_dialogs_included(console: Any) -> None:
    async with console(screen="registry") as desk:
        assert not desk.segments().isascii()
        await desk.press(":")
        await desk.type("ascii")
        await desk.press("enter")
        for keys in (("d",), ("2",), ("3",), ("5",), ("7",), ("?",)):
            await desk.press(*keys)
            assert desk.segments().isascii(), keys
        await desk.press("escape", ":")
        await desk.type("ascii off")
        await desk.press("enter")
        assert not desk.segments().isascii()


def test_the_filter_is_off_until_it_is_asked_for() -> None:
    assert not Ascii(enabled=False).enabled


async def test_256_colours_are_written_by_their_numbers(spine: Any, run_console: Any) -> None:
    from modelspine_console.data.source import Source

    async with run_console(Source(spine), indexed=True) as desk:
        for keys in ((), ("T",), ("T",), ("T",), ("?",)):
            await desk.press(*keys)
            strips = desk.app.screen._compositor.render_strips()
            styles = {segment.style for strip in strips for segment in strip if segment.style}
            colours = {c for style in styles for c in (style.color, style.bgcolor) if c is not None}
            assert colours
            assert all(colour.number is not None and colour.number >= 16 for colour in colours), keys


async def test_themes_are_chosen_by_key_and_by_name(console: Any) -> None:
    async with console() as desk:
        for name in (*NAMES[1:], NAMES[0]):
            await desk.press("T")
            assert desk.app.palette.name == desk.app.theme == name
        await desk.press(":")
        await desk.type("theme high")
        await desk.press("tab", "enter")
        assert desk.app.theme == "high-contrast"
        await desk.press(":")
        await desk.type("theme papier")
        await desk.press("enter")
        assert "did you mean paper?" in " ".join(toast.message for toast in desk.app._notifications)
        assert desk.app.theme == "high-contrast"


def test_what_is_only_recorded_is_muted_and_a_status_has_one_sign() -> None:
    assert SIGNS["recorded"].role == "muted"
    assert not {*SIGNS} & {*CONSOLE_SIGNS}
