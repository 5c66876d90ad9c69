"""``spine evaluate import``: a report made of the result of another tool."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.cli.event_text import score
from modelspine.cli.output import Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.errors import BadInput, Exit, Unavailable
from modelspine.gate.foreign import FORMATS
from modelspine.spine import Spine
from modelspine.text import argument, short, visible

if TYPE_CHECKING:
    from modelspine.gate.baseline import Item
    from modelspine.release.result_import import Imported


def command(nested: Verbs) -> None:
    """Add the verb."""
    parser = nested.add(
        "import", "make a report of another tool's result, for `spine gate`", run,
        details="Formats: jsonl and csv (a line for each item), sklearn (classification_report with output_dict=True), "
        "lm-eval (results, or the samples of --log_samples) and hf (evaluate.save, Trainer.save_metrics). Only a file "
        "with a line for each item lets the gate name the items that changed. Without --right, a report has scores "
        "alone, unless the table [workload] of spine.toml says which columns hold the label and the features; then "
        "such a file needs no other option. The report of a bundle is registered with it, as its eval_report.json.",
        example="spine evaluate import answers.csv --right prediction=label --set data/eval.csv",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="the result")
    parser.add_argument("--format", choices=FORMATS, help="its format (default: what its content looks like)")
    parser.add_argument("--set", type=Path, metavar="F", help="the eval set: the file of the items that were evaluated")
    parser.add_argument("--id", metavar="COLUMN", help="the column that names each item (default: id, doc_id, …)")
    parser.add_argument(
        "--right", metavar="RULE",
        help="when an item is right: a column of yes and no, prediction=label, verdict==pass or edits<=0; of a result "
        "without items, the measure that is the share of right ones",
    )  # fmt: skip
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="COLUMN", help="divide the items by this column's values"
    )
    for better in ("higher", "lower"):
        parser.add_argument(
            f"--{better}", action="append", default=[], metavar="SCORE",
            help=f"a measure of which {better} is better: NAME=COLUMN/COLUMN (a quotient of sums), NAME=COLUMN/1 (a "
            "share of items), NAME=COLUMN (a mean), or the name of a measure in a result without items",
        )  # fmt: skip
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave a measure out of the report"
    )
    parser.add_argument("--entry", metavar="REF|BUNDLE_DIR", help="the entry or bundle that gave these answers")
    parser.add_argument("--out", type=Path, metavar="F", help="file for the report (default: it is printed)")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Make a report of a result."""
    from modelspine.release.result_import import Asked, import_result, report_bytes

    workload = spine.settings.workload
    table = None if isinstance(workload, str) else workload
    named = spine.settings.root / table.eval_set if table is not None and table.eval_set else None
    asked = Asked(
        format=args.format,
        id_column=args.id,
        right=args.right,
        buckets=tuple(dict.fromkeys(args.bucket)),
        higher=tuple(args.higher),
        lower=tuple(args.lower),
        without=tuple(args.without),
        eval_set=args.set or named,
        table=table,
        guards=_guards(spine) if table is not None else (),
        entry_sha=_sha(args.entry, spine) if args.entry is not None else None,
    )
    made = import_result(_bytes(args.file), asked, name=args.file.name, root=spine.settings.root)
    if args.out is not None:
        write_report(args.out, report_bytes(made.report))
    out = Out.of(args)
    if out.json:
        out.object(made.report)
    elif args.out is None:
        out.write(report_bytes(made.report).decode("ascii"))
    else:
        _draw(out, made, args.out)
        out.line(f"   next: `{_next(args.entry, args.out, spine)}`")
    return Exit.OK


def _guards(spine: Spine) -> tuple[Item, ...]:
    """The never-regress items of the baseline; none where there is no baseline that can be read."""
    from modelspine.release.eval_set import baseline_at

    try:
        return baseline_at(spine.settings.eval_baseline).never_regress
    except BadInput:
        return ()


def _next(entry: str | None, file: Path, spine: Spine) -> str:
    """The command that takes a report further."""
    report = argument(str(file))
    if entry is None:
        return f"spine gate {report}"
    if Path(entry).is_dir():
        return f"spine register {argument(entry)} --eval {report}"
    if not spine.settings.eval_baseline.is_file():
        return f"spine baseline new {argument(entry)} --reason TEXT --report {report}"
    return f"spine gate {argument(entry)} --report {report}"


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(
            f"the result {visible(str(file), 120)} cannot be read: {error.strerror}", "give the file of a result"
        ) from error


def _sha(source: str, spine: Spine) -> str:
    """The canonical SHA of an entry, or of the bundle in a folder."""
    if not Path(source).is_dir():
        return spine.registry.resolve(source)
    from modelspine.identity.bundle import read_bundle

    return read_bundle(Path(source)).sha


def _draw(out: Out, made: Imported, file: Path) -> None:
    from modelspine.gate.eval_report import convert_report

    report = convert_report(made.report)
    out.line(f"{report.eval_set.n:,} items of {report.eval_set.path}, from a result of the format {made.format}")
    pairs = [
        ("total", score(report.total)),
        ("buckets", f"{len(report.buckets):,}"),
        *([("false accepts", score(report.false_accept))] if report.false_accept is not None else []),
        *((name, f"{each.text}, {each.better} is better") for name, each in report.scores.items()),
        ("entry", short(report.entry_sha) if report.entry_sha is not None else "none named; --entry names one"),
        ("report", str(file)),
    ]
    out.pairs(pairs, indent=2)
    if not report.failed and (report.total is None or report.total.k < report.total.n):
        out.line("   ", status_cell("warn", "the result does not list its items, so the gate cannot name what changed"))
    for note in made.notes:
        out.line("   ", status_cell("warn", note))


def write_report(file: Path, raw: bytes) -> None:
    """Write a report to the file that ``--out`` names.

    Raises:
        Unavailable: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise Unavailable(f"{visible(str(file), 120)}: {why}", "give --out a file that can be written") from error
