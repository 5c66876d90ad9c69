"""The recording for the README: an animated SVG that shows at each moment the picture that was taken for it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def recording() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recording", BENCH / "recording.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recording"] = module
    spec.loader.exec_module(module)
    return module


def texts(root: ET.Element) -> list[tuple[str, str, str]]:
    """Every text of a picture with its place, in the order of the places."""
    found = [(e.attrib["y"], e.attrib["x"], e.text or "") for e in root.iter(f"{SVG}text") if "textLength" in e.attrib]
    return sorted(found)


def visible(film: str, share: float | None) -> list[tuple[str, str, str]]:
    """The texts that are visible at a share of the film's time; without one, where nothing is animated."""
    frames = dict(re.findall(r"@keyframes (v\d+)\{(.*)\}$", film, re.MULTILINE))
    still = dict(re.findall(r"^\.(v\d+)\{visibility:(\w+);", film, re.MULTILINE))
    found = []
    for group in ET.fromstring(film).iter(f"{SVG}g"):
        name = group.attrib.get("class", "")
        shown = still.get(name, "visible")
        if share is not None and name in frames:
            for start, value in re.findall(r"([\d.]+)%\{visibility:(\w+)\}", frames[name]):
                shown = value if float(start) <= 100 * share else shown
        if name.startswith("v") and shown == "visible":
            found += texts(group)
    return sorted(found)


async def test_each_moment_shows_its_picture_and_without_animation_the_last_one(console: Any, recording: Any) -> None:
    film, pictures = recording.Film(), []
    async with console(size=(80, 24)) as desk:
        for keys in ((), ("j",), ("7",), ("j",)):
            await desk.press(*keys)
            pictures.append(desk.app.export_screenshot(title="x", simplify=True))
            film.add(pictures[-1], 2.0)
    made = film.svg()
    for number, picture in enumerate(pictures):
        assert visible(made, (number + 0.5) / len(pictures)) == texts(ET.fromstring(picture)), number
    assert visible(made, None) == texts(ET.fromstring(pictures[-1]))
    assert len(made) < sum(map(len, pictures)) / 2, "lines that stay are stored once"
    assert "<script" not in made
    assert "prefers-reduced-motion" in made


def test_the_steps_use_keys_there_are(recording: Any) -> None:
    from modelspine_console.keymap import ACTIONS

    keys = {key for action in ACTIONS for key in action.keys}
    assert {key for step in recording.STEPS for key in step.keys} <= keys
    assert sum(step.seconds * max(1, len(step.keys) + len(step.text)) for step in recording.STEPS) < 30
