"""``spine drift report`` and ``spine drift show``: whether a day's inputs look like those a model was trained on."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import TYPE_CHECKING

from modelspine.cli.output import Cell, Out, Piece, status_cell
from modelspine.cli.parser import Parser, Verbs, at_flag, count, day
from modelspine.cli.progress import working
from modelspine.drift.figures import BARS, chance, figure, part, percent, sparkline
from modelspine.drift.format import ahead, facts, reference, remarks, source
from modelspine.drift.graded_text import contradiction, share
from modelspine.drift.sentences import sentence
from modelspine.drift.weekdays import by_weekday, trend_sentence, weekday_sentence, with_weekday
from modelspine.errors import BadInput, Exit, UnknownRef
from modelspine.spine import Spine
from modelspine.times import ledger_time

if TYPE_CHECKING:
    from modelspine.drift.days import Trend
    from modelspine.drift.features import Feature
    from modelspine.drift.report import DriftReport
    from modelspine.ledger.store import Event

_SHOWN_BINS = 5
"""Bins of a feature that are shown, those with the largest part of its PSI first."""


def command(verbs: Verbs) -> None:
    """Add ``drift`` with its verbs."""
    nested = verbs.add("drift", "compare a day's requests with the training data or another day").add_verbs()
    report = nested.add(
        "report", "compare one day and record the report", run_report,
        example="spine drift report --day 2026-11-22", writes=True,
    )  # fmt: skip
    report.add_argument(
        "--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: the newest with traffic, up to today)"
    )
    _reference_flags(report)
    report.add_argument(
        "--against", metavar="REF", help="compare with this entry's corpora (default: the entry that answered most)"
    )
    show = nested.add("show", "show the reported days, or one of them", run_show, example="spine drift show --weeks 8")
    show.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="one day in full")
    _reference_flags(show)
    show.add_argument("--weeks", type=count, default=4, metavar="N", help="how far back from today (default: 4)")
    at_flag(show)


def _reference_flags(verb: Parser) -> None:
    verb.add_argument(
        "--against-day", type=day, metavar="YYYY-MM-DD", help="the report against this day's requests, not the corpora"
    )
    verb.add_argument("--same-weekday", action="store_true", help="the report against the same weekday one week before")


def _against_day(args: argparse.Namespace, of: str) -> str | None:
    """The day to compare with that the flags name; None for the corpora.

    Raises:
        BadInput: the flags name several references.
    """
    from modelspine.drift.measurement import same_weekday

    named_by = ("--against", getattr(args, "against", None)), ("--against-day", args.against_day)
    given = [flag for flag, value in (*named_by, ("--same-weekday", args.same_weekday)) if value]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} name different references", "give one of them")
    named: str | None = same_weekday(of) if args.same_weekday else args.against_day
    return named


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Count a day, compare it, and record the report."""
    from modelspine.drift.days import as_object, others, record
    from modelspine.drift.measurement import measure, newest_day, requests_ahead

    out, of = Out.of(args), args.day or newest_day(spine)
    with working("counting requests") as progress:
        step = partial(progress.step, "request")
        report = measure(spine, of, against=args.against, against_day=_against_day(args, of), step=step)
    written, early = record(spine, report), requests_ahead(spine)
    if out.json:
        found = as_object(written, others(spine, of, written.event))
        out.object(found | {"created": written.created, "ahead": early})
        return Exit.OK
    repeated = "" if written.created else " (already recorded)"
    file = spine.settings.drift_reports / str(written.event.body["file"])
    out.line(f"#{written.event.seq} drift of {report.day} recorded{repeated}: {file}")
    _draw_day(out, report, others(spine, of, written.event))
    if early.n:
        out.line()
        counted_day = of if of > ledger_time(time.time_ns())[:10] else ""
        out.line(Cell(f"! {ahead(early, counted_day=counted_day)}", "warn"))
    return Exit.OK


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the trend over some weeks, or one day in full."""
    from modelspine.drift.days import trend, trend_as_object

    if args.day is not None:
        return _show_day(args, spine)
    if args.against_day is not None or args.same_weekday:
        raise BadInput("a reference day belongs to one day's report", "name the day too: `--day YYYY-MM-DD`")
    out, found = Out.of(args), trend(spine, weeks=args.weeks, at=args.at)
    damaged = next((day.damaged for day in found.days if day.damaged is not None), None)
    if damaged is not None:
        raise damaged
    if out.json:
        out.object(trend_as_object(found))
    else:
        _draw_trend(out, found, args.weeks)
    return Exit.OK


def _show_day(args: argparse.Namespace, spine: Spine) -> int:
    from modelspine.drift.days import against_day_file, as_object, others, recorded, reports_of

    out, against = Out.of(args), _against_day(args, args.day)
    name = f"{args.day}.json" if against is None else against_day_file(args.day, against)
    event = reports_of(spine, args.day, args.at).get(name)
    if event is None:
        what, flag = (f" against {against}", f" --against-day {against}") if against is not None else ("", "")
        hint = f"make it: `spine drift report --day {args.day}{flag}`"
        raise UnknownRef(f"no drift report of {args.day}{what} is recorded", hint)
    written, more = recorded(spine, event), others(spine, args.day, event, args.at)
    if out.json:
        out.object(as_object(written, more))
    else:
        _draw_day(out, written.report, more)
    return Exit.OK


def _draw_trend(out: Out, found: Trend, weeks: int) -> None:
    reports = [day.made.report for day in found.days if day.made is not None]
    if reports:
        _draw_reports(out, reports)
    else:
        out.line(f"no report in the last {weeks} weeks; `spine drift report` makes one")
    for each in found.days:
        if each.made is None:
            answered = "an unknown number of requests" if each.answered is None else f"{each.answered:,}"
            failed = f", {each.failed:,} failed" if each.failed else ""
            out.line(f"{each.day}  {answered} answered{failed}, no report: `spine drift report --day {each.day}`")
        for event in each.others:
            out.line(f"{each.day}  also reported {_other(event)}")
    if found.older:
        out.line(Cell(f"{found.older:,} days before {found.first} are not shown: `--weeks N`", "muted"))
    if not found.counted:
        out.line(Cell("! the traces cannot be read: days without a report may be missing", "warn"))
    if found.ahead.n:
        out.line(Cell(f"! {ahead(found.ahead)}", "warn"))
    for name in found.ahead_reports:
        out.line(Cell(f"! the report of {name}, which is after {found.last}, is not shown", "warn"))


def _other(event: Event) -> str:
    from modelspine.drift.format import other

    return other(event.body, event.seq)


def _draw_reports(out: Out, reports: list[DriftReport]) -> None:
    out.paragraph(trend_sentence(reports))
    rows = []
    some_failed = any(report.failed is not None and report.failed.k for report in reports)
    for report in reports:
        name, psi = (report.worst[0], figure(report.worst[1].psi)) if report.worst else ("–", "–")
        graded: Piece = share(report.graded)
        if contradiction(report):
            graded = Cell(f"! {graded}", "warn")
        numbers = (percent(report.coverage), percent(report.expected_accuracy), graded)
        n = f"{report.window.n:,}"
        failed: tuple[Piece, ...] = (_failed_share(report),) if some_failed else ()
        head = (with_weekday(report.day), status_cell(report.status), n, *failed, name, psi)
        rows.append((*head, *numbers, source(report)))
    names = ("day", "status", "n", *(("failed",) if some_failed else ()), "worst", "PSI")
    right = ("n", "failed", "PSI", "coverage", "expected", "graded")
    out.table((*names, "coverage", "expected", "graded", "source"), rows, right=right, optional=("source",))
    for report in reports:
        if text := contradiction(report):
            out.line(Cell(f"! {report.day}: {text}", "warn"))
    out.line()
    _draw_courses(out, reports, some_failed=some_failed)
    _draw_weekdays(out, reports)


def _failed_share(report: DriftReport) -> Piece:
    """The failed share of a day's requests, marked where it lowers the day; a dash in reports of older versions."""
    if report.failed is None:
        return "–"
    text = percent(report.failed.share)
    return Cell(f"! {text}", "warn") if report.failing is not None else text


