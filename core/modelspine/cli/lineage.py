"""``spine lineage`` and ``spine impact``: up from an entry to its rows, down from a corpus to what it touched;
a tree for a terminal, a Mermaid flowchart for a page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec

from modelspine.cli.errors import error_object, fail
from modelspine.cli.event_text import hop_status, name_of
from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.errors import Damaged, Exit, SpineError, Unavailable
from modelspine.lineage.walker import Hop, Lineage
from modelspine.spine import Spine
from modelspine.text import short, visible

_SEE = "`spine lineage REF --verify --json` shows the evidence of each hop"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-_/:–…✔•✖‼")


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
    """Walk up."""
    out = Out.of(args)
    with working("walking up" + (", checking every hop" if args.verify else "")):
        walk = spine.lineage(args.ref, verify=args.verify)
    wrong = unsound(walk, checked=args.verify)
    if out.json:
        said = {"error": error_object(wrong)} if wrong is not None else {}
        out.object(msgspec.to_builtins(walk) | {"corpus_dvc_hash": walk.corpus_dvc_hash} | said)
    else:
        for line in mermaid(walk.root) if args.mermaid else lines(out, walk.root):
            out.line(line)
    return Exit.OK if wrong is None else fail(wrong, as_json=False)


def unsound(walk: Lineage, *, checked: bool) -> SpineError | None:
    """What a walk found wrong: a hash that does not match or, where all were to be checked, a hop that could not be."""
    bad = [hop for hop in walk.hops if hop.status == "mismatch"]
    gone = [hop for hop in walk.hops if hop.status == "missing" and "why" in hop.evidence]
    if bad:
        return Damaged(f"{len(bad)} of {len(walk.hops)} hops do not match: {_why(bad[0].evidence)}", _SEE)
    if checked and gone:
        return Unavailable(f"{len(gone)} of {len(walk.hops)} hops could not be checked: {_why(gone[0].evidence)}", _SEE)
    return None


def _why(evidence: dict[str, object]) -> str:
    return visible(str(evidence.get("why", "")), 300)


def run_impact(args: argparse.Namespace, spine: Spine) -> int:
    """Walk down."""
    out = Out.of(args)
    try:
        traces = spine.traces
    except Unavailable:
        traces = None  # nothing was served yet; the entries are the answer all the same
    touched = spine.lineage.impact(args.corpus, traces)
    if out.json:
        out.object({"corpus": args.corpus, "traces": traces is not None, "entries": touched})
        return Exit.OK
    rows = []
    for entry in touched:
        served = sum(count for _, count in entry.days)
        span = f"{entry.days[0][0]} – {entry.days[-1][0]}" if entry.days else "–"
        via = "trained on it" if entry.via == "trained" else f"through {short(entry.via)}"
        rows.append(
            (name_of(entry.sha, entry.semver), visible(entry.status), via, f"{served:,}", f"{len(entry.days)}", span)
        )
    out.table(("entry", "status", "how", "answered", "days", "from – to"), rows, right=("answered", "days"))
    if traces is None:
        out.line("there is no trace store, so no traffic can be named")
    return Exit.OK


def lines(out: Out, hop: Hop, *, lead: str = "", turn: str = "", below: str = "") -> Iterator[str]:
    """The lines of a tree: branch, status, kind, label, and why where a check failed."""
    status = hop_status(hop.status)
    label = f"{hop.kind}  {visible(hop.label, 160)}"
    yield f"{lead}{turn}{out.paint(status.text, status.colour)}  {label}"
    why = hop.evidence.get("why")
    inner = lead + below
    if why:
        yield f"{inner}{'│  ' if hop.children else '   '}{visible(str(why), 240)}"
    for number, child in enumerate(hop.children, 1):
        last = number == len(hop.children)
        yield from lines(out, child, lead=inner, turn="└─ " if last else "├─ ", below="   " if last else "│  ")


def mermaid(root: Hop) -> Iterator[str]:
    """The lines of a flowchart, with everything in a label that Mermaid could read written as an entity."""
    yield "flowchart TD"
    left: list[tuple[Hop, str | None]] = [(root, None)]
    number = 0
    while left:
        hop, parent = left.pop()
        name = f"n{number}"
        number += 1
        yield f'    {name}["{_escaped(f"{hop_status(hop.status).text} {hop.kind}: {visible(hop.label, 160)}")}"]'
        if parent is not None:
            yield f"    {parent} --> {name}"
        left.extend((child, name) for child in reversed(hop.children))


def _escaped(text: str) -> str:
    return "".join(char if char in _PLAIN else f"#{ord(char)};" for char in text)
