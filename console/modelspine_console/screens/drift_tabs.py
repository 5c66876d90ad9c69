"""The tabs of one day of drift: features, trend over the days, bins, two-way maps, and expected accuracy.

Pure drawing of core's values. Features and bins belong to the workload: they are drawn whatever their names are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from modelspine.drift.changes import is_special, two_way
from modelspine.drift.figures import chance, figure, part, percent, sparkline
from modelspine.drift.format import coverage, facts, other, reference, remarks, why_none_expected
from modelspine.drift.graded_text import contradiction, graded
from modelspine.drift.sentences import expected_sentence, sentence
from modelspine.drift.status import ACT, WATCH
from modelspine.drift.weekdays import trend_sentence
from modelspine.text import visible
from modelspine_console.draw.charts import matrix
from modelspine_console.draw.format import ago, bullet, dash, heading, headline, pairs, status, when
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.plots import Axis, Series, level, plot, runs, thinned, upright
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from datetime import datetime

    from modelspine.drift.days import Day, Reported
    from modelspine.drift.features import Bin, Feature
    from modelspine.drift.report import DriftReport

_NAME = 26
"""Cells of the name of a feature or a bin."""
_BAR = 12
"""Cells of the longest bar."""
_PLOT_HEIGHT = 10
_PLOT_WIDTH = 110
"""Columns of the widest plot: a wider one is slower to draw and no easier to read."""
_MAX_PLOTS = 12
"""Features with a plot of their own; more would take so long to draw that keys feel slow."""
_CELL, _NARROW_CELL = 13, 7
"""Cells of a map for a share and its difference, and for the difference alone."""
_LARGEST = 1e6
"""PSI is unbounded; above this, values are drawn at the upper edge of the plot."""
_SAID: dict[str, Role] = {"watch": "warn", "act": "bad", "insufficient": "muted"}
_TONES: tuple[tuple[float, Role], ...] = ((ACT, "heat0"), (WATCH, "heat1"), (WATCH / 2, "heat2"), (WATCH / 10, "heat3"))


def features(made: Reported, day: Day, now: datetime, width: int) -> list[Line]:
    """The day's status, every feature, the worst first, and below them what the figures rest on."""
    report, event = made.report, made.event
    lines = said(report)
    lines += pairs(
        [
            ("status", row(status(report.status), safe(f"   {_shares(report)}", "muted"))),
            ("against", safe(reference(report))),
            ("recorded", row(safe(f"#{event.seq}  "), ago(event.at, now))),
            ("at", when(event.at)),
        ]
    )
    if text := contradiction(report):
        lines.append(bullet("!", text, "warn"))
    lines += [bullet("·", f"also reported {other(each.body, each.seq)}", "muted") for each in day.others]
    if day.uncounted:
        update = f"`spine drift report --day {day.day}` includes them"
        lines.append(bullet("!", f"{day.uncounted:,} more requests arrived since; {update}", "warn"))
    numbers = (("n / min", 2), ("missing", 6), ("PSI", 1), ("KL", 5), ("p", 4), ("p adj.", 3))
    heads = (Head("feature"), Head("status"), *(Head(title, right=True, rank=rank) for title, rank in numbers))
    rows = [[_short(name), *_figures(feature)] for name, feature in report.ranked]
    lines += [safe(""), *grid(heads, rows, width)]
    lines += [bullet("·", text, "muted") for text in remarks(report.ranked)]
    return [*lines, safe(""), *pairs([(name, safe(text, limit=2000)) for name, text in facts(report)])]


def _shares(report: DriftReport) -> str:
    failed = report.failed
    more = f"   failed {percent(failed.share)}" if failed is not None and failed.k else ""
    return f"coverage {percent(report.coverage)}{more}"


def said(report: DriftReport) -> list[Line]:
    """What the report found, as the sentence that the command line prints, in the colour of its status."""
    return headline(sentence(report), _SAID.get(report.status, "strong"))


def _figures(feature: Feature) -> list[Line]:
    return [
        status(feature.status),
        safe(f"{feature.n:,}/{feature.needed:,}"),
        safe(f"{feature.absent:,}"),
        *(safe(figure(v)) for v in (feature.psi, feature.kl)),
        *(safe(chance(p)) for p in (feature.p, feature.p_adjusted)),
    ]


