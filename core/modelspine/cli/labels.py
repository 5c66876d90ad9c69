"""``spine labels import``: what was said of answers later, from a file.

It does not know how answers are graded or where labels are stored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Exit
from modelspine.spine import Spine
from modelspine.text import counted, visible


def command(verbs: Verbs) -> None:
    """Add ``labels`` with its verb."""
    nested = verbs.add("labels", "add the right answers that became known later").add_verbs()
    parser = nested.add(
        "import", "add labels, scores, outcomes or texts from a file", run,
        details="A row names a request (column request_id, trace_id, id, or the id of the table [workload]) and says"
        " label, score, outcome, text or taken_back. Every row is checked before anything is stored. Later rows count"
        " over earlier ones of the same request; what is there already is unchanged, so an import can be repeated. With"
        " no request found, the exit code is 1.",
        example="spine labels import outcomes.csv --id-column order_id --label-column returned",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, TSV, JSON lines or Parquet")
    parser.add_argument("--id-column", metavar="COLUMN", help="the column that names the requests")
    parser.add_argument("--label-column", metavar="COLUMN", help="the column of the right answers (default: label)")
    parser.add_argument("--unknown", type=Path, metavar="FILE", help="write the ids there that no request has")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and store nothing")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Import a file of labels."""
    from modelspine.maintenance.label_import import import_labels

    out = Out.of(args)
    with working("importing") as progress:
        done = import_labels(
            spine, args.file, id_column=args.id_column, label_column=args.label_column, unknown=args.unknown,
            dry_run=args.dry_run, step=progress.step,
        )  # fmt: skip
    code = Exit.OK if done.matched or not done.rows else Exit.REFUSED
    if out.json:
        out.object(msgspec.to_builtins(done) | {"matched": done.matched})
        return code
    would = "would be " if done.dry_run else ""
    out.line(
        f"{done.matched:,} of {counted(done.rows, 'row')} matched a request: {done.stored:,} {would}stored,"
        f" {done.corrected:,} {would}corrected, {done.unchanged:,} unchanged"
    )
    if done.repeated:
        out.line(f"{counted(done.repeated, 'row')} of them had a later row of the same request, which counts over them")
    if done.graded:
        verb = "is" if done.right == 1 else "are"
        out.line(f"{done.right:,} of the {counted(done.graded, 'answer')} that they grade {verb} right")
    if done.empty:
        out.line(f"{counted(done.empty, 'row')} said nothing")
    if done.unknown:
        named = ", ".join(visible(name, 64) for name in done.unknown_ids)
        more = f" and {done.unknown - len(done.unknown_ids):,} more" if done.unknown > len(done.unknown_ids) else ""
        out.line(f"{counted(done.unknown, 'row')} named no request, or several: {named}{more}")
    return code
