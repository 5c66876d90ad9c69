"""The tabs of one day of drift: its features, their course over the days, bins, a two-way map, expected accuracy.

Pure drawing of core's values. Features and bins are the workload's: whatever names they have, they are drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from modelspine.drift.format import chance, facts, figure, missing, part, percent, sparkline
from modelspine.drift.report import ACT, WATCH
from modelspine.signs import sign_of
from modelspine.text import visible
from modelspine_console.draw.charts import matrix
from modelspine_console.draw.format import age, dash, heading, pairs, when
from modelspine_console.draw.grid import Head, grid
from modelspine_console.draw.plots import Axis, Series, level, plot, runs, thinned, upright
from modelspine_console.draw.sanitize import Line, cells, cut, row, safe
from modelspine_console.draw.theme import Role

if TYPE_CHECKING:
    from datetime import datetime

    from modelspine.drift.days import Day, Reported
    from modelspine.drift.report import Bin, DriftReport, Feature

_STATUS: dict[str, Role] = {"insufficient": "muted", "stable": "good", "watch": "warn", "act": "bad"}
_NAME = 26
_BAR = 12
_HIGH = 10
"""Lines of one feature's plot."""
_PLOTS = 12
"""Features that have a plot of their own; more would hold up the keys."""
_CELL = 13
"""Cells that a share and its difference take."""
_PAIR = re.compile(r"\s*×\s*|\s*/\s*|\s*\|\s*|\s+")
_TONES: tuple[tuple[float, Role], ...] = ((ACT, "heat0"), (WATCH, "heat1"), (WATCH / 2, "heat2"), (WATCH / 10, "heat3"))
_Cells = dict[tuple[str, str], Any]


def drift_status(word: str) -> Line:
    """A drift status: sign, word and colour."""
    role = _STATUS.get(word, "")
    return row(safe(f"{sign_of(word).glyph} ", role), safe(word, role))


def features(made: Reported, day: Day, now: datetime, width: int) -> list[Line]:
    """The day: what it rests on, and every feature, the worst first."""
    report = made.report
    event = made.event
    recorded = row(safe(f"#{event.seq}  "), age(event.at, now), safe(" ago", "muted"))
    lines = pairs(
        [
            ("status", drift_status(report.status)),
            ("recorded", recorded),
            ("at", when(event.at)),
            *((name, safe(text, limit=2000)) for name, text in facts(report)),
        ]
    )
    if day.uncounted:
        lines.append(
            safe(f" ! {day.uncounted:,} more were answered since: `spine drift report --day {day.day}`", "warn")
        )
    numbers = (("n/needed", 2), ("PSI", 1), ("KL", 5), ("p", 4), ("p adj.", 3))
    heads = (Head("feature"), Head("status"), *(Head(title, right=True, rank=rank) for title, rank in numbers))
    rows = [[_short(name), *_figures(feature)] for name, feature in report.ranked]
    lines += [safe(""), *grid(heads, rows, width)]
    lacking = [(name, missing(feature)) for name, feature in report.ranked if feature.missing]
    return lines + [row(safe(" · ", "muted"), safe(f"{name}: {lacks}", "muted")) for name, lacks in lacking]


def _figures(feature: Feature) -> list[Line]:
    return [
        drift_status(feature.status),
        safe(f"{feature.n:,}/{feature.needed:,}"),
        *(safe(figure(v)) for v in (feature.psi, feature.kl)),
        *(safe(chance(p)) for p in (feature.p, feature.p_adjusted)),
    ]


def course(days: Sequence[Day], chosen: Day, width: int) -> list[Line]:
    """PSI and KL of every feature over the days, with the bands; the worst feature of the chosen day on top."""
    placed = [(_place(day), day.made.report) for day in days if day.made is not None]
    reports = sorted(((at, report) for at, report in placed if at is not None), key=lambda pair: pair[0])
    if not reports:
        return [safe(" no day is reported yet", "muted")]
    first = [name for name, _ in chosen.made.report.ranked] if chosen.made is not None else []
    names = [*dict.fromkeys([*first, *(name for _, report in reports for name in report.features)])]
    lines: list[Line] = []
    for name in names[:_PLOTS]:
        lines += [*heading(name), *_course(reports, name, chosen, width)]
    if names[_PLOTS:]:
        lines += heading(f"PSI of the other {len(names) - _PLOTS:,}, █ is {ACT:.2f} and above")
        lines += pairs([(visible(name, _NAME), _line(reports, name, width)) for name in names[_PLOTS:]])
    told = row(safe(" ● PSI", "accent"), safe("   + KL", "muted"), safe(f"   ┄ watch {WATCH:.2f}", "warn"),
               safe(f"   ┄ act {ACT:.2f}", "bad"), safe("   │ this day", "faint"))  # fmt: skip
    return [told, *lines]


