"""``spine baseline``: the counts that candidates are compared with, written for a reviewed commit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelspine.cli.event_text import entry_name, score
from modelspine.cli.output import Out, share, status_cell
from modelspine.cli.parser import Verbs
from modelspine.errors import Exit
from modelspine.spine import Spine
from modelspine.text import argument, short

if TYPE_CHECKING:
    from modelspine.release.new_baseline import NewBaseline

_SHOWN = 8
"""Buckets that get weaker and are named; the rest are counted."""


def command(verbs: Verbs) -> None:
    """Add the verbs."""
    nested = verbs.add("baseline", "make the baseline with which candidates are compared").add_verbs()
    new = nested.add(
        "new", "make an entry's report the baseline; it counts after a reviewed commit", run_new,
        details="It writes eval_baseline.json and commits nothing. Tolerance, never-regress items, anchor and excluded "
        "floors of the present baseline are kept. The counts of a baseline without an anchor become the anchor of the "
        "one that replaces it, so that small losses cannot add up.",
        example='spine baseline new v0.1.0 --reason "the first model that we ship"',
    )  # fmt: skip
    new.add_argument("ref", metavar="REF", help="the entry")
    new.add_argument("--reason", required=True, metavar="TEXT", help="why it becomes the baseline, for its reviewers")
    new.add_argument("--report", type=Path, metavar="F", help="a new report of the entry, in place of the one in force")
    new.add_argument("--approved-in", default="", metavar="TEXT", help="the change in which it is reviewed")
    new.add_argument("--out", type=Path, metavar="F", help="another file than the one in the settings")


def run_new(args: argparse.Namespace, spine: Spine) -> int:
    """Write a baseline."""
    from modelspine.release.new_baseline import new_baseline, write_baseline

    made = new_baseline(spine, args.ref, reason=args.reason, approved_in=args.approved_in, report=args.report)
    file: Path = args.out or spine.settings.eval_baseline
    write_baseline(file, made)
    out = Out.of(args)
    if out.json:
        weaker = {name: {"before": before, "now": now} for name, before, now in made.weaker}
        out.object({"sha": made.sha, "file": str(file), "total": made.total, "replaces": made.replaces,
                    "weaker": weaker, "notes": made.notes})  # fmt: skip
    else:
        _draw(out, made, file)
        if args.out is None:
            report = f" --report {argument(str(args.report))}" if args.report is not None else ""
            out.line(f"next: `spine gate {short(made.sha)}{report}`")
    return Exit.OK


def _draw(out: Out, made: NewBaseline, file: Path) -> None:
    counts = f"the counts of {entry_name(made.sha)}, {score(made.total)}" if made.total is not None else "scores alone"
    out.line(f"{file}: {counts}")
    for name, before, now in made.weaker[:_SHOWN]:
        out.line("   ", status_cell("warn", f"{name}: {share(before.k, before.n)} before, {share(now.k, now.n)} now"))
    if len(made.weaker) > _SHOWN:
        out.line("   ", status_cell("warn", f"… and {len(made.weaker) - _SHOWN:,} more buckets that get weaker"))
    for note in made.notes:
        out.line("   ", status_cell("warn", note))
    out.line("it is not committed, and counts after a reviewed commit:")
    out.line(f"  git add {argument(str(file))} && git commit")