def course(days: Sequence[Day], chosen: Day, width: int, early: str = "") -> list[Line]:
    """PSI and KL of every feature over the days, with the thresholds; the chosen day's worst feature first.

    ``early`` names the requests that are dated ahead of the clock, if there are any.
    """
    reports = [day.made.report for day in days if day.made is not None]
    return [
        *headline(trend_sentence(reports)),
        *([bullet("!", early, "warn")] if early else []),
        *_courses(days, chosen, width),
    ]


def _courses(days: Sequence[Day], chosen: Day, width: int) -> list[Line]:
    placed = [(_place(day), day.made.report) for day in days if day.made is not None]
    reports = sorted(((at, report) for at, report in placed if at is not None), key=lambda pair: pair[0])
    if not reports:
        return []
    first = [name for name, _ in chosen.made.report.ranked] if chosen.made is not None else []
    names = [*dict.fromkeys([*first, *(name for _, report in reports for name in report.features)])]
    lines: list[Line] = []
    for name in names[:_MAX_PLOTS]:
        lines += [*heading(name), *_course(reports, name, chosen, width)]
    if names[_MAX_PLOTS:]:
        lines += heading(f"PSI of the other {len(names) - _MAX_PLOTS:,} features; █ is {ACT:.2f} or more")
        lines += pairs([(visible(name, _NAME), _line(reports, name, width)) for name in names[_MAX_PLOTS:]])
    legend = row(safe(" ● PSI", "accent"), safe("   + KL", "muted"), safe(f"   ┄ watch {WATCH:.2f}", "warn"),
                 safe(f"   ┄ act {ACT:.2f}", "bad"), safe("   │ this day", "faint"))  # fmt: skip
    return [legend, *lines]


def _line(reports: Sequence[tuple[int, DriftReport]], name: str, width: int) -> Line:
    """The PSI of a feature's newest days as a sparkline."""
    found = [report.features.get(name) for _, report in reports]
    return safe(sparkline([f.psi if f else None for f in found][-max(8, width - _NAME - 4) :], ACT), "accent")


def _course(reports: Sequence[tuple[int, DriftReport]], name: str, chosen: Day, width: int) -> list[Line]:
    found = [(at, report.features.get(name)) for at, report in reports]
    psi = thinned([(float(at), f.psi if f else None) for at, f in found], 2 * width)
    kl = thinned([(float(at), f.kl if f else None) for at, f in found], 2 * width)
    known = [value for _, value in (*psi, *kl) if value is not None]
    if not known:
        return [safe(" never enough requests for a comparison", "muted")]
    first, last = reports[0][0], reports[-1][0]
    margin = int(first == last)  # a single day needs an axis of some length
    x = Axis(first - margin, last + margin, _dates(first, last))
    y = _height(max(known))
    here = _place(chosen)
    mark = [upright(here, y, "faint")] if here and x.low <= here <= x.high else []
    lines = [Series(stretch, "accent") for stretch in runs(psi)]
    dots = [_dots(kl, "muted", "+"), _dots(psi, "accent", "●")]
    return plot(
        [level(WATCH, x, "warn"), level(ACT, x, "bad"), *mark, *lines, *dots],
        x,
        y,
        min(width, _PLOT_WIDTH),
        _PLOT_HEIGHT,
    )


def _dots(points: Sequence[tuple[float, float | None]], role: Role, sign: str) -> Series:
    return Series(tuple((at, value) for at, value in points if value is not None), role, sign)


def _place(day: Day) -> int | None:
    """A day as a number on the axis; None if its name is no date."""
    try:
        return date.fromisoformat(day.day).toordinal()
    except ValueError:
        return None