def _draw_courses(out: Out, reports: list[DriftReport], *, some_failed: bool) -> None:
    """A sparkline of each feature's PSI over the days, and of the shares."""
    from modelspine.drift.status import ACT

    names = dict.fromkeys(name for report in reports for name in report.features)
    columns = {name: [f.psi if (f := report.features.get(name)) else None for report in reports] for name in names}
    shares = {"coverage": [report.coverage for report in reports]}
    if some_failed:
        shares["failed"] = [report.failed.share if report.failed is not None else None for report in reports]
    lines = [(name, sparkline(values, ACT)) for name, values in columns.items()]
    out.pairs([*lines, *((name, sparkline(values, 1.0)) for name, values in shares.items())])
    legend = f"PSI of each day against its reference, {BARS[0]} = 0, {BARS[-1]} = {ACT} and above"
    out.line(Cell(f"{legend}; {' and '.join(shares)} from 0 to 100 %", "muted"))


def _draw_weekdays(out: Out, reports: list[DriftReport]) -> None:
    out.line()
    out.paragraph(weekday_sentence(reports))
    rows = [
        (each.name, f"{each.days:,}", f"{each.drifted:,}", f"{each.requests:,}", figure(each.psi), share(each.graded))
        for each in by_weekday(reports)
    ]
    head = ("weekday", "days", "drifted", "n", "median PSI", "graded")
    out.table(head, rows, right=head[1:])


