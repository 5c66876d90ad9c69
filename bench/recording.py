"""Records the incident walk in the real app on the demo's data, as an animated SVG for the head of the README.

``shots.py`` calls it, and writes the files.

Each step presses keys and takes a picture. A line of the screen that several pictures share is stored once, and CSS
shows it for as long as it was on screen; so the file stays small, and a browser plays it without any script. Where
animation is not wanted or not known, the last picture is shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from modelspine.spine import open_spine
from modelspine_console.app import Console
from modelspine_console.data.source import Clock, Source, utc_now
from modelspine_console.data.state import State

SIZE = (112, 30)
"""Columns and lines: fewer than in the other pictures, so that the text can be read in the width of a page."""
_NAMES = {" ": "space", ":": "colon"}
"""Textual's names of the signs that are typed."""
_SVG = "{http://www.w3.org/2000/svg}"
_LINE = 24.4
"""Height of a line in Rich's pictures."""
_RULE = re.compile(r"\.(terminal-\d+-r\d+) \{ (.*?) \}")


class Step(NamedTuple):
    """Keys to press, or a text to type, and how long to show what they led to, in seconds."""

    keys: tuple[str, ...] = ()
    text: str = ""
    seconds: float = 1.0


STEPS = (
    Step(seconds=1.6),
    Step(keys=("slash",), seconds=0.5),
    Step(text="outcome:dis", seconds=0.09),
    Step(keys=("tab",), seconds=0.9),
    Step(text=" goed", seconds=0.09),
    Step(keys=("enter",), seconds=1.6),
    Step(keys=("enter",), seconds=3.0),
    *(Step(keys=("j",), seconds=1.3) for _ in range(7)),
    Step(seconds=3.5),
)
"""Finds a complaint by its text, walks it, and goes through the eight answers."""


class Frame(NamedTuple):
    """What was on screen, as a piece of SVG for each line, and for how long."""

    lines: dict[int, str]
    seconds: float


class Film:
    """Pictures of a console, and the few CSS classes that their texts share."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.styles: dict[str, str] = {}
        """The declarations of a style → its class."""
        self._box = self._window = self._place = ""
        """The view box, the window around every picture, and where in it the lines are."""

    def add(self, svg: str, seconds: float) -> None:
        """Append a picture as Rich exports it."""
        rules = dict(_RULE.findall(svg))
        tree = ET.fromstring(svg)
        content = tree.findall(f"{_SVG}g")[-1]
        self._box, self._place = tree.attrib["viewBox"], content.attrib["transform"]
        self._window = "".join(self._rect(each) for each in tree.findall(f"{_SVG}rect"))
        lines: dict[int, str] = {}
        for element in content.iter():
            if element.tag == f"{_SVG}rect":
                line, text = round((float(element.attrib["y"]) - 1.5) / _LINE), self._rect(element)
            elif element.tag == f"{_SVG}text":
                line, text = round((float(element.attrib["y"]) - 20) / _LINE), self._text(element, rules)
            else:
                continue
            lines[line] = lines.get(line, "") + text
        self.frames.append(Frame(lines, seconds))

    def svg(self) -> str:
        """The film."""
        ends, total = [], 0.0
        for frame in self.frames:
            total += frame.seconds
            ends.append(total)
        shown: dict[str, list[bool]] = {}
        for number, frame in enumerate(self.frames):
            for piece in frame.lines.values():
                shown.setdefault(piece, [False] * len(self.frames))[number] = True
        spans: dict[tuple[bool, ...], str] = {}
        body, rules = [], [f".{name}{{{style}}}" for style, name in self.styles.items()]
        for piece, when in shown.items():
            name = spans.setdefault(tuple(when), f"v{len(spans)}")
            body.append(f'<g class="{name}">{piece}</g>')
        for when, name in spans.items():
            rules += _rules(name, when, ends)
        style = "\n".join([*rules, "@media (prefers-reduced-motion: reduce){g{animation:none!important}}"])
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{self._box}" role="img">',
            f"<title>The incident walk</title>\n<style>\n{_FONT}\n{style}\n</style>",
            f'{self._window}\n<g transform="{self._place}" class="t">',
            *body,
            "</g>\n</svg>\n",
        ])  # fmt: skip

    def _rect(self, element: ET.Element) -> str:
        wanted = ("fill", "stroke", "stroke-width", "x", "y", "width", "height", "rx")
        return f"<rect {_attributes({name: element.attrib[name] for name in wanted if name in element.attrib})}/>"

    def _text(self, element: ET.Element, rules: dict[str, str]) -> str:
        style = rules.get(element.attrib.get("class", ""), "")
        name = self.styles.setdefault(style, f"c{len(self.styles)}")
        wanted = {"class": name, **{part: element.attrib[part] for part in ("x", "y", "textLength")}}
        return f"<text {_attributes(wanted)}>{_escaped(element.text or '')}</text>"


_FONT = ".t{font:20px 'Fira Code',Menlo,Consolas,monospace;white-space:pre}"


def _rules(name: str, when: Sequence[bool], ends: Sequence[float]) -> list[str]:
    """The CSS that shows a piece in the frames it is part of; what is in all of them needs none."""
    if all(when):
        return []
    total = ends[-1]
    changes, before = [], None
    for number, visible in enumerate(when):
        if visible != before:
            start = 100 * (ends[number - 1] if number else 0.0) / total
            changes.append(f"{start:.2f}%{{visibility:{'visible' if visible else 'hidden'}}}")
        before = visible
    still = "visible" if when[-1] else "hidden"
    return [
        f".{name}{{visibility:{still};animation:{name} {total:.2f}s step-end infinite}}",
        f"@keyframes {name}{{{''.join(changes)}}}",
    ]


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("\xa0", "&#160;")


async def settled(app: Console, pause: float = 0.1) -> None:
    """Wait until every background query is done and drawn."""
    for _ in range(600):
        await asyncio.sleep(pause)
        if app.jobs.idle and app.pulse is not None:
            break
    await asyncio.sleep(pause)


async def record(project: Path, theme: str, clock: Clock = utc_now) -> str:
    """Return the film of the walk in a theme."""
    film = Film()
    with open_spine(project, readonly=True) as spine:
        app = Console(Source(spine), screen="incident", clock=clock, state=State(theme=theme))
        async with app.run_test(size=SIZE) as pilot:
            await settled(app)
            for step in STEPS:
                for key in [*step.keys, *step.text] or [""]:
                    if key:
                        await pilot.press(_NAMES.get(key, key))
                    await settled(app, 0.02)
                    film.add(app.export_screenshot(title="spine console", simplify=True), step.seconds)
    return film.svg()
