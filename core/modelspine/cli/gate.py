"""``spine gate``: a report against the baseline and the entry in production."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.spine import Spine
from modelspine.text import short, visible

_CODES = {"pass": Exit.OK, "fail": Exit.REFUSED, "error": Exit.BAD_INPUT}


def command(verbs: Verbs) -> None:
    """Add the verb."""
    gate = verbs.add(
        "gate", "compare a report with the baseline and the entry in production; exit 1 where it regressed", run,
        example="spine gate 4be1 --md summary.md", writes=True,
    )  # fmt: skip
    gate.add_argument("subject", metavar="REF|REPORT", help="an entry, or the file of a spine.eval/1 report")
    gate.add_argument("--report", type=Path, metavar="F", help="a fresh report of REF, instead of its registered one")
    gate.add_argument("--baseline", type=Path, metavar="F", help="instead of the one the settings name")
    gate.add_argument(
        "--tolerance-pp", type=count, metavar="N", help="percentage points a bucket may lose (default: the baseline's)"
    )
    gate.add_argument("--sign", action="store_true", help="also sign the verdict; only the committed baseline counts")
    gate.add_argument("--key", type=Path, metavar="F", help="the signing key (default: SPINE_SIGNING_KEY, its text)")
    gate.add_argument("--out", type=Path, metavar="F", help="where the signed verdict goes (default: verdict.json)")
    gate.add_argument("--all", action="store_true", help="also list the buckets in which no item changed")
    gate.add_argument("--md", type=Path, metavar="F", help="also append the table as Markdown, for a job summary")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Gate an entry or a report."""
    from modelspine.attestation.trust import load_signing_key
    from modelspine.gate.decision import as_json
    from modelspine.gate.table import lines, markdown
    from modelspine.release.gate_run import gate_entry, gate_report, signed_verdict

    out = Out.of(args)
    if args.sign and (args.baseline is not None or args.tolerance_pp is not None):
        raise BadInput("--sign takes no --baseline and no --tolerance-pp", "the committed ones count")
    key = load_signing_key(args.key) if args.sign else None
    baseline: Path = args.baseline or spine.settings.eval_baseline
    report = Path(args.subject)
    with working("comparing"):
        if report.is_file():
            if args.report is not None:
                raise BadInput("--report goes with a REF, and this is a report itself", "give one of the two")
            gated = gate_report(spine, report, baseline=baseline, tolerance_pp=args.tolerance_pp)
        else:
            given = {"tolerance_pp": args.tolerance_pp, "report": args.report}
            gated = gate_entry(spine, args.subject, baseline=baseline, **given)
    target: Path = args.out or Path("verdict.json")
    if key is not None and gated.decision.result != "error":
        target.write_bytes(signed_verdict(spine, gated, key))
    if args.md is not None:
        with args.md.open("a", encoding="utf-8") as stream:
            stream.write(markdown(gated.decision))
    if out.json:
        out.object(as_json(gated.decision) | {"sha": gated.sha, "seq": gated.seq, "stable": gated.stable})
    else:
        for line in lines(gated.decision, still=args.all):
            out.line(line)
        if gated.seq is not None:
            if key is not None and target.is_file():
                out.line(f"\nsigned by {key.id}: {visible(str(target), 200)}")
            out.line(f"\n#{gated.seq} gated {short(gated.sha or '')} {gated.decision.result}")
        elif gated.sha is not None and gated.decision.result != "error":
            out.line("\na trial of another baseline or tolerance: no event was written")
    return _CODES[gated.decision.result]
