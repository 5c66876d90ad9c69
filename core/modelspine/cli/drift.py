"""``spine drift report`` and ``spine drift show``: whether a day's inputs look like those a model was trained on."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from modelspine.cli.output import Cell, Out, Piece, status_cell
from modelspine.cli.parser import Verbs, count, day
from modelspine.cli.progress import working
from modelspine.drift.format import BARS, chance, facts, figure, missing, part, percent, source, sparkline
from modelspine.errors import Exit, UnknownRef
from modelspine.spine import Spine
from modelspine.times import moment

if TYPE_CHECKING:
    from modelspine.drift.days import Day
    from modelspine.drift.report import DriftReport, Feature

_SHOWN_BINS = 5
"""Bins of a feature that are shown, those with the largest part of its PSI first."""


def command(verbs: Verbs) -> None:
    """Add ``drift`` with its verbs."""
    nested = verbs.add("drift", "compare a day's requests with the training corpora").add_verbs()
    report = nested.add(
        "report", "compare one day and record the report", run_report,
        example="spine drift report --day 2026-11-22", writes=True,
    )  # fmt: skip
    report.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: the newest with traffic)")
    report.add_argument(
        "--against", metavar="REF", help="compare with this entry's corpora (default: the entry that answered most)"
    )
    show = nested.add("show", "show the reported days, or one of them", run_show, example="spine drift show --weeks 8")
    show.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="one day in full")
    show.add_argument("--weeks", type=count, default=4, metavar="N", help="how far back (default: 4)")
    show.add_argument("--at", type=moment, metavar="TIME", help="the state at this time")


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Count a day, compare it, and record the report."""
    from modelspine.drift.days import as_object, measure, newest_day, record

    out = Out.of(args)
    with working("counting requests") as progress:
        step = partial(progress.step, "request")
        report = measure(spine, args.day or newest_day(spine), against=args.against, step=step)
    written = record(spine, report)
    if out.json:
        out.object(as_object(written) | {"created": written.created})
        return Exit.OK
    repeated = "" if written.created else " (already recorded)"
    file = spine.settings.drift_reports / str(written.event.body["file"])
    out.line(f"#{written.event.seq} drift of {report.day} recorded{repeated}: {file}")
    _draw_day(out, report)
    return Exit.OK


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the trend over some weeks, or one day in full."""
    from modelspine.drift.days import as_object, days, days_as_object, recorded, trend

    out = Out.of(args)
    if args.day is not None:
        known = days(spine, args.at)
        if args.day not in known:
            hint = f"make it: `spine drift report --day {args.day}`"
            raise UnknownRef(f"no drift report of {args.day} is recorded", hint)
        written = recorded(spine, known[args.day])
        if out.json:
            out.object(as_object(written))
        else:
            _draw_day(out, written.report)
        return Exit.OK
    trend_days = trend(spine, weeks=args.weeks, at=args.at).days
    damaged = next((day.damaged for day in trend_days if day.damaged is not None), None)
    if damaged is not None:
        raise damaged
    if out.json:
        out.object(days_as_object(trend_days))
    else:
        _draw_trend(out, trend_days, args.weeks)
    return Exit.OK


def _draw_trend(out: Out, trend_days: tuple[Day, ...], weeks: int) -> None:
    reports = [day.made.report for day in trend_days if day.made is not None]
    if reports:
        _draw_reports(out, reports)
    else:
        out.line(f"no report in the last {weeks} weeks; `spine drift report` makes one")
    for each in trend_days:
        if each.made is None:
            out.line(f"{each.day}  {each.answered:,} answered, no report: `spine drift report --day {each.day}`")


def _draw_reports(out: Out, reports: list[DriftReport]) -> None:
    from modelspine.drift.report import ACT

    rows = []
    for report in reports:
        name, psi = (report.worst[0], figure(report.worst[1].psi)) if report.worst else ("–", "–")
        n, expected = f"{report.window.n:,}", percent(report.expected_accuracy)
        rows.append((report.day, status_cell(report.status), n, name, psi, expected, source(report)))
    out.table(("day", "status", "n", "worst", "PSI", "expected", "source"), rows, right=("n", "PSI", "expected"))
    out.line()
    names = dict.fromkeys(name for report in reports for name in report.features)
    columns = {name: [f.psi if (f := report.features.get(name)) else None for report in reports] for name in names}
    out.pairs((name, sparkline(values, ACT)) for name, values in columns.items())
    out.line(Cell(f"PSI of each day, {BARS[0]} = 0, {BARS[-1]} = {ACT} and above", "muted"))


def _draw_day(out: Out, report: DriftReport) -> None:
    out.line(Cell(report.day, "strong"), "  ", status_cell(report.status))
    out.pairs(facts(report))
    out.line()
    rows = [_row(name, feature) for name, feature in report.features.items()]
    out.table(("feature", "status", "n", "PSI", "KL", "p", "p adj."), rows, right=("n", "PSI", "KL", "p", "p adj."))
    for name, feature in report.features.items():
        if feature.status in ("watch", "act"):
            out.line()
            _draw_bins(out, name, feature)


def _row(name: str, feature: Feature) -> tuple[Piece, ...]:
    shortfall = missing(feature)
    status = status_cell(feature.status, f"{feature.status}, {shortfall}" if shortfall else "")
    return (
        name,
        status,
        f"{feature.n:,}",
        figure(feature.psi),
        figure(feature.kl),
        chance(feature.p),
        chance(feature.p_adjusted),
    )


def _draw_bins(out: Out, name: str, feature: Feature) -> None:
    rows = [
        (bin_.bin, percent(bin_.p), percent(bin_.q), part(bin_.contribution, feature.psi))
        for bin_ in feature.bins[:_SHOWN_BINS]
    ]
    head = (name, "trained on", "that day", "of PSI")
    out.table(head, rows, right=head[1:])
