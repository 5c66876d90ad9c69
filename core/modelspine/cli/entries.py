"""``spine list`` and ``spine show``: the registered entries, and one of them in full."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import msgspec

from modelspine.cli.event_text import draw_events, entry_status, entry_verdict, score
from modelspine.cli.output import Cell, Out, Piece
from modelspine.cli.parser import Verbs, at_flag
from modelspine.cli.progress import working
from modelspine.errors import BadInput, Exit, UnknownRef
from modelspine.gate.eval_report import EvalReport
from modelspine.registry.entries import Detail, Entry
from modelspine.registry.lookup import Lookup, look_up, may_look_up
from modelspine.spine import Spine
from modelspine.text import counted, short, size, visible
from modelspine.times import age
from modelspine.words import words

_COST = "USD/M right"
"""The column of ``list`` with the cost per million right answers; ``show`` explains it."""


def _columns() -> tuple[str, ...]:
    return ("status", "semver", "sha", "variant", "accuracy", words().false_accept, _COST, "parent", "age", "verdict")


def _optional() -> tuple[str, ...]:
    """Columns that a narrow terminal leaves out; ``spine show`` has them all."""
    return ("parent", "variant", words().false_accept, _COST, "age", "verdict")


def command(verbs: Verbs) -> None:
    """Add the verbs."""
    listing = verbs.add(
        "list",
        "list all entries in the order they were registered",
        run_list,
        details="USD/M right is the cost per million right answers, measured at the gate; `spine show` explains it.",
        example="spine list --at 2026-11-22",
    )
    at_flag(listing)
    show = verbs.add(
        "show", "show an entry, or the entry that a folder, file or digest is in", run_show,
        details="A name that is a REF is read as one; write ./NAME for a path of the same name. Where several entries "
        "have the digest, they are listed. The cost per million right answers is the time an evaluation's workers were "
        "busy x the machine's rate / workers / right answers on the eval set, measured at the gate: compute under full "
        "load, no traffic.",
        example="spine show production",
    )  # fmt: skip
    show.add_argument(
        "ref", metavar="REF|PATH|DIGEST",
        help="an entry, a bundle's folder, a safetensors file, or 4 digits or more of any digest in the ledger",
    )  # fmt: skip
    at_flag(show)


def run_list(args: argparse.Namespace, spine: Spine) -> int:
    """List the entries."""
    out = Out.of(args)
    entries = spine.registry.list(args.at)
    if out.json:
        out.object({"entries": entries, "at": args.at})
    elif not entries:
        when = "at that time" if args.at else "yet; `spine register BUNDLE_DIR` registers a bundle"
        out.line(f"no entry was registered {when}")
    else:
        now = datetime.fromisoformat(args.at) if args.at else datetime.now(UTC)
        rows = [_row(entry, now) for entry in entries]
        right = ("accuracy", words().false_accept, _COST, "age")
        out.table(_columns(), rows, right=right, optional=_optional())
    return Exit.OK


def run_show(args: argparse.Namespace, spine: Spine) -> int:
    """Show one entry, or everything that has the digest where it does not belong to exactly one."""
    out = Out.of(args)
    found: Lookup | None = None
    try:
        detail: Detail | None = spine.registry.get(args.ref, args.at)
    except UnknownRef:
        if not may_look_up(args.ref):
            raise
        with working("searching the ledger"):
            found = look_up(spine.registry, args.ref)
        detail = spine.registry.get(found.sha, args.at) if found.sha else None
    if out.json:
        shown = _as_object(detail) | {"own_baseline": _own_baseline(spine, detail)} if detail else {}
        out.object((msgspec.to_builtins(found) if found else {}) | shown)
        return Exit.OK
    if found is not None:
        _matches(out, found)
    if detail is not None:
        _draw(out, detail, _own_baseline(spine, detail))
    return Exit.OK


def _matches(out: Out, found: Lookup) -> None:
    rows = [(m.what, short(m.digest), m.semver or "–", short(m.sha) or "–", f"#{m.seq}") for m in found.matches]
    out.table(("what it is", "digest", "entry's semver", "entry's SHA", "first event"), rows)
    out.line()


def _as_object(detail: Detail) -> dict[str, Any]:
    """One entry as programs read it: the fields of its row in ``list``, and its evidence and history."""
    report = detail.eval_report
    answer: dict[str, Any] = msgspec.to_builtins(detail.entry)
    return answer | {
        "manifest": detail.manifest,
        "corpus_manifest": detail.corpus_manifest,
        "eval_report": msgspec.to_builtins(report) if report else None,
        "buckets": msgspec.to_builtins(report.buckets) if report else {},
        "weights": detail.weights,
        "config_digest": detail.config_digest,
        "config": detail.config,
        "tensors": msgspec.to_builtins(detail.tensors),
        "assets": msgspec.to_builtins(detail.assets),
        "history": msgspec.to_builtins(detail.history),
    }


def _row(entry: Entry, now: datetime) -> tuple[Piece, ...]:
    return (
        entry_status(entry),
        entry.semver or "–",
        short(entry.sha),
        entry.variant,
        score(entry.total),
        f"{entry.false_accept.k:,}/{entry.false_accept.n:,}" if entry.false_accept else "–",
        _usd(entry.cost_per_quality.usd) if entry.cost_per_quality else "–",
        short(entry.parent_sha) if entry.parent_sha else "–",
        age(entry.registered_at, now),
        entry_verdict(entry),
    )


def _own_baseline(spine: Spine, detail: Detail) -> str | None:
    """What was accepted with an entry that was its own baseline at its newest gate run; None for any other."""
    from modelspine.gate.baseline import own_baseline

    run = next((event for event in reversed(detail.history) if event.kind == "gated"), None)
    if run is None or run.body.get("sha") != detail.entry.sha:
        return None
    try:
        return own_baseline(spine.registry.evidence(str(run.body.get("baseline"))), detail.entry.sha)
    except BadInput:  # not kept in this ledger, or written by a later version
        return None


def _draw(out: Out, detail: Detail, own_baseline: str | None) -> None:
    entry = detail.entry
    out.line(Cell(entry.semver or short(entry.sha), "strong"), "  ", entry_status(entry))
    out.pairs(_summary(detail))
    if own_baseline is not None:
        out.line()
        out.paragraph(own_baseline)
    if detail.eval_report is not None:
        out.line()
        _buckets(out, detail.eval_report)
    out.line()
    draw_events(out, detail.history)


def _summary(detail: Detail) -> list[tuple[str, str]]:
    entry, manifest = detail.entry, detail.manifest
    corpora = [c for c in manifest.get("corpora") or () if isinstance(c, dict)]
    elements = sum(tensor.size for tensor in detail.tensors)
    return [
        ("sha", entry.sha),
        ("semvers", ", ".join(entry.semvers) or "–"),
        ("verdict", entry_verdict(entry).text),
        ("variant", entry.variant or "–"),
        ("parent", entry.parent_sha or "–"),
        ("accuracy", score(entry.total)),
        (words().false_accept, score(entry.false_accept)),
        ("cost per million right answers", _cost(entry)),
        ("tensors", f"{len(detail.tensors):,} with {size(elements)}; {size(entry.size_bytes)} in total"),
        *([("other files", ", ".join(visible(f.name) for f in detail.assets))] if detail.assets else []),
        ("run", entry.run_id or "–"),
        *([("from", visible(entry.source))] if entry.source else []),
        *([("service", visible(entry.service))] if entry.service else []),
        ("seed", str(manifest.get("seed", "–"))),
        ("corpora", "; ".join(f"{c.get('path')} {c.get('dvc_hash')}" for c in corpora) or "–"),
        ("registered", f"{entry.registered_at}  #{entry.seq}"),
    ]


def _cost(entry: Entry) -> str:
    """What right answers of an entry cost at the gate, with the noise of the measurement; or what would measure it."""
    cost = entry.cost_per_quality
    if cost is None:
        ref = entry.sha[:12]
        return (
            f"unknown; measure it: `spine evaluate {ref} --twice --out report.json`, "
            f"then `spine gate {ref} --report report.json`"
        )
    between = f"{_usd(cost.low)}–{_usd(cost.high)}, {counted(cost.runs, 'evaluation run')} at ${cost.rate_per_hour:g}/h"
    return f"${_usd(cost.usd)} ({between})"


def _usd(amount: float) -> str:
    """An amount with three decimals; a small one with three digits that count."""
    return f"{amount:,.3f}" if amount >= 0.1 else f"{amount:.3g}"


def _buckets(out: Out, report: EvalReport) -> None:
    rows = [
        (name, f"{c.k:,}", f"{c.n:,}", f"{100 * c.k / c.n:.1f}" if c.n else "–") for name, c in report.buckets.items()
    ]
    out.table(("bucket", "k", "n", "%"), rows, right=("k", "n", "%"))
    if report.scores:
        out.line()
        scores = [(name, score.text, f"{score.better} is better") for name, score in report.scores.items()]
        out.table(("score", "value", "direction"), scores, right=("value",))
