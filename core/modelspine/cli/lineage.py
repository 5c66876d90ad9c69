"""``spine lineage`` (from an entry up to its corpora) and ``spine impact`` (from a corpus down to what it touched).

A walk is drawn as a tree, or as a Mermaid flowchart for a page. The module does not know how a hop is checked.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec

from modelspine.cli.errors import error_object, fail
from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Branch, Out, status_cell
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Damaged, Exit, SpineError, Unavailable
from modelspine.lineage.walker import Hop, Lineage
from modelspine.spine import Spine
from modelspine.text import short, visible

_EVIDENCE_HINT = "`spine lineage REF --verify --json` shows the evidence of each hop"
_SETTINGS = 8
"""Hyper-parameters of a run that are named in its line."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-_/:–…✔·?✖")
"""Characters that mean nothing to Mermaid inside a quoted label."""


def command(verbs: Verbs) -> None:
    """Add the verbs."""
    lineage = verbs.add(
        "lineage", "trace an entry to its run, parents, corpora and code", run_lineage,
        example="spine lineage production --verify",
    )  # fmt: skip
    lineage.add_argument("ref", metavar="REF")
    lineage.add_argument("--verify", action="store_true", help="verify every step; exit 5 if a hash does not match")
    lineage.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart")
    impact = verbs.add(
        "impact", "list the entries and days of traffic that a corpus affected", run_impact,
        example="spine impact 91ac0f2e6b1d",
    )  # fmt: skip
    impact.add_argument("corpus", metavar="CORPUS_HASH", help="at least 4 digits of its DVC hash")


def run_lineage(args: argparse.Namespace, spine: Spine) -> int:
    """Show an entry's lineage."""
    out = Out.of(args)
    with working("walking up" + (", checking every hop" if args.verify else "")):
        walk = spine.lineage(args.ref, verify=args.verify)
    problem = walk_problem(walk, checked=args.verify)
    if out.json:
        error = {"error": error_object(problem)} if problem is not None else {}
        out.object(msgspec.to_builtins(walk) | {"corpus_dvc_hash": walk.corpus_dvc_hash} | error)
    elif args.mermaid:
        for line in mermaid(walk.root):
            out.line(line)
    else:
        out.tree(hop_tree(walk.root))
    return Exit.OK if problem is None else fail(problem, as_json=False)


def walk_problem(walk: Lineage, *, checked: bool) -> SpineError | None:
    """The error a walk ends with: a hash does not match or, of a ``checked`` walk, a hop could not be checked."""
    hops = len(walk.hops)
    mismatched = [hop for hop in walk.hops if hop.status == "mismatch"]
    if mismatched:
        why = _why(mismatched[0].evidence)
        return Damaged(f"{len(mismatched)} of {hops} hops do not match: {why}", _EVIDENCE_HINT)
    unchecked = [hop for hop in walk.hops if hop.status in ("not_checked", "missing") and "why" in hop.evidence]
    if checked and unchecked:
        first = unchecked[0].evidence
        hint = visible(str(first.get("hint") or _EVIDENCE_HINT), 300)
        return Unavailable(f"{len(unchecked)} of {hops} hops could not be checked: {_why(first)}", hint)
    return None


def _why(evidence: dict[str, object]) -> str:
    return visible(str(evidence.get("why", "")), 300)


def run_impact(args: argparse.Namespace, spine: Spine) -> int:
    """List what a corpus went into."""
    out = Out.of(args)
    try:
        traces = spine.traces
    except Unavailable:
        traces = None  # nothing was served yet; the entries are still worth listing
    touched = spine.lineage.impact(args.corpus, traces)
    if out.json:
        out.object({"corpus": args.corpus, "traces": traces is not None, "entries": touched})
        return Exit.OK
    rows = []
    for entry in touched:
        served = sum(count for _, count in entry.days)
        span = f"{entry.days[0][0]} – {entry.days[-1][0]}" if entry.days else "–"
        via = "trained on it" if entry.via == "trained" else f"through {short(entry.via)}"
        name = entry_name(entry.sha, entry.semver)
        rows.append((name, status_cell(entry.status), via, f"{served:,}", f"{len(entry.days)}", span))
    out.table(("entry", "status", "how", "answered", "days", "from – to"), rows, right=("answered", "days"))
    if traces is None:
        out.line("there is no trace store, so no traffic is known")
    return Exit.OK


def hop_tree(hop: Hop) -> Branch:
    """A hop and those below it: status, kind, label, and the reason where a check failed."""
    why = f" — {hop.evidence['why']}" if hop.evidence.get("why") else ""
    children = [Branch((detail,)) for detail in _run_details(hop)] if hop.kind == "run" else []
    children += [hop_tree(child) for child in hop.children]
    return Branch((status_cell(hop.status), f"  {hop.kind}  {hop.label}{why}"), children)


def _run_details(hop: Hop) -> Iterator[str]:
    """Lines about a training run: its hyper-parameters and its parent's run, where they are recorded."""
    settings = hop.evidence.get("hyper_parameters") or {}
    if settings:
        named = [f"{name}={settings[name]}" for name in sorted(settings) if not name.startswith("version.")]
        more = f" … {len(named) - _SETTINGS:,} more (--json)" if len(named) > _SETTINGS else ""
        yield f"hyper-parameters  {visible(' '.join(named[:_SETTINGS]), 200)}{more}"
    if hop.evidence.get("parent_run_id"):
        yield f"parent run  {visible(str(hop.evidence['parent_run_id']), 64)}"


def mermaid(root: Hop) -> Iterator[str]:
    """The lines of a flowchart; whatever Mermaid could read as syntax in a label is written as an entity."""
    yield "flowchart TD"
    waiting: list[tuple[Hop, str | None]] = [(root, None)]
    number = 0
    while waiting:
        hop, parent = waiting.pop()
        node = f"n{number}"
        number += 1
        yield f'    {node}["{_escaped(f"{status_cell(hop.status).text} {hop.kind}: {visible(hop.label, 160)}")}"]'
        if parent is not None:
            yield f"    {parent} --> {node}"
        waiting.extend((child, node) for child in reversed(hop.children))  # the last one added is drawn first


def _escaped(text: str) -> str:
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in text)