def _dates(first: int, last: int) -> tuple[tuple[float, str], ...]:
    middle = [(first + last) // 2] if last - first > 3 else []
    pattern = "%m-%d" if date.fromordinal(first).year == date.fromordinal(last).year else "%Y-%m"
    return tuple((float(at), date.fromordinal(at).strftime(pattern)) for at in dict.fromkeys([first, *middle, last]))


def _height(largest: float) -> Axis:
    """From 0 to just above the largest value, and always to above the drift threshold."""
    top = max(1.2 * ACT, min(largest, _LARGEST) * 1.05)
    ticks = [(0.0, "0"), (top, f"{top:.2f}" if top < 1000 else f"{top:.0e}")]
    ticks += [(band, f"{band:.2f}") for band in (WATCH, ACT) if 0.1 < band / top < 0.9]
    return Axis(0.0, top, tuple(ticks))


def bins(report: DriftReport, width: int) -> list[Line]:
    """The bins of every feature by their share of PSI, largest first: ▶ more often than in training, ◀ less often."""
    lines: list[Line] = []
    before = report.reference.day or "trained"
    heads = (Head("bin"), Head(before, right=True, rank=2), Head("day", right=True, rank=1),
             Head("share of PSI", right=True), Head("", rank=3))  # fmt: skip
    for name, feature in report.ranked:
        about = row(status(feature.status), safe(f"   PSI {figure(feature.psi)}   n {feature.n:,}", "muted"))
        lines += [*heading(name), row(safe(" "), about)]
        most = max((abs(each.contribution) for each in feature.bins), default=0.0)
        rows = [_bin(each, feature, most) for each in feature.bins]
        lines += (
            grid(heads, rows, width, note=name == report.ranked[0][0])
            if rows
            else [safe(" nothing to compare", "muted")]
        )
    return [*said(report), *lines[1:]]


def _bin(each: Bin, feature: Feature, most: float) -> list[Line]:
    length = round(_BAR * (abs(each.contribution) / most)) if most and math.isfinite(most) else 0
    bar = safe("▶" * length, "warn") if each.contribution > 0 else safe("◀" * length, "accent")
    share = [safe(text) for text in (percent(each.p), percent(each.q), part(each.contribution, feature.psi))]
    return [_short(each.bin), *share, cut(bar, _BAR)]


def _short(name: str) -> Line:
    """A name, shortened if it is long."""
    line = safe(name)
    return cut(line, min(_NAME, max(1, line.cell_length)))


def maps(report: DriftReport, width: int) -> list[Line]:
    """A map for every feature whose values have two parts."""
    lines: list[Line] = []
    for name, feature in report.ranked:
        found = two_way(feature.bins)
        if found:
            lines += [*heading(name), *_map(found, feature, width)]
    return [*said(report), *(lines[1:] or [safe(" no feature of this day has values with two parts", "muted")])]


def _map(found: dict[tuple[str, str], Bin], feature: Feature, width: int) -> list[Line]:
    rows, columns = (sorted({pair[n] for pair in found}) for n in (0, 1))
    label = min(20, 2 + max(cells(name) for name in rows))
    least = _CELL if label + 1 + _CELL * len(columns) <= width else _NARROW_CELL
    shown = "share of the day in %, difference to training in pp" if least == _CELL else "difference to training in pp"

    def draw(name: str, column: str, wide: int) -> Line:
        each = found.get((name, column))
        if each is None:
            return cut(safe("·", "faint"), wide, right=True)
        text = f"{100 * (each.q - each.p):+.1f} "
        text = f"{100 * each.q:5.1f}{text:>7}" if least == _CELL else text
        part_of_all = abs(each.contribution) * len(found)
        tone: Role = next((role for edge, role in _TONES if part_of_all >= edge), "heat4")
        return row(safe(" "), cut(safe(text, tone), wide - 1, right=True))

    note = f"{shown}, n = {feature.n:,}; PSI {figure(feature.psi)}"
    lines = matrix(rows, columns, width, draw, note=note, least=least)
    others = [each for each in feature.bins if is_special(each)]
    return lines + [
        row(safe(" · ", "muted"), _short(each.bin), safe(f"  {percent(each.p)} → {percent(each.q)}", "muted"))
        for each in others
    ]


def expected(report: DriftReport, width: int) -> list[Line]:
    """The accuracy expected from the day's mix of inputs along each dimension, and the accuracy that was graded."""
    lines = headline(expected_sentence(report))
    lines += pairs([("graded", safe(graded(report), limit=400)), ("coverage", safe(coverage(report), limit=400))])
    if text := contradiction(report):
        lines.append(bullet("!", text, "warn"))
    if not report.expected:
        return [*lines, safe(f" expected accuracy unknown: {why_none_expected(report)}", "muted")]
    heads = (Head("dimension"), Head("that day", right=True), Head("reference", right=True), Head("Δ pp", right=True),
             Head("n", right=True))  # fmt: skip
    rows = []
    for name, each in sorted(report.expected.items(), key=lambda item: item[1].live):
        delta = None if each.reference is None else 100 * (each.live - each.reference)
        role: Role = "" if delta is None or abs(delta) < 0.05 else "bad" if delta < 0 else "good"
        rows.append(
            [safe(name), safe(percent(each.live)), safe(percent(each.reference)),
             dash(None) if delta is None else safe(f"{delta:+.1f}", role), safe(f"{each.n:,}")]
        )  # fmt: skip
    about = " expected: the evaluated accuracy of each bucket, weighted by how often it was requested"
    return [*lines, safe(""), safe(about, "muted"), safe(""), *grid(heads, rows, width)]
