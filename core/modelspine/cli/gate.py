"""``spine gate``: compare a report with the baseline and the entry in production, or read the request to deploy one."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Cell, Out, Piece, status_cell
from modelspine.cli.parser import Verbs, count
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit
from modelspine.signs import sign_of
from modelspine.spine import Spine
from modelspine.text import short

if TYPE_CHECKING:
    from modelspine.gate.result import Decision
    from modelspine.release.gate_run import Gated

_OPTIONAL = ("95 % of now", "p", "before", "gained", "lost", "against", "may lose")
"""Columns that a narrow terminal leaves out, the first one first."""
_CODES = {"pass": Exit.OK, "fail": Exit.REFUSED, "error": Exit.BAD_INPUT}


def command(verbs: Verbs) -> None:
    """Add the verb."""
    gate = verbs.add(
        "gate", "compare a report with the baseline and the entry in production", run,
        details="It also compares with the floor: the best entry that was ever in production. Exit 1 means a "
        "regression. With --candidate, it only reads the reviewed request to deploy a model, "
        "and fetches its bundle with --fetch.",
        example="spine gate 4be1 --md summary.md", writes=True,
    )  # fmt: skip
    gate.add_argument("subject", nargs="?", metavar="REF|REPORT", help="an entry, or the file of a spine.eval/1 report")
    gate.add_argument("--candidate", type=Path, metavar="F", help="read and check this request, such as candidate.toml")
    gate.add_argument(
        "--fetch", type=Path, metavar="DIR",
        help="fetch the bundle of the request into this new folder; exit 5 if it is another bundle",
    )  # fmt: skip
    gate.add_argument("--report", type=Path, metavar="F", help="a new report of REF, in place of the registered one")
    gate.add_argument("--baseline", type=Path, metavar="F", help="a baseline in place of the one in the settings")
    gate.add_argument(
        "--tolerance-pp", type=count, metavar="N", help="percentage points a bucket may lose (default: the baseline's)"
    )
    gate.add_argument("--sign", action="store_true", help="also sign the verdict; requires the committed baseline")
    gate.add_argument("--key", type=Path, metavar="F", help="the signing key (default: SPINE_SIGNING_KEY, its text)")
    gate.add_argument("--out", type=Path, metavar="F", help="file for the signed verdict (default: verdict.json)")
    gate.add_argument("--all", action="store_true", help="also list the buckets without a changed item")
    gate.add_argument("--md", type=Path, metavar="F", help="also append the table to this file as Markdown")


def run(args: argparse.Namespace, spine: Spine) -> int:
    """Gate an entry or a report, or read a request."""
    if args.candidate is not None or args.fetch is not None:
        return _read_request(args, spine)
    if args.subject is None:
        raise BadInput("there is nothing to gate", "name an entry or the file of a report")
    from modelspine.attestation.trust import load_signing_key
    from modelspine.gate.baseline import own_baseline
    from modelspine.gate.decision import as_json
    from modelspine.gate.table import markdown
    from modelspine.release.gate_run import signed_verdict

    out = Out.of(args)
    if args.sign and (args.baseline is not None or args.tolerance_pp is not None):
        raise BadInput(
            "--sign was given with --baseline or --tolerance-pp",
            "leave them out: a signed verdict uses the committed ones",
        )
    key = load_signing_key(args.key) if args.sign else None
    baseline: Path = args.baseline or spine.settings.eval_baseline
    gated = _compare(args, spine, baseline, signs=key is not None)
    target: Path = args.out or Path("verdict.json")
    if key is not None and gated.decision.result != "error":
        target.write_bytes(signed_verdict(spine, gated, key))
    if args.md is not None:
        with args.md.open("a", encoding="utf-8") as stream:
            stream.write(markdown(gated.decision))
    if out.json:
        out.object(
            as_json(gated.decision) | {"sha": gated.sha, "seq": gated.seq, "stable": gated.stable, "floor": gated.floor}
        )
    else:
        draw_decision(out, gated.decision, unchanged=args.all)
        if gated.decision.result != "error":
            out.line()
            out.paragraph(_comparisons(spine, gated, baseline.read_bytes()))
        accepted = own_baseline(baseline.read_bytes(), gated.sha) if gated.sha and baseline.is_file() else None
        if accepted is not None:
            out.line()
            out.paragraph(accepted)
        if gated.seq is not None:
            out.line()
            if key is not None and target.is_file():
                out.line(f"signed by {key.id}: {target}")
            out.line(f"#{gated.seq} gated {short(gated.sha or '')} {gated.decision.result}")
        elif gated.sha is not None and gated.decision.result != "error":
            out.line()
            out.line("dry run with another baseline or tolerance; nothing is recorded")
    return _CODES[gated.decision.result]


def _compare(args: argparse.Namespace, spine: Spine, baseline: Path, *, signs: bool) -> Gated:
    """Gate what the command names: the file of a report, or an entry."""
    from modelspine.attestation.trust import must_load
    from modelspine.release.gate_run import gate_entry, gate_report

    report = Path(args.subject)
    with working("comparing"):
        if report.is_file():
            if args.report is not None:
                raise BadInput(
                    "--report was given, and the subject is a report itself", "give --report only with a REF"
                )
            return gate_report(spine, report, baseline=baseline, tolerance_pp=args.tolerance_pp)
        # Whoever signs vouches for a model that can be loaded, where there is a workload to load it.
        load = signs and must_load(spine.settings)
        given = {"tolerance_pp": args.tolerance_pp, "report": args.report, "load": load}
        return gate_entry(spine, args.subject, baseline=baseline, **given)


def _comparisons(spine: Spine, gated: Gated, raw: bytes) -> str:
    """What the gate compared with: the baseline, production and the floor, also where two of them are one entry."""
    from modelspine.gate.baseline import read_baseline

    # Without a ledger, a report is compared with the baseline alone, and no ledger must be opened for names.
    has_entries = gated.sha is not None or gated.stable is not None
    semvers = {entry.sha: entry.semver for entry in spine.registry.list()} if has_entries else {}
    own = read_baseline(raw).entry_sha
    compared = {each.against for each in gated.decision.compared}

    def name(sha: str) -> str:
        return entry_name(sha, semvers.get(sha))

    baseline = f"the baseline {short(hashlib.sha256(raw).hexdigest())} (of {name(own)})"
    if gated.stable is None:
        return f"compared with {baseline}; nothing is in production"
    production = f"production {name(gated.stable)}"
    if gated.stable == gated.sha:
        production += " (this entry)"
    elif "stable" not in compared:
        production += " (not compared: it has no report)"
    floor = f"the floor {name(gated.floor)}" if gated.floor is not None else "no floor"
    if gated.floor is not None and gated.floor == gated.stable:
        floor += " (the entry in production)"
    elif gated.floor is not None and gated.floor == gated.sha:
        floor += " (this entry)"
    return f"compared with {baseline}, {production}, {floor}"


def _read_request(args: argparse.Namespace, spine: Spine) -> int:
    """Read a request, fetch its bundle, and print ``name=value`` lines: the format of a workflow step's outputs."""
    from modelspine.cli.empty_variables import naming_empty_variables
    from modelspine.release.candidate import fetch, read_candidate

    # The request names the model by its SHA and gates nothing: an option of the gate beside it would be ignored.
    gating = (args.subject, args.report, args.baseline, args.tolerance_pp, args.key, args.out, args.md)
    if args.candidate is None or args.sign or args.all or any(given is not None for given in gating):
        raise BadInput("--candidate F and --fetch DIR go together, without other options", "gate in another command")
    candidate = read_candidate(args.candidate)
    if args.fetch is not None:
        with working("asking MLflow"), naming_empty_variables("SPINE_MLFLOW"):
            fetch(spine, candidate, args.fetch)
    out = Out.of(args)
    if out.json:
        out.object(candidate)
    else:
        for name, value in msgspec.structs.asdict(candidate).items():
            out.line(f"{name}={value}")  # read_candidate checked that each value is one line of visible text
    return Exit.OK


def draw_decision(out: Out, decision: Decision, *, unchanged: bool = True) -> None:
    """Write a decision: the result, the reasons and warnings, and the table of buckets.

    Without ``unchanged`` the buckets in which no item changed are only counted.
    """
    from modelspine.gate.table import HEAD, RIGHT, lost_items, table

    out.line(status_cell(decision.result, f"gate: {decision.result}"))
    for reason in decision.reasons:
        out.paragraph(status_cell("blocked", reason), indent=2)
    for warning in decision.warnings:
        out.paragraph(status_cell("warn", warning), indent=2)
    rows = table(decision)
    if not rows:
        return
    shown = [row for row in rows if unchanged or not row.still]
    out.line()
    right = [name for name in HEAD if name in RIGHT]
    marked: list[tuple[Piece, ...]] = [(Cell(row.cells[0], sign_of(row.state).role), *row.cells[1:]) for row in shown]
    out.table(HEAD, marked, right=right, optional=_OPTIONAL)
    if len(shown) < len(rows):
        out.line(status_cell("ok", f"{len(rows) - len(shown):,} more buckets, in which no item changed"))
    for sentence in lost_items(decision):
        out.paragraph(sentence)
