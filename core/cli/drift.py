"""``spine drift report`` and ``spine drift show``: whether the inputs of a day are those a model was trained on."""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from core.cli.parser import Verbs, count
from core.cli.progress import working
from core.cli.render import Cell, Colour, Out
from core.cli.traces import day
from core.errors import Exit, UnknownRef
from core.spine import Spine
from core.text import short, visible

if TYPE_CHECKING:
    from core.drift import DriftReport, Feature
    from core.driftday import Reported

_STATUS: dict[str, tuple[str, Colour]] = {
    "insufficient": ("·", "dim"),
    "stable": ("✔", "good"),
    "watch": ("!", "warn"),
    "act": ("✖", "bad"),
}
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_BINS = 5


def command(verbs: Verbs) -> None:
    """Add ``drift`` with its verbs."""
    nested = verbs.add("drift", "compare a day's inputs with what the model was trained on").add_verbs()
    report = nested.add(
        "report", "count a day, compare it and record the report", run_report,
        example="spine drift report --day 2026-11-22", writes=True,
    )  # fmt: skip
    report.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC (default: the newest with traffic)")
    report.add_argument(
        "--against", metavar="REF", help="compare with this entry's corpora (default: the entry that answered most)"
    )
    show = nested.add("show", "show the reported days, or one of them", run_show, example="spine drift show --weeks 8")
    show.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="one day in full")
    show.add_argument("--weeks", type=count, default=4, metavar="N", help="how far back (default: 4)")


def run_report(args: argparse.Namespace, spine: Spine) -> int:
    """Make a report and record it."""
    from core.driftday import measure, newest_day, record

    out = Out.of(args)
    with working("counting requests") as progress:
        step = partial(progress.step, "request")
        report = measure(spine, args.day or newest_day(spine), against=args.against, step=step)
    made = record(spine, report)
    if out.json:
        out.object(_object(made) | {"created": made.created})
        return Exit.OK
    seen = "" if made.created else " (already recorded)"
    file = visible(str(spine.settings.drift_reports / str(made.event.body["file"])), 200)
    out.line(f"#{made.event.seq} drift of {report.day} recorded{seen}: {file}")
    _full(out, made)
    return Exit.OK


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show the trend, or a day."""
    from core.driftday import days, recorded

    out, known = Out.of(args), days(spine)
    if args.day is not None:
        if args.day not in known:
            hint = f"make it: `spine drift report --day {args.day}`"
            raise UnknownRef(f"no drift report of {args.day} is recorded", hint)
        made = recorded(spine, known[args.day])
        if out.json:
            out.object(_object(made))
        else:
            _full(out, made)
        return Exit.OK
    first = (date.fromisoformat(max(known)) - timedelta(weeks=args.weeks)).isoformat() if known else ""
    trend = [recorded(spine, event) for name, event in known.items() if name > first]
    if out.json:
        out.object({"days": [_object(made) for made in trend]})
    elif not trend:
        none = f"no report within {args.weeks} weeks" if known else "no day is reported yet"
        out.line(f"{none}; `spine drift report` makes one")
    else:
        _trend(out, trend)
    return Exit.OK


def status_cell(status: str) -> Cell:
    """A drift status as sign and word."""
    sign, colour = _STATUS[status]
    return Cell(f"{sign} {status}", colour)


def sparkline(values: list[float | None], top: float) -> str:
    """One sign a value, from 0 to ``top`` and above; a dot where there is none."""
    last = len(_BARS) - 1
    return "".join("·" if v is None else _BARS[min(last, max(0, int(v / top * last)))] for v in values)


def _object(made: Reported) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(made.report)
    return {**fields, "seq": made.event.seq, "digest": made.digest, "file": made.event.body.get("file")}


def _trend(out: Out, trend: list[Reported]) -> None:
    from core.drift import ACT

    rows = []
    for made in trend:
        report, worst = made.report, made.report.worst
        name, psi = (visible(worst[0], 24), _number(worst[1].psi)) if worst else ("–", "–")
        n, source = f"{report.window.n:,}", "replay" if report.window.replayed else "live"
        rows.append((report.day, status_cell(report.status), n, name, psi, _percent(report), source))
    out.table(("day", "status", "n", "worst", "PSI", "expected", "source"), rows, right=("n", "PSI", "expected"))
    out.line()
    names = dict.fromkeys(name for made in trend for name in made.report.features)
    columns = {name: [f.psi if (f := made.report.features.get(name)) else None for made in trend] for name in names}
    out.pairs((visible(name, 24), sparkline(values, ACT)) for name, values in columns.items())
    out.line(out.paint(f"PSI a day, {_BARS[0]} = 0, {_BARS[-1]} = {ACT} and above", "dim"))


def _full(out: Out, made: Reported) -> None:
    report = made.report
    status = status_cell(report.status)
    out.line(f"{out.paint(report.day, 'bold')}  {out.paint(status.text, status.colour)}")
    against = report.reference
    replayed = f", {report.window.replayed:,} of them replayed" if report.window.replayed else ""
    hashes = ", ".join(visible(h[:12], 12) for h in against.corpora)
    pairs = [
        ("requests", f"{report.window.n:,} answered{replayed}{_learners(report)}"),
        ("reference", f"{short(report.entry_sha)}: {against.n:,} rows of {hashes}"),
    ]
    if report.expected_accuracy is not None:
        pairs.append(("expected accuracy", _expected(report)))
    out.pairs(pairs)
    out.line()
    rows = [_row(visible(name, 24), feature) for name, feature in report.features.items()]
    out.table(("feature", "status", "n", "PSI", "KL", "p", "p adj."), rows, right=("n", "PSI", "KL", "p", "p adj."))
    for name, feature in report.features.items():
        if feature.status in ("watch", "act"):
            out.line()
            _bins(out, name, feature)


def _learners(report: DriftReport) -> str:
    window = report.window
    if not window.learners:
        return ""
    heaviest = f"{100 * window.heaviest / window.n:.0f} %"
    return f"; {window.learners:,} learners, the busiest sent {heaviest}"


def _row(name: str, feature: Feature) -> tuple[Cell | str, ...]:
    status = status_cell(feature.status)
    if feature.missing:
        status = Cell(f"{status.text}, {feature.missing:,} of {feature.needed:,} missing", status.colour)
    numbers = [_number(v) for v in (feature.psi, feature.kl, feature.p, feature.p_adjusted)]
    return (name, status, f"{feature.n:,}", *numbers)


def _bins(out: Out, name: str, feature: Feature) -> None:
    rows = [
        (
            visible(made.bin, 40),
            f"{100 * made.p:.1f} %",
            f"{100 * made.q:.1f} %",
            f"{100 * made.contribution / feature.psi if feature.psi else 0:+.0f} %",
        )
        for made in feature.bins[:_SHOWN_BINS]
    ]
    head = (visible(name, 24), "trained on", "that day", "of PSI")
    out.table(head, rows, right=head[1:])


def _expected(report: DriftReport) -> str:
    parts = []
    for name, expected in report.expected.items():
        before = f" (trained on: {100 * expected.reference:.1f} %)" if expected.reference is not None else ""
        parts.append(f"{visible(name, 24)} {100 * expected.live:.1f} %{before}")
    covered = f"{100 * (report.coverage or 0):.1f} % of requests are in an evaluated bucket"
    return f"{_percent(report)} at worst: {', '.join(parts)}; {covered}"


def _percent(report: DriftReport) -> str:
    return "–" if report.expected_accuracy is None else f"{100 * report.expected_accuracy:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else (f"{value:.3f}" if value >= 0.0005 or value == 0 else f"{value:.0e}")
