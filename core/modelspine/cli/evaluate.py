"""``spine evaluate``: an entry or a bundle over the eval set that the baseline names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelspine.cli.output import Out, percent
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, Unavailable
from modelspine.gate.eval_report import EvalSet
from modelspine.spine import Spine
from modelspine.text import short, visible

if TYPE_CHECKING:
    from modelspine.release.evaluate import Evaluated

_SHOWN = 8


def command(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add(
        "evaluate", "evaluate an entry or a bundle over the eval set that the baseline names", run,
        example="spine evaluate 4be1 --twice --out report.json",
    )  # fmt: skip
    parser.add_argument(
        "subject", nargs="?", metavar="REF|BUNDLE_DIR", help="without one, the eval set's hash is checked and no more"
    )
    parser.add_argument("--twice", action="store_true", help="two runs; exit 5 unless every answer is the same")
    parser.add_argument("--fetch", action="store_true", help="fetch the eval set through DVC where it is not here")
    parser.add_argument("--out", type=Path, metavar="F", help="where the report goes, for `spine gate F`")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Evaluate."""
    from modelspine.release.eval_set import baseline_at, checked, fetched

    out = Out.of(args)
    if args.subject is None and (args.twice or args.out is not None):
        raise BadInput("there is nothing to evaluate", "name an entry or a bundle's folder")
    baseline = baseline_at(spine.settings.eval_baseline)
    named = baseline.eval_set
    with working("fetching the eval set"):
        fetched(named, spine.settings.root, spine.corpora) if args.fetch else checked(named, spine.settings.root)
    if args.subject is None:
        return _set_told(out, named)
    from modelspine.release.evaluate import evaluate

    runs = 2 if args.twice else 1
    with working("evaluating") as progress:
        done = evaluate(
            spine, args.subject, baseline, runs=runs,
            progress=lambda number, at, total: progress.step(f"run {number} of {runs}, item", at, total),
        )  # fmt: skip
    if args.out is not None:
        _write(args.out, msgspec.json.format(msgspec.json.encode(done.report), indent=1) + b"\n")
    if out.json:
        out.object(done)
    else:
        _told(out, done, args.out)
    return Exit.OK


def _set_told(out: Out, named: EvalSet) -> int:
    if out.json:
        out.object({"eval_set": named, "state": "ok"})
    else:
        out.line(f"{visible(named.path, 80)}  {named.n:,} items  SHA-256 {named.sha256}  as the baseline names it")
    return Exit.OK


def _told(out: Out, done: Evaluated, file: Path | None) -> None:
    report = done.report
    where = visible(str(report["eval_set"]["path"]), 80)
    out.line(f"{short(done.sha)} over {where}, {report['eval_set']['n']:,} items, as the baseline names them")
    pairs = [("total", percent(**report["total"]))]
    if report.get("false_accept"):
        pairs.append(("false accepts", percent(**report["false_accept"])))
    lost = [name for name, kept in report.get("never_regress", {}).items() if not kept]
    if "never_regress" in report:
        count = len(report["never_regress"])
        told = f"{count - len(lost)} of {count} right" + (f"; lost: {', '.join(lost[:_SHOWN])}" if lost else "")
        pairs.append(("never regress", visible(told, 200)))
    digest = visible(str(report.get("answers_sha256") or "no digest"), 64)
    pairs.append(("answers", f"{digest}{'  twice the same' if done.runs > 1 else ''}"))
    pairs.append(("registered", {"none": "no report", "same": "the same"}.get(done.registered, done.registered)))
    if file is not None:
        pairs.append(("report", visible(str(file), 200)))
    out.pairs(pairs, indent=2)
    for difference in done.differences[:_SHOWN]:
        out.line(out.paint(f"   ! {difference}", "warn"))
    if len(done.differences) > _SHOWN:
        out.line(out.paint(f"   ! … and {len(done.differences) - _SHOWN:,} more", "warn"))


def _write(file: Path, raw: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise Unavailable(f"{visible(str(file), 120)}: {why}", "give --out a file that can be written") from error