def _line(reports: Sequence[tuple[int, DriftReport]], name: str, width: int) -> Line:
    """A feature's newest days in one line."""
    found = [report.features.get(name) for _, report in reports]
    return safe(sparkline([f.psi if f else None for f in found][-max(8, width - _NAME - 4) :], ACT), "accent")


def _course(reports: Sequence[tuple[int, DriftReport]], name: str, chosen: Day, width: int) -> list[Line]:
    found = [(at, report.features.get(name)) for at, report in reports]
    psi = thinned([(float(at), f.psi if f else None) for at, f in found], 2 * width)
    kl = thinned([(float(at), f.kl if f else None) for at, f in found], 2 * width)
    known = [value for _, value in (*psi, *kl) if value is not None]
    if not known:
        return [safe(" never enough requests to compare", "muted")]
    first, last = reports[0][0], reports[-1][0]
    alone = int(first == last)
    x = Axis(first - alone, last + alone, _dates(first, last))
    y = _height(max(known))
    here = _place(chosen)
    mark = [upright(here, y, "faint")] if here and x.low <= here <= x.high else []
    lines = [Series(stretch, "accent") for stretch in runs(psi)]
    dots = [_dots(kl, "muted", "+"), _dots(psi, "accent", "●")]
    return plot([level(WATCH, x, "warn"), level(ACT, x, "bad"), *mark, *lines, *dots], x, y, min(width, 110), _HIGH)


def _dots(points: Sequence[tuple[float, float | None]], role: Role, sign: str) -> Series:
    return Series(tuple((at, value) for at, value in points if value is not None), role, sign)


def _place(day: Day) -> int | None:
    """A day's number; None where its name is no date."""
    try:
        return date.fromisoformat(day.day).toordinal()
    except ValueError:
        return None


