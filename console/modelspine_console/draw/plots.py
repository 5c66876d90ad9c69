"""Plots in characters: points, lines and crosses over two axes, drawn with plotext.

Everything is scaled into the unit square before plotext sees it, so neither a huge nor an infinite value reaches it.
Its output is cut into pieces whose colours become roles, and passes ``sanitize`` like all other text. It does not know
what is plotted; plotext is imported when the first plot is drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role

_ROLES: tuple[Role, ...] = ("faint", "bad", "good", "warn", "accent", "muted", "strong")
"""Role of each colour number that is passed to plotext."""
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
LINE, RULE, UPRIGHT, ACROSS = "braille", "┄", "│", "─"
"""Markers of series whose points are joined: a curve, a dashed threshold, a vertical and a horizontal line."""
LEAST = (16, 5)
"""Fewest columns and lines of a plot."""

Point = tuple[float, float]


class Axis(msgspec.Struct, frozen=True):
    """The range of one axis, and its tick labels by value."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, value: float) -> float:
        """The position of a value between the ends, 0 to 1; values beyond an end are placed on it."""
        span = self.high - self.low
        if not math.isfinite(span) or span <= 0:
            return 0.5
        return min(1.0, max(0.0, (value - self.low) / span))


class Series(msgspec.Struct, frozen=True):
    """Points in one colour: joined by a line, or each drawn as a sign."""

    points: tuple[Point, ...]
    role: Role
    mark: str = LINE


def plot(series: Sequence[Series], x: Axis, y: Axis, width: int, height: int) -> list[Line]:
    """The series drawn over each other, the last one on top."""
    if width < LEAST[0] or height < LEAST[1]:
        return [safe(" no room for the plot: zoom (z) or widen the window", "faint")]
    figure = load()
    figure.clear_figure()
    figure.theme("clear")
    figure.limit_size(False, False)
    figure.plotsize(width - 2, height)  # a scroll bar may take the last column
    figure.xlim(0, 1)
    figure.ylim(0, 1)
    for each in series:
        drawn = [(x.place(a), y.place(b)) for a, b in each.points if math.isfinite(a) and math.isfinite(b)]
        if drawn:
            draw = figure.plot if each.mark in (LINE, RULE, UPRIGHT, ACROSS) else figure.scatter
            draw(*map(list, zip(*drawn, strict=True)), marker=each.mark, color=_ROLES.index(each.role))
    figure.xticks([x.place(value) for value, _ in x.ticks], [label for _, label in x.ticks])
    figure.yticks([y.place(value) for value, _ in y.ticks], [label for _, label in y.ticks])
    return [row(safe(" "), *_pieces(line)) for line in figure.build().splitlines()[:height]]


def level(value: float, x: Axis, role: Role) -> Series:
    """A dashed horizontal line at one value."""
    return Series(((x.low, value), (x.high, value)), role, RULE)


def upright(value: float, y: Axis, role: Role) -> Series:
    """A vertical line at one place."""
    return Series(((value, y.low), (value, y.high)), role, UPRIGHT)


def runs(points: Sequence[tuple[float, float | None]]) -> Iterator[tuple[Point, ...]]:
    """The points as unbroken stretches, split where a value is missing or not finite."""
    stretch: list[Point] = []
    for at, value in points:
        if value is None or not math.isfinite(value):
            if stretch:
                yield tuple(stretch)
            stretch = []
        else:
            stretch.append((at, value))
    if stretch:
        yield tuple(stretch)


def thinned(points: Sequence[tuple[float, float | None]], most: int) -> list[tuple[float, float | None]]:
    """At most ``most`` points: the highest of each group of neighbours, so that no peak is lost."""
    each = max(1, -(-len(points) // max(1, most)))
    return [
        max(points[start : start + each], key=lambda point: -1.0 if point[1] is None else point[1])
        for start in range(0, len(points), each)
    ]


def load() -> Any:
    """Import plotext; screens call this in a background thread, so that their first plot does not block the keys."""
    import plotext

    return plotext


def _pieces(line: str) -> Iterator[Line]:
    """A line that plotext drew, cut where its colour changes."""
    at, role = 0, "faint"
    for found in _SGR.finditer(line):
        if found.start() > at:
            yield safe(line[at : found.start()], _role(role))
        role, at = found[1], found.end()
    if at < len(line):
        yield safe(line[at:], _role(role))


def _role(code: str) -> Role:
    number = code.rpartition(";")[2]
    return _ROLES[int(number)] if code.startswith("38;5;") and int(number) < len(_ROLES) else "faint"