def _draw_day(out: Out, report: DriftReport, others: tuple[Event, ...]) -> None:
    failed = report.failed
    share_failed = f"  failed {percent(failed.share)}" if failed is not None and failed.k else ""
    head = f"  coverage {percent(report.coverage)}{share_failed}  against {reference(report)}"
    out.paragraph(sentence(report))
    out.line(Cell(with_weekday(report.day), "strong"), "  ", status_cell(report.status), Cell(head, "muted"))
    if text := contradiction(report):
        out.line(Cell(f"! {text}", "warn"))
    out.pairs(facts(report))
    for event in others:
        out.line(Cell(f"also reported {_other(event)}", "muted"))
    out.line()
    rows = [_row(name, feature) for name, feature in report.features.items()]
    head_row = ("feature", "status", "n", "min", "missing", "PSI", "usual", "KL", "p", "p adj.")
    out.table(head_row, rows, right=head_row[2:], optional=("usual",))
    for text in remarks(report.features.items()):
        out.line(Cell(text, "muted"))
    for name, feature in report.features.items():
        if feature.status in ("watch", "act"):
            out.line()
            _draw_bins(out, name, feature, report)


def _row(name: str, feature: Feature) -> tuple[Piece, ...]:
    return (
        name,
        status_cell(feature.status),
        f"{feature.n:,}" + (" tokens" if feature.unit == "token" else ""),
        f"{feature.needed:,}",
        f"{feature.absent:,}",
        figure(feature.psi),
        figure(feature.usual),
        figure(feature.kl),
        chance(feature.p),
        chance(feature.p_adjusted),
    )


def _draw_bins(out: Out, name: str, feature: Feature, report: DriftReport) -> None:
    rows = [
        (bin_.bin, percent(bin_.p), percent(bin_.q), part(bin_.contribution, feature.psi))
        for bin_ in feature.bins[:_SHOWN_BINS]
    ]
    head = (name, report.reference.day or "trained on", "that day", "of PSI")
    out.table(head, rows, right=head[1:])