def _dates(first: int, last: int) -> tuple[tuple[float, str], ...]:
    middle = [(first + last) // 2] if last - first > 3 else []
    form = "%m-%d" if date.fromordinal(first).year == date.fromordinal(last).year else "%Y-%m"
    return tuple((float(at), date.fromordinal(at).strftime(form)) for at in dict.fromkeys([first, *middle, last]))


def _height(largest: float) -> Axis:
    """From 0 to a little above the largest value, and to above the band of ``act`` in any case."""
    top = max(1.2 * ACT, min(largest, 1e6) * 1.05)
    ticks = [(0.0, "0"), (top, f"{top:.2f}" if top < 1000 else f"{top:.0e}")]
    ticks += [(band, f"{band:.2f}") for band in (WATCH, ACT) if 0.1 < band / top < 0.9]
    return Axis(0.0, top, tuple(ticks))


def bins(report: DriftReport, width: int) -> list[Line]:
    """The bins of every feature by their part of PSI, largest first: ▶ came more often than in training, ◀ less."""
    lines: list[Line] = []
    heads = (Head("bin"), Head("trained", right=True, rank=2), Head("day", right=True, rank=1),
             Head("of PSI", right=True), Head("", rank=3))  # fmt: skip
    for name, feature in report.ranked:
        about = row(drift_status(feature.status), safe(f"   PSI {figure(feature.psi)}   n {feature.n:,}", "muted"))
        lines += [*heading(name), row(safe(" "), about)]
        most = max((abs(each.contribution) for each in feature.bins), default=0.0)
        rows = [_bin(each, feature, most) for each in feature.bins]
        lines += (
            grid(heads, rows, width, note=name == report.ranked[0][0])
            if rows
            else [safe(" nothing was there to compare", "muted")]
        )
    return lines[1:]


def _bin(each: Bin, feature: Feature, most: float) -> list[Line]:
    long = round(_BAR * (abs(each.contribution) / most)) if most and math.isfinite(most) else 0
    bar = safe("▶" * long, "warn") if each.contribution > 0 else safe("◀" * long, "accent")
    share = [safe(text) for text in (percent(each.p), percent(each.q), part(each.contribution, feature.psi))]
    return [_short(each.bin), *share, cut(bar, _BAR)]


def _short(name: str) -> Line:
    """A name, cut where it is long."""
    line = safe(name)
    return cut(line, min(_NAME, max(1, line.cell_length)))


def maps(report: DriftReport, width: int) -> list[Line]:
    """Every feature whose values have two parts, as a map of one by the other."""
    lines: list[Line] = []
    for name, feature in report.ranked:
        found = two_way(feature.bins)
        if found:
            lines += [*heading(name), *_map(found, feature, width)]
    return lines[1:] or [safe(" no feature of this day has values of two parts", "muted")]


def two_way(found: Sequence[Bin]) -> _Cells:
    """Bins by the two parts of their names; none where the names do not make a table."""
    parts = {tuple(_PAIR.split(each.bin.strip())): each for each in found if not _special(each)}
    if not parts or any(len(pair) != 2 for pair in parts):
        return {}
    rows, columns = ({pair[n] for pair in parts} for n in (0, 1))
    square = len(rows) > 1 and len(columns) > 1 and len(rows) * len(columns) <= 3 * len(parts)
    return {(pair[0], pair[1]): each for pair, each in parts.items()} if square else {}


def _special(each: Bin) -> bool:
    """Bins that are no single value: unseen, the rest, several rare ones taken together."""
    return each.bin.startswith("(") or " + " in each.bin


def _map(found: _Cells, feature: Feature, width: int) -> list[Line]:
    rows, columns = (sorted({pair[n] for pair in found}) for n in (0, 1))
    label = min(20, 2 + max(cells(name) for name in rows))
    least = _CELL if label + 1 + _CELL * len(columns) <= width else 7
    told = "share of the day in %, difference to training in pp" if least == _CELL else "difference to training in pp"

    def draw(name: str, column: str, wide: int) -> Line:
        each = found.get((name, column))
        if each is None:
            return cut(safe("·", "faint"), wide, right=True)
        text = f"{100 * (each.q - each.p):+.1f} "
        text = f"{100 * each.q:5.1f}{text:>7}" if least == _CELL else text
        part_of_all = abs(each.contribution) * len(found)
        tone: Role = next((role for edge, role in _TONES if part_of_all >= edge), "heat4")
        return row(safe(" "), cut(safe(text, tone), wide - 1, right=True))

    lines = matrix(
        rows, columns, width, draw, note=f"{told}, n = {feature.n:,}; PSI {figure(feature.psi)}", least=least
    )
    others = [each for each in feature.bins if _special(each)]
    return lines + [
        row(safe(" · ", "muted"), _short(each.bin),
            safe(f"  {percent(each.p)} → {percent(each.q)}", "muted")) for each in others
    ]  # fmt: skip


def expected(report: DriftReport, width: int) -> list[Line]:
    """Along each dimension: the accuracy the day's mix amounts to, beside that of the mix trained on."""
    if not report.expected:
        return [safe(" its entry was never evaluated in buckets, so nobody can say", "muted")]
    heads = (Head("along"), Head("that day", right=True), Head("trained on", right=True), Head("Δ pp", right=True),
             Head("n", right=True))  # fmt: skip
    rows = []
    for name, each in sorted(report.expected.items(), key=lambda item: item[1].live):
        delta = None if each.reference is None else 100 * (each.live - each.reference)
        role: Role = "" if delta is None or abs(delta) < 0.05 else "bad" if delta < 0 else "good"
        rows.append(
            [safe(name), safe(percent(each.live)), safe(percent(each.reference)),
             dash(None) if delta is None else safe(f"{delta:+.1f}", role), safe(f"{each.n:,}")]
        )  # fmt: skip
    covered = f"{percent(report.coverage)} of {report.window.n:,} requests are in an evaluated bucket"
    lines = [safe(" the accuracy of each bucket in the entry's evaluation, weighed by how often it was asked", "muted")]
    return [*lines, safe(""), *grid(heads, rows, width), safe(""), safe(f" {covered}", "muted")]
