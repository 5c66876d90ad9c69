"""The tabs of one entry: summary, buckets, manifest and history; and the comparison of two entries.

Pure drawing of core's values. Buckets and views belong to the workload: they are drawn whatever their names are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.registry.entries import manifest_corpora
from modelspine.text import size
from modelspine.words import words
from modelspine_console.draw.charts import bars, heat, tables
from modelspine_console.draw.format import (
    age,
    ago,
    count,
    dash,
    entry_status,
    heading,
    pairs,
    right_answers,
    tree,
    when,
)
from modelspine_console.draw.sanitize import Line, cut, row, safe

if TYPE_CHECKING:
    from modelspine.gate.eval_report import EvalReport
    from modelspine.registry.entries import Detail

_MAX_TENSORS = 200
"""Tensors that are listed; a large model has thousands, and `spine show --json` lists them all."""
_DIGEST_COLUMN = 14
"""Cells that the summary needs beside a digest."""


def summary(detail: Detail, now: datetime, width: int) -> list[Line]:
    """The entry's identity, its evaluation, and the corpora it was trained on."""
    entry = detail.entry
    facts = [
        ("status", entry_status(entry)),
        ("semver", dash(", ".join(entry.semvers))),
        *_digest("sha", entry.sha, width),
        ("variant", dash(entry.variant)),
        ("arms", dash(", ".join(entry.arms))),
        ("registered", row(when(entry.registered_at), safe("  "), ago(entry.registered_at, now, entry.seq))),
        ("size", safe(f"{size(entry.size_bytes)} in {len(detail.tensors)} tensors")),
        *_digest("parent", entry.parent_sha or "", width),
        *_digest("run", entry.run_id or "", width),
    ]
    return [*pairs(facts), *_evaluation(detail), *_trained_on(detail)]


def _digest(name: str, digits: str, width: int) -> list[tuple[str, Line]]:
    """A digest on as few lines of equal length as fit beside its name."""
    room = next((size for size in (64, 32, 16) if size + _DIGEST_COLUMN <= width), 8)
    pieces = [digits[start : start + room] for start in range(0, min(len(digits), 256), room)]
    return [("" if number else name, dash(piece)) for number, piece in enumerate(pieces or [""])]


def _evaluation(detail: Detail) -> list[Line]:
    report = detail.eval_report
    if report is None:
        return [*heading("evaluation"), safe(" never evaluated", "warn")]
    worst = sorted((c.ratio, name, c) for name, c in report.buckets.items() if c.ratio is not None)[:3]
    eval_set = report.eval_set
    facts = [
        ("correct", count(report.total)),
        (words().false_accepts, count(report.false_accept)),
        ("cost at the gate", right_answers(detail.cost_per_quality)),
        ("eval set", safe(f"{eval_set.path}  {eval_set.n:,} items  md5 {eval_set.dvc_hash[:12]}")),
        *(("" if n else "weakest", row(cut(safe(name), 18), count(c))) for n, (_, name, c) in enumerate(worst)),
    ]
    return [*heading("evaluation"), *pairs(facts)]


def _trained_on(detail: Detail) -> list[Line]:
    facts = []
    for corpus in manifest_corpora(detail):
        rows = corpus.get("rows")
        number = f"{rows:,}" if isinstance(rows, int) else "?"
        text = safe(f"md5 {str(corpus.get('dvc_hash', ''))[:12]}  {number} rows")
        facts.append((str(corpus.get("path", "corpus"))[:40], text))
    return [*heading("trained on"), *(pairs(facts) or [safe(" the manifest names no corpus", "warn")])]


def buckets(report: EvalReport | None, width: int) -> list[Line]:
    """Every bucket, view and score of the report: two-way tables as heat maps, the other buckets as bars."""
    if report is None:
        return [safe(" never evaluated", "warn")]
    lines: list[Line] = []
    grids, used = tables(report.buckets, report.views)
    for table in grids:
        lines += [*heading(table.title), *heat(table, width)]
    for group, counts in _grouped(report.buckets).items():
        if group not in used:
            lines += [*heading(group), *bars(counts, width)]
    if report.scores:
        scores = ((name[:40], safe(f"{each.text}, {each.better} is better")) for name, each in report.scores.items())
        lines += [*heading("scores"), *pairs(scores)]
    return lines[1:]


def _grouped(counts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Buckets by the part of their name before the first ``/``."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in counts.items():
        group, slash, rest = name.partition("/")
        groups.setdefault(group if slash else "buckets", {})[rest if slash else name] = value
    return groups


def manifest(detail: Detail) -> list[Line]:
    """Config, training manifest and corpus manifest as they were registered, and the tensors."""
    lines = [*heading("config"), *tree(detail.config), *heading("training manifest"), *tree(detail.manifest)]
    if detail.corpus_manifest:
        lines += [*heading("corpus manifest"), *tree(detail.corpus_manifest)]
    lines += heading(f"tensors ({len(detail.tensors)})")
    for tensor in detail.tensors[:_MAX_TENSORS]:
        shape = cut(safe("×".join(str(dim) for dim in tensor.shape) or "scalar"), 14)
        digest = safe(tensor.digest[:12], "faint")
        lines.append(row(safe(" "), cut(safe(tensor.name), 34), safe(f"{tensor.dtype:<6}"), shape, digest))
    return lines[1:]


def history(detail: Detail, now: datetime, width: int) -> list[Line]:
    """Every event that names the entry, newest first."""
    lines = []
    for event in reversed(detail.history):
        text = event.body.get("reason") or event.body.get("text") or event.body.get("semver") or ""
        number, kind = cut(safe(f" #{event.seq}", "muted"), 8), cut(safe(event.kind, "strong"), 12)
        line = row(number, kind, cut(age(event.at, now), 8), cut(safe(event.actor), 14), safe(text))
        lines.append(cut(line, width))
    return lines
