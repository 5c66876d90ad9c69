"""``spine drift report`` and ``spine drift show``: whether the inputs of a day are those a model was trained on."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from modelspine.cli.output import Cell, Colour, Out
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.cli.traces import day
from modelspine.drift.format import BARS, SIGNS, chance, facts, figure, missing, part, percent, source, sparkline
from modelspine.errors import Exit, UnknownRef
from modelspine.spine import Spine
from modelspine.text import visible
from modelspine.times import moment

if TYPE_CHECKING:
    from modelspine.drift.days import Day
    from modelspine.drift.report import DriftReport, Feature

_COLOURS: dict[str, Colour] = {"insufficient": "dim", "stable": "good", "watch": "warn", "act": "bad"}
_SHOWN_BINS = 5


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
    """Make a report and record it."""
    from modelspine.drift.days import as_object, measure, newest_day, record

    out = Out.of(args)
    with working("counting requests") as progress:
        step = partial(progress.step, "request")
        report = measure(spine, args.day or newest_day(spine), against=args.against, step=step)
    made = record(spine, report)
    if out.json:
        out.object(as_object(made) | {"created": made.created})
        return Exit.OK
    seen = "" if made.created else " (already recorded)"
    file = visible(str(spine.settings.drift_reports / str(made.event.body["file"])), 200)
    out.line(f"#{made.event.seq} drift of {report.day} recorded{seen}: {file}")
    _full(out, report)
    return Exit.OK


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the trend, or a day."""
    from modelspine.drift.days import as_object, days, days_as_object, recorded, trend

    out = Out.of(args)
    if args.day is not None:
        known = days(spine, args.at)
        if args.day not in known:
            hint = f"make it: `spine drift report --day {args.day}`"
            raise UnknownRef(f"no drift report of {args.day} is recorded", hint)
        made = recorded(spine, known[args.day])
        if out.json:
            out.object(as_object(made))
        else:
            _full(out, made.report)
        return Exit.OK
    found = trend(spine, weeks=args.weeks, at=args.at).days
    damaged = next((day.damaged for day in found if day.damaged is not None), None)
    if damaged is not None:
        raise damaged
    if out.json:
        out.object(days_as_object(found))
    else:
        _trend(out, found, args.weeks)
    return Exit.OK


def status_cell(status: str) -> Cell:
    """A drift status as sign and word."""
    return Cell(f"{SIGNS[status]} {status}", _COLOURS[status])


def _trend(out: Out, found: tuple[Day, ...], weeks: int) -> None:
    reports = [day.made.report for day in found if day.made is not None]
    if reports:
        _reports(out, reports)
    else:
        out.line(f"no report within {weeks} weeks; `spine drift report` makes one")
    for each in found:
        if each.made is None:
            out.line(f"{each.day}  {each.answered:,} answered, no report: `spine drift report --day {each.day}`")


def _reports(out: Out, reports: list[DriftReport]) -> None:
    from modelspine.drift.report import ACT

    rows = []
    for report in reports:
        name, psi = (visible(report.worst[0], 24), figure(report.worst[1].psi)) if report.worst else ("–", "–")
        n, expected = f"{report.window.n:,}", percent(report.expected_accuracy)
        rows.append((report.day, status_cell(report.status), n, name, psi, expected, source(report)))
    out.table(("day", "status", "n", "worst", "PSI", "expected", "source"), rows, right=("n", "PSI", "expected"))
    out.line()
    names = dict.fromkeys(name for report in reports for name in report.features)
    columns = {name: [f.psi if (f := report.features.get(name)) else None for report in reports] for name in names}
    out.pairs((visible(name, 24), sparkline(values, ACT)) for name, values in columns.items())
    out.line(out.paint(f"PSI a day, {BARS[0]} = 0, {BARS[-1]} = {ACT} and above", "dim"))


def _full(out: Out, report: DriftReport) -> None:
    status = status_cell(report.status)
    out.line(f"{out.paint(report.day, 'bold')}  {out.paint(status.text, status.colour)}")
    out.pairs(facts(report))
    out.line()
    rows = [_row(visible(name, 24), feature) for name, feature in report.features.items()]
    out.table(("feature", "status", "n", "PSI", "KL", "p", "p adj."), rows, right=("n", "PSI", "KL", "p", "p adj."))
    for name, feature in report.features.items():
        if feature.status in ("watch", "act"):
            out.line()
            _bins(out, name, feature)


def _row(name: str, feature: Feature) -> tuple[Cell | str, ...]:
    status, lacks = status_cell(feature.status), missing(feature)
    if lacks:
        status = Cell(f"{status.text}, {lacks}", status.colour)
    return (
        name,
        status,
        f"{feature.n:,}",
        figure(feature.psi),
        figure(feature.kl),
        chance(feature.p),
        chance(feature.p_adjusted),
    )


def _bins(out: Out, name: str, feature: Feature) -> None:
    rows = [
        (visible(made.bin, 40), percent(made.p), percent(made.q), part(made.contribution, feature.psi))
        for made in feature.bins[:_SHOWN_BINS]
    ]
    head = (visible(name, 24), "trained on", "that day", "of PSI")
    out.table(head, rows, right=head[1:])
