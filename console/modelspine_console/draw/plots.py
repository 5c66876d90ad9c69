"""Plots in characters: points, lines and crosses over two axes, as lines that went through the safe door.

Everything is scaled into the unit square before the plotting library sees it, so that neither a huge value nor an
endless one reaches it; what it hands back is cut into pieces whose colours become roles. It does not know what is
plotted, and the library is loaded when the first plot is drawn.
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
"""Role of each colour the library is given by number."""
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
LINE, RULE, UPRIGHT, ACROSS = "braille", "┄", "│", "─"
"""Marks whose points are joined: a drawn line, the dashes of a band, a line up and one across."""
LEAST = (16, 5)
"""Fewest columns and lines of a plot."""

Point = tuple[float, float]


class Axis(msgspec.Struct, frozen=True):
    """What one side shows: its two ends, and what is written at which values."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()

    def place(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1; one beyond an end lies on it."""
        span = self.high - self.low
        if not math.isfinite(span) or span <= 0:
            return 0.5
        return min(1.0, max(0.0, (value - self.low) / span))


class Series(msgspec.Struct, frozen=True):
    """Points in one colour: joined by a line, or each under a sign."""

    points: tuple[Point, ...]
    role: Role
    mark: str = LINE


def plot(series: Sequence[Series], x: Axis, y: Axis, width: int, height: int) -> list[Line]:
    """The series over each other, the last on top."""
    if width < LEAST[0] or height < LEAST[1]:
        return [safe(" no room for the plot: zoom (z) or widen the window", "faint")]
    figure = _library()
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
    """A dashed line across the plot at one height."""
    return Series(((x.low, value), (x.high, value)), role, RULE)


def upright(value: float, y: Axis, role: Role) -> Series:
    """A line from top to bottom at one place."""
    return Series(((value, y.low), (value, y.high)), role, UPRIGHT)


def runs(points: Sequence[tuple[float, float | None]]) -> Iterator[tuple[Point, ...]]:
    """The points in stretches, parted where there is no value."""
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
    """At most so many points: of each stretch of neighbours the highest, so that no peak is lost."""
    each = max(1, -(-len(points) // max(1, most)))
    return [
        max(points[start : start + each], key=lambda point: -1.0 if point[1] is None else point[1])
        for start in range(0, len(points), each)
    ]


def load() -> None:
    """Load the library."""
    _library()


def _library() -> Any:
    import plotext

    return plotext


def _pieces(line: str) -> Iterator[Line]:
    """A line the library drew, cut where its colour changes."""
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
