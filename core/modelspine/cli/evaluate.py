"""``spine evaluate``: an entry or a bundle over the eval set that the baseline names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelspine.cli import eval_import
from modelspine.cli.eval_import import write_report
from modelspine.cli.output import Out, share, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.gate.eval_report import EvalSet, convert_report
from modelspine.spine import Spine
from modelspine.text import short

if TYPE_CHECKING:
    from modelspine.release.evaluate import Evaluated

_SHOWN = 8
"""Differences and wrong never-regress items that are named; the rest are counted."""


def command(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "evaluate", "evaluate an entry or a bundle on the baseline's eval set", run,
        details="`spine eval` is the same. `spine eval import FILE` makes a report of another tool's result instead.",
        example="spine evaluate 4be1 --twice --out report.json",
    )  # fmt: skip
    parser.add_argument(
        "subject",
        nargs="?",
        metavar="REF|BUNDLE_DIR",
        help="the model; without one, only the eval set is checked",
    )
    parser.add_argument("--twice", action="store_true", help="run twice; exit 5 unless every answer is the same")
    parser.add_argument("--fetch", action="store_true", help="fetch the eval set through DVC if it is missing")
    parser.add_argument("--out", type=Path, metavar="F", help="file for the report, for `spine gate F`")
    eval_import.command(parser.add_verbs_beside())


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Evaluate a model, or only check the eval set."""
    from modelspine.cli.empty_variables import naming_empty_variables
    from modelspine.release.eval_set import baseline_at, checked, fetched

    out = Out.of(args)
    if args.subject is None and (args.twice or args.out is not None):
        raise BadInput("--twice or --out was given without a model to evaluate", "name an entry or a bundle's folder")
    baseline = baseline_at(spine.settings.eval_baseline)
    named = baseline.eval_set
    with working("fetching the eval set"), naming_empty_variables("SPINE_DVC_REMOTE"):
        fetched(named, spine.settings.root, spine.corpora) if args.fetch else checked(named, spine.settings.root)
    if args.subject is None:
        return _show_eval_set(out, named)
    from modelspine.release.evaluate import evaluate

    runs = 2 if args.twice else 1
    with working("evaluating") as progress:
        done = evaluate(
            spine, args.subject, baseline, runs=runs,
            progress=lambda number, at, total: progress.step(f"run {number} of {runs}, item", at, total),
        )  # fmt: skip
    if args.out is not None:
        write_report(args.out, msgspec.json.format(msgspec.json.encode(done.report), indent=1) + b"\n")
    if out.json:
        out.object(done)
    else:
        _draw(out, done, args.out)
    return Exit.OK


def _show_eval_set(out: Out, named: EvalSet) -> int:
    if out.json:
        out.object({"eval_set": named, "state": "ok"})
    else:
        out.line(f"{named.path}  {named.n:,} items  SHA-256 {named.sha256}, as in the baseline")
    return Exit.OK


def _draw(out: Out, done: Evaluated, file: Path | None) -> None:
    report = done.report
    eval_set = report["eval_set"]
    out.line(f"{short(done.sha)} over {eval_set['path']}, {eval_set['n']:,} items, as in the baseline")
    pairs = [("total", share(**report["total"]))]
    if report.get("false_accept"):
        pairs.append(("false accepts", share(**report["false_accept"])))
    for name, score in convert_report(report).scores.items():
        pairs.append((name, f"{score.text}, {score.better} is better"))
    if "never_regress" in report:
        items: dict[str, bool] = report["never_regress"]
        wrong = [name for name, right in items.items() if not right]
        names = f"; wrong: {', '.join(wrong[:_SHOWN])}" if wrong else ""
        pairs.append(("never regress", f"{len(items) - len(wrong)} of {len(items)} right{names}"))
    repeated = ", the same in both runs" if done.runs > 1 else ""
    pairs.append(("answers", f"{report.get('answers_sha256') or 'no digest'}{repeated}"))
    pairs.append(("registered", {"none": "no report", "same": "the same"}.get(done.registered, done.registered)))
    if file is not None:
        pairs.append(("report", str(file)))
    out.pairs(pairs, indent=2)
    for difference in done.differences[:_SHOWN]:
        out.line("   ", status_cell("warn", difference))
    if len(done.differences) > _SHOWN:
        out.line("   ", status_cell("warn", f"… and {len(done.differences) - _SHOWN:,} more"))
