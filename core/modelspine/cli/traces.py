"""``spine traces list``, ``show`` and ``export``: the recorded requests, and their closed days as Parquet files."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from miniobserve.field_tests import FieldTest, parse_test
from miniobserve.search import Question, SearchResult, search_in_order
from miniobserve.search_terms import Term
from miniobserve.traces import Trace, set_apart, trace_object
from modelspine.cli import claims
from modelspine.cli.kept_files import draw_files, files_of, save_code
from modelspine.cli.output import Cell, Out
from modelspine.cli.parser import Verbs, count, day
from modelspine.cli.progress import working
from modelspine.cli.trace_table import COLUMNS, USUAL, columns, draw_list, field_texts, listed, row_of
from modelspine.errors import BadInput, Exit
from modelspine.labelling import said_pairs, version_text
from modelspine.ledger.store import storage_errors
from modelspine.maintenance.trace_export import export_days, sweep_days
from modelspine.spine import Spine
from modelspine.text import argument, counted, short, size, visible
from modelspine.times import ledger_time
from modelspine.words import words

_OUTCOMES = ("accepted", "dismissed", "revised")
_GRADES = ("right", "wrong", "none")


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
    listing.add_argument("--outcome", choices=_OUTCOMES, help="the user's feedback")
    listing.add_argument("--label", metavar="L", help="the right answer that was said later")
    listing.add_argument("--graded", choices=_GRADES, help="how the answer was graded")
    listing.add_argument("--ref", metavar="REF", help="the entry that answered")
    listing.add_argument(
        "--feature",
        type=feature,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="such as lang=en; repeat for more",
    )
    listing.add_argument(
        "--field", type=field, action="append", default=[], metavar="TEST",
        help="what a field of the answer must be, in quotes: 'score<0.6', 'probabilities.dog>=0.5', 'label!=cat'"
        " (= != < <= > >=); repeat for more",
    )  # fmt: skip
    listing.add_argument(
        "--sort", metavar="ORDER",
        help="time (default), latency (slowest first), outcome (dismissed first) or the name of a feature, or of a"
        " field with numbers (least first)",
    )  # fmt: skip
    listing.add_argument(
        "--columns", type=columns, metavar="A,B",
        help=f"what the table shows, in this order: {', '.join(COLUMNS)}, or the name of a feature or field",
    )  # fmt: skip
    listing.add_argument("--limit", type=count, default=20, metavar="N", help="most requests to show (default: 20)")
    show = nested.add("show", "show one request", run_show, example="spine traces show req-7f3a91c2")
    show.add_argument("request_id", metavar="ID", help="a request id, or the W3C trace id of a caller's trace")
    show.add_argument(
        "--save", type=Path, metavar="DIR", help="also copy its kept images and other files to this folder"
    )
    export = nested.add(
        "export", "export closed days to Parquet files", run_export,
        details="Each file is read back and compared, then listed in a manifest. Look-ups also search the exported"
        " days.",
        example="spine traces export --before 2026-11-01 --prune",
    )  # fmt: skip
    export.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="this day only, UTC")
    export.add_argument("--before", type=day, metavar="YYYY-MM-DD", help="the days before this one (default: today)")
    export.add_argument("--out", metavar="DIR", help="target folder or URL (default: the setting `parquet`)")
    export.add_argument("--prune", action="store_true", help="then delete the verified requests from the live store")
    export.add_argument(
        "--sweep", action="store_true",
        help="instead, delete files that no manifest lists, as killed exports leave them; run no export meanwhile",
    )  # fmt: skip
    claims.command(nested)


def feature(text: str) -> tuple[str, str]:
    """``name=value``, for ``type=``.

    Raises:
        BadInput: it is not that.
    """
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise BadInput(f"{visible(text, 40)!r} is not NAME=VALUE", "name a feature and its value, such as lang=en")
    return name, value


def field(text: str) -> FieldTest:
    """A comparison such as ``score<0.6``, for ``type=``.

    Raises:
        BadInput: it is none.
    """
    try:
        return parse_test(text)
    except ValueError as error:
        hint = "write it in quotes, such as 'score<0.6' or 'probabilities.dog>=0.5'"
        raise BadInput(f"{visible(text, 80)!r} does not compare a field: {error}", hint) from error


def run_list(args: argparse.Namespace, spine: Spine) -> int:
    """List traces."""
    out = Out.of(args)
    if out.json and args.columns is not None:
        raise BadInput("--columns is about the table, and --json gives every field", "leave one of the two out")
    sha = spine.registry.resolve(args.ref) if args.ref is not None else None
    if args.sort is not None or args.field:
        return _list_searched(args, spine, out, sha)
    with storage_errors():
        page = spine.traces.list(
            text=args.text, day=args.day, arm=args.arm, outcome=args.outcome, sha=sha,
            features=dict(args.feature), label=args.label, graded=args.graded, limit=args.limit,
        )  # fmt: skip
    if out.json:
        out.object({"traces": [trace_object(trace) for trace in page.traces], "matched": page.matched})
    else:
        out.line(draw_list(out, page, chosen=args.columns))
    return Exit.OK


def _list_searched(args: argparse.Namespace, spine: Spine, out: Out, sha: str | None) -> int:
    """List the traces that come first in another order, or by their fields; says how much of the store was searched."""
    given = {"text": args.text, "day": args.day, "arm": args.arm, "outcome": args.outcome, "sha": sha}
    given |= {"label": args.label, "graded": "" if args.graded == "none" else args.graded}
    terms = [Term(text, name, exact=name != "text") for name, text in given.items() if text is not None]
    terms += [Term(text, name, exact=True, feature=True) for name, text in args.feature]
    question = Question(terms=tuple(terms), fields=tuple(args.field), limit=args.limit)
    question, page = search_in_order(args.sort or "time", question, partial(_searched, spine))
    since = None if page.since_ns is None else ledger_time(page.since_ns)
    if out.json:
        found = {"traces": [trace_object(trace) for trace in page.traces], "matched": page.matched}
        out.object(found | {"searched": page.searched, "since": since})
        return Exit.OK
    requests = counted(page.searched, "request")
    searched = f"all of {requests}" if since is None else f"the newest {requests}, since {since[:19]}Z"
    out.line(f"{draw_list(out, page, question, args.columns)}; searched {searched}")
    return Exit.OK


def _searched(spine: Spine, question: Question) -> SearchResult:
    """Search the store, with progress.

    Raises:
        BadInput: a field was asked for that none of the answers had.
    """
    with storage_errors(), working("searching") as progress:
        page = spine.traces.search(question, lambda searched, _so_far: progress.step("", searched, question.most))
    if page.unknown_fields:
        raise BadInput(
            f"no answer that was searched has a field {visible(page.unknown_fields[0], 40)!r}",
            f"fields seen: {listed(page.seen_fields)}",
        )
    return page


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show one trace."""
    out = Out.of(args)
    found = spine.named_traces(args.request_id)
    if len(found) > 1:
        if args.save is not None:
            raise BadInput("--save is about one request, and several have this trace id", "give a request id")
        return _show_several(out, found, args.request_id)
    (trace,) = found
    with storage_errors():
        said = spine.traces.said(trace.request_id)
    files = files_of(spine, trace, args.save)
    if out.json:
        more = {"said": [msgspec.to_builtins(each) for each in said], "files": msgspec.to_builtins(files)}
        out.object(trace_object(trace) | more)
        return save_code(files, args.save)
    out.line(Cell(trace.request_id, "strong"), f"  {ledger_time(trace.started_ns)}")
    out.pairs(_pairs(trace))
    if said:
        out.line("said of it later:")
        for version in said:
            out.line(f"  {ledger_time(version.at_ns)}  {version_text(version)}")
    draw_files(out, files)
    return save_code(files, args.save)


