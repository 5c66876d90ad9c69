"""``spine sha`` and ``spine diff``: the content of bundles and entries."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelspine.cli.event_text import entry_name
from modelspine.cli.output import Cell, Out, Piece
from modelspine.cli.parser import Verbs, day
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, SpineError
from modelspine.identity.bundle import read_bundle
from modelspine.registry.diff import as_json, compare
from modelspine.registry.diff_rows import UNCHANGED, Row, Section, cut_rows, heading, sections, shown, unchanged
from modelspine.signs import Role
from modelspine.spine import Spine
from modelspine.text import short, visible

_MOST_ROWS = 200
"""Rows of a section that are printed; a large model has thousands of tensors."""


def command(verbs: Verbs) -> None:
    """Add the verbs."""
    sha = verbs.add(
        "sha", "print the canonical SHA of a bundle and its entry, if registered", run_sha,
        details="Where the output is not a terminal, it is the SHA alone.", example="spine sha runs/base/bundle",
    )  # fmt: skip
    sha.add_argument("folder", metavar="BUNDLE_DIR")
    sha.add_argument("--follow", action="store_true", help="read links to files, as in a hub's cache, as those files")
    diff = verbs.add(
        "diff", "compare the config, tensors, corpora and buckets of two entries", run_diff,
        details="The largest change comes first; --all also lists what is unchanged. With --traffic, "
        "the texts of stored requests are put to both entries instead, to see what users would have been told by the "
        "other one. Nothing is written to the traces.",
        example="spine diff v0.1.0 v0.3.0 --traffic --since 2026-11-16",
    )  # fmt: skip
    diff.add_argument("a", metavar="A", help="a REF")
    diff.add_argument("b", metavar="B", help="a REF")
    diff.add_argument("--all", action="store_true", help="also list what is unchanged")
    diff.add_argument("--traffic", action="store_true", help="compare their answers to stored requests")
    diff.add_argument(
        "--since", type=day, metavar="YYYY-MM-DD", help="with --traffic: requests from this day on, UTC (default: all)"
    )


def run_sha(args: argparse.Namespace, spine: Spine) -> int:
    """Hash a bundle."""
    out = Out.of(args)
    with working("hashing the bundle"):
        bundle = read_bundle(Path(args.folder), follow=args.follow)
    if out.json:
        names = ("sha", "format", "weights", "config", "tokenizer", "assets", "parent_sha", "files", "by_products")
        facts = {name: getattr(bundle, name) for name in names} | {"tensors": len(bundle.tensors)}
        out.object(facts | _registration(spine, bundle.sha))
    else:
        out.line(bundle.sha)
        if sys.stdout.isatty():  # a script reads the SHA alone: `sha=$(spine sha FOLDER)`
            found = _registration(spine, bundle.sha)
            words = {
                True: f"as {visible(found['semver'] or short(bundle.sha))}, {found['status']}",
                False: "no",
                None: "unknown: the ledger cannot be read",
            }
            further = ", ".join(visible(file.name) for file in bundle.asset_files) or "none"
            left_out = ", ".join(visible(path) for path in bundle.by_products) or "none"
            out.pairs([("other files", further), ("left out", left_out), ("registered", words[found["registered"]])])
    return Exit.OK


def _registration(spine: Spine, sha: str) -> dict[str, Any]:
    """Whether a SHA is registered, and as what; ``registered`` is None where the ledger cannot be read."""
    try:
        entry = next((entry for entry in spine.registry.list() if entry.sha == sha), None)
    except SpineError:  # a bundle can be hashed without a ledger
        return {"registered": None, "semver": None, "status": None}
    if entry is None:
        return {"registered": False, "semver": None, "status": None}
    return {"registered": True, "semver": entry.semver, "status": entry.status}


def run_diff(args: argparse.Namespace, spine: Spine) -> int:
    """Compare two entries: their content and scores, or their answers to stored requests."""
    out = Out.of(args)
    if args.all and args.traffic:
        raise BadInput("--all lists the parts of the entries, --traffic their answers", "give one of them")
    if args.since is not None and not args.traffic:
        raise BadInput("--since was given without --traffic", "add --traffic to compare answers to stored requests")
    a, b = spine.registry.get(args.a), spine.registry.get(args.b)
    if args.traffic:
        from modelspine.cli.counterfactual import compare_traffic

        return compare_traffic(out, spine, a.entry, b.entry, since=args.since)
    comparison = compare(a, b)
    if out.json:
        out.object(as_json(comparison))
        return Exit.OK
    names = [visible(side.entry.semver or short(side.entry.sha), 24) for side in (a, b)]
    out.line(f"{entry_name(a.entry.sha, a.entry.semver)} → {entry_name(b.entry.sha, b.entry.semver)}")
    found = sections(comparison, everything=args.all)
    for section in shown(found):
        out.line()
        _draw_section(out, section, names)
    if same := unchanged(found):
        out.line()
        out.paragraph(same)
    return Exit.OK


def _draw_section(out: Out, section: Section, names: Sequence[str]) -> None:
    if section.note:
        out.line(section.note)
        return
    out.line(Cell(heading(section), "strong"))
    listed, more = cut_rows(section.rows, _MOST_ROWS)
    head = ("", names[0], names[1] if names[1] != names[0] else f"{names[1]} (B)", section.unit)
    out.table(head, [_aligned(row) for row in listed], right=(section.unit,) if section.unit == "Δ pp" else ())
    if more:
        out.line(more)


def _aligned(row: Row) -> tuple[Piece, ...]:
    roles: dict[bool | None, Role] = {True: "good", False: "bad", None: ""}
    return row.name, row.a, row.b, Cell(row.change or UNCHANGED, roles[row.better] if row.change else "muted")
