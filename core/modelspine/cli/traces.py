"""``spine traces list``, ``show`` and ``export``: the recorded requests, and their closed days as Parquet files."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from miniobserve.search import Question, sorted_by
from miniobserve.search_terms import Term
from miniobserve.traces import Found, Trace, set_apart, trace_object
from modelspine.cli.output import Cell, Out, Piece, status_cell
from modelspine.cli.parser import Verbs, count, day
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.ledger.store import storage_errors
from modelspine.maintenance.trace_export import export_days
from modelspine.spine import Spine
from modelspine.text import argument, counted, short, size, visible
from modelspine.times import ledger_time

_OUTCOMES = ("accepted", "dismissed", "revised")


def command(verbs: Verbs) -> None:
    """Add ``traces`` with its verbs."""
    nested = verbs.add("traces", "find, show or export requests and their answers").add_verbs()
    listing = nested.add(
        "list", "list requests, newest first", run_list,
        example="spine traces list --text goed --day 2026-11-22 --outcome dismissed --sort latency",
    )  # fmt: skip
    listing.add_argument("--text", metavar="T", help="part of the request or answer; case does not matter")
    listing.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="a day, UTC")
    listing.add_argument("--arm", metavar="A", help="the arm that answered")
    listing.add_argument("--outcome", choices=_OUTCOMES, help="the learner's feedback")
    listing.add_argument("--ref", metavar="REF", help="the entry that answered")
    listing.add_argument(
        "--feature",
        type=feature,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="such as verb=go; repeat for more",
    )
    listing.add_argument(
        "--sort", metavar="ORDER",
        help="time (default), latency (slowest first), outcome (dismissed first) or the name of a feature",
    )  # fmt: skip
    listing.add_argument("--limit", type=count, default=20, metavar="N", help="most requests to show (default: 20)")
    show = nested.add("show", "show one request", run_show, example="spine traces show req-7f3a91c2")
    show.add_argument("request_id", metavar="ID")
    export = nested.add(
        "export", "export closed days to Parquet files", run_export,
        details="Each file is read back and compared. Look-ups also search the exported days.",
        example="spine traces export --before 2026-11-01 --prune",
    )  # fmt: skip
    export.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="this day only, UTC")
    export.add_argument("--before", type=day, metavar="YYYY-MM-DD", help="the days before this one (default: today)")
    export.add_argument("--out", type=Path, metavar="DIR", help="target folder (default: the setting `parquet`)")
    export.add_argument("--prune", action="store_true", help="then delete the verified requests from the live store")


def feature(text: str) -> tuple[str, str]:
    """``name=value``, for ``type=``.

    Raises:
        BadInput: it is not that.
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise BadInput(f"{visible(text, 40)!r} is not NAME=VALUE", "write it as verb=go")
    return name, value


def run_list(args: argparse.Namespace, spine: Spine) -> int:
    """List traces."""
    out = Out.of(args)
    sha = spine.registry.resolve(args.ref) if args.ref is not None else None
    if args.sort is not None:
        return _list_sorted(args, spine, out, sha)
    with storage_errors():
        page = spine.traces.list(
            text=args.text, day=args.day, arm=args.arm, outcome=args.outcome, sha=sha,
            features=dict(args.feature), limit=args.limit,
        )  # fmt: skip
    if out.json:
        out.object({"traces": [trace_object(trace) for trace in page.traces], "matched": page.matched})
    else:
        out.line(_draw_list(out, page))
    return Exit.OK


def _list_sorted(args: argparse.Namespace, spine: Spine, out: Out, sha: str | None) -> int:
    """List the traces that come first in another order, and say how much of the store was searched."""
    given = {"text": args.text, "day": args.day, "arm": args.arm, "outcome": args.outcome, "sha": sha}
    terms = [Term(text, name, exact=name != "text") for name, text in given.items() if text is not None]
    terms += [Term(text, name, exact=True, feature=True) for name, text in args.feature]
    question = sorted_by(args.sort, Question(terms=tuple(terms), limit=args.limit))
    with storage_errors(), working("searching") as progress:
        page = spine.traces.search(question, lambda searched, _so_far: progress.step("", searched, question.most))
    since = None if page.since_ns is None else ledger_time(page.since_ns)
    if out.json:
        found = {"traces": [trace_object(trace) for trace in page.traces], "matched": page.matched}
        out.object(found | {"searched": page.searched, "since": since})
        return Exit.OK
    requests = counted(page.searched, "request")
    searched = f"all of {requests}" if since is None else f"the newest {requests}, since {since[:19]}Z"
    out.line(f"{_draw_list(out, page, question)}; searched {searched}")
    return Exit.OK