def _show_several(out: Out, found: tuple[Trace, ...], trace_id: str) -> int:
    """List the requests of one distributed trace."""
    if out.json:
        out.object({"trace_id": trace_id, "traces": [trace_object(trace) for trace in found]})
        return Exit.OK
    out.line(f"{counted(len(found), 'request')} of the trace {visible(trace_id, 64)}, oldest first:")
    out.table(USUAL, [row_of(trace) for trace in found], optional=("semver", "arm", "at"))
    out.line("show one of them with `spine traces show ID`")
    return Exit.OK


def run_export(args: argparse.Namespace, spine: Spine) -> int:
    """Export closed days."""
    out, today = Out.of(args), datetime.now(UTC).date()
    if args.sweep:
        return _sweep(args, spine, out)
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
        (exported.day, f"{exported.rows:,}", f"{exported.files:,}", size(exported.bytes),
         "written" if exported.written else "unchanged", f"{exported.pruned:,}", short(exported.sha256), exported.file)
        for exported in done
    ]  # fmt: skip
    head = ("day", "rows", "files", "size", "state", "pruned", "sha256", "manifest")
    out.table(head, rows, right=("rows", "files", "size", "pruned"))
    return Exit.OK


def _sweep(args: argparse.Namespace, spine: Spine, out: Out) -> int:
    """Delete what killed exports left."""
    if args.day or args.before or args.out or args.prune:
        raise BadInput("--sweep goes with no other option", "omit the others")
    gone = sweep_days(spine)
    if out.json:
        out.object({"deleted": gone})
    else:
        out.line(f"deleted {counted(len(gone), 'file')} that no manifest lists")
    return Exit.OK


def _pairs(trace: Trace) -> list[tuple[str, str]]:
    from modelspine.cost.format import terms_of, unpriced_text

    assignment = trace.assignment
    unanswered = "nothing" if trace.status >= 500 else "not kept"
    unpriced = f"unknown: {unpriced_text(trace.unpriced)}"
    cost = unpriced if trace.cost is None else f"{trace.cost:.9f} {trace.currency}"
    stages = "  ".join(f"{name} {1000 * seconds:.2f}" for name, seconds in trace.stages.items())
    return [
        ("entry", f"{trace.semver} {short(trace.entry_sha)}"),
        ("arm", f"{assignment.arm}, {assignment.strategy}, epoch #{assignment.epoch}, bucket {assignment.bucket:,}"),
        *set_apart(trace),
        ("asked", trace.input if trace.input is not None else "not kept"),
        ("answered", trace.output if trace.output is not None else unanswered),
        (words().accepted, {True: "yes", False: "no", None: "–"}[trace.accepted]),
        ("feedback", trace.feedback or "–"),
        ("graded", {True: "right", False: "wrong", None: "–"}[trace.graded]),
        *said_pairs(trace),
        ("features", "  ".join(f"{name}={value}" for name, value in sorted(trace.features.items())) or "–"),
        *(
            [("fields", "  ".join(f"{name}={text}" for name, text in field_texts(trace.fields)))]
            if trace.fields
            else []
        ),
        ("took, ms", f"{1000 * trace.seconds:.2f}" + (f" ({stages})" if stages else "")),
        ("tokens", f"{trace.input_tokens:,} in, {trace.output_tokens:,} out"),
        ("cost", cost),
        ("price", terms_of(trace)),
        ("status", f"{trace.status} {trace.error}".rstrip()),
        ("source", trace.source),
        ("investigate", f"spine incident {argument(trace.request_id)}"),
    ]