def _draw_list(out: Out, page: Found, question: Question | None = None) -> str:
    """Write the rows, with what ``question`` sorts them by; returns how many there are of how many."""
    if page.traces:
        from modelspine.traffic.sentences import requests_sentence

        out.paragraph(requests_sentence(page.traces))
        shown = () if question is None or question.order in ("time", "outcome") else (question.feature or "ms",)
        head = ("at", "request", "arm", "semver", "asked", "answered", "feedback", *shown)
        rows = [(*_row(trace), *(_key(trace, question) for _ in shown)) for trace in page.traces]
        out.table(head, rows, right=("ms",), optional=("semver", "arm", "at"))
    matched = "over 10,000" if page.matched is None else f"{page.matched:,}"
    return f"{len(page.traces):,} of {matched}"


def _key(trace: Trace, question: Question | None) -> str:
    """What a trace is sorted by, apart from what every row shows."""
    feature = question.feature if question is not None else ""
    return trace.features.get(feature, "–") if feature else f"{1000 * trace.seconds:.1f}"


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show one trace."""
    out = Out.of(args)
    trace = spine.trace(args.request_id)
    if out.json:
        out.object(trace_object(trace))
        return Exit.OK
    out.line(Cell(trace.request_id, "strong"), f"  {ledger_time(trace.started_ns)}")
    out.pairs(_pairs(trace))
    return Exit.OK


def run_export(args: argparse.Namespace, spine: Spine) -> int:
    """Export closed days."""
    out, today = Out.of(args), datetime.now(UTC).date()
    with working("exporting") as progress:
        asked = {"day": args.day, "before": args.before, "out": args.out, "prune": args.prune}
        done = list(export_days(spine, **asked, today=today, progress=progress.step))
    if out.json:
        out.object({"days": [msgspec.to_builtins(exported, enc_hook=str) for exported in done]})
        return Exit.OK
    if not done:
        out.line("there is nothing to export")
        return Exit.OK
    rows = [
        (exported.day, f"{exported.rows:,}", size(exported.bytes), "written" if exported.written else "unchanged",
         f"{exported.pruned:,}", short(exported.sha256), str(exported.file))
        for exported in done
    ]  # fmt: skip
    head = ("day", "rows", "size", "file", "pruned", "sha256", "where")
    out.table(head, rows, right=("rows", "size", "pruned"))
    return Exit.OK


def _row(trace: Trace) -> tuple[Piece, ...]:
    at = ledger_time(trace.started_ns)[:19].replace("T", " ")
    asked = trace.sentence if trace.sentence is not None else "not kept"
    unchanged = trace.is_correct and trace.correction == trace.sentence
    answered = "accepted as correct" if unchanged else trace.correction or "–"
    feedback = status_cell(trace.feedback) if trace.feedback else "–"
    arm = f"{trace.assignment.arm}, tester" if trace.assignment.tester else trace.assignment.arm
    return at, trace.request_id, arm, trace.semver, asked, answered, feedback


def _pairs(trace: Trace) -> list[tuple[str, str]]:
    from modelspine.cost.format import terms_of

    assignment = trace.assignment
    unanswered = "nothing" if trace.status >= 500 else "not kept"
    unpriced = f"unknown: {trace.unpriced or 'its trace gives no reason'}"
    cost = unpriced if trace.cost is None else f"{trace.cost:.9f} {trace.currency}"
    stages = "  ".join(f"{name} {1000 * seconds:.2f}" for name, seconds in trace.stages.items())
    return [
        ("entry", f"{trace.semver} {short(trace.entry_sha)}"),
        ("arm", f"{assignment.arm}, {assignment.strategy}, epoch #{assignment.epoch}, bucket {assignment.bucket:,}"),
        *set_apart(trace),
        ("asked", trace.sentence if trace.sentence is not None else "not kept"),
        ("answered", trace.correction if trace.correction is not None else unanswered),
        ("accepted as correct", {True: "yes", False: "no", None: "–"}[trace.is_correct]),
        ("feedback", trace.feedback or "–"),
        ("features", "  ".join(f"{name}={value}" for name, value in sorted(trace.features.items())) or "–"),
        ("took, ms", f"{1000 * trace.seconds:.2f}" + (f" ({stages})" if stages else "")),
        ("tokens", f"{trace.input_tokens:,} in, {trace.output_tokens:,} out"),
        ("cost", cost),
        ("price", terms_of(trace)),
        ("status", f"{trace.status} {trace.error}".rstrip()),
        ("source", trace.source),
        ("investigate", f"spine incident {argument(trace.request_id)}"),
    ]
