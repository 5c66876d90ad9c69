"""The tabs of one entry: summary, buckets, manifest, history, and two entries compared.

Pure drawing of core's values. Buckets and views are the workload's: whatever names they have, they are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.text import size
from modelspine_console.draw.charts import bars, heat, tables
from modelspine_console.draw.format import age, count, dash, entry_status, heading, pairs, tree, when
from modelspine_console.draw.sanitize import Line, cut, row, safe

if TYPE_CHECKING:
    from modelspine.gate.eval_report import EvalReport
    from modelspine.registry.entries import Detail

_MOST = 200
"""Lines of a list that is shown whole elsewhere."""


def summary(detail: Detail, now: datetime, width: int) -> list[Line]:
    """What an operator asks first."""
    entry = detail.entry
    lines = pairs(
        [
            ("status", entry_status(entry)),
            ("semver", dash(", ".join(entry.semvers))),
            *_digits("sha", entry.sha, width),
            ("variant", dash(entry.variant)),
            ("arms", dash(", ".join(entry.arms))),
            (
                "registered",
                row(
                    when(entry.registered_at),
                    safe("  "),
                    age(entry.registered_at, now),
                    safe(f" ago  #{entry.seq}", "muted"),
                ),
            ),
            ("size", safe(f"{size(entry.size_bytes)} in {len(detail.tensors)} tensors")),
            *_digits("parent", entry.parent_sha or "", width),
            *_digits("run", entry.run_id or "", width),
        ]
    )
    return [*lines, *_evaluation(detail), *_trained_on(detail)]


def _digits(name: str, digits: str, width: int) -> list[tuple[str, Line]]:
    """A digest in as few lines of equal length as fit beside its name."""
    room = next((size for size in (64, 32, 16) if size + 14 <= width), 8)
    pieces = [digits[start : start + room] for start in range(0, min(len(digits), 256), room)]
    return [("" if number else name, dash(piece)) for number, piece in enumerate(pieces or [""])]


def _evaluation(detail: Detail) -> list[Line]:
    lines = heading("evaluation")
    report = detail.eval_report
    if report is None:
        lines.append(safe(" never evaluated: nobody can say how good it is", "warn"))
    else:
        worst = sorted((c.ratio, name, c) for name, c in report.buckets.items() if c.ratio is not None)[:3]
        eval_set = report.eval_set
        lines += pairs(
            [
                ("right", count(report.total)),
                ("false accepts", count(report.false_accept)),
                ("eval set", safe(f"{eval_set.path}  {eval_set.n:,} items  md5 {eval_set.dvc_hash[:12]}")),
                *(("" if n else "weakest", row(cut(safe(name), 18), count(c))) for n, (_, name, c) in enumerate(worst)),
            ]
        )
    return lines


def _trained_on(detail: Detail) -> list[Line]:
    lines = heading("trained on")
    corpora = [c for c in detail.manifest.get("corpora") or () if isinstance(c, dict)]
    for corpus in corpora:
        lines += pairs(
            [
                (
                    str(corpus.get("path", "corpus"))[:40],
                    safe(f"md5 {str(corpus.get('dvc_hash', ''))[:12]}  {_number(corpus.get('rows'))} rows"),
                )
            ]
        )
    if not corpora:
        lines.append(safe(" its manifest names no corpus", "warn"))
    return lines


def buckets(report: EvalReport | None, width: int) -> list[Line]:
    """Every bucket and view of the report: two-way tables as heat maps, the rest as bars."""
    if report is None:
        return [safe(" never evaluated", "warn")]
    lines: list[Line] = []
    grids, used = tables(report.buckets, report.views)
    for grid in grids:
        lines += [*heading(grid.title), *heat(grid, width)]
    for group, counts in grouped(report.buckets).items():
        if group not in used:
            lines += [*heading(group), *bars(counts, width)]
    return lines[1:]


def grouped(counts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Buckets by what stands before the first ``/``."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in counts.items():
        group, slash, rest = name.partition("/")
        groups.setdefault(group if slash else "buckets", {})[rest if slash else name] = value
    return groups


def manifest(detail: Detail) -> list[Line]:
    """Config, training manifest and corpus manifest, as they were registered."""
    lines = [*heading("config"), *tree(detail.config)]
    lines += [*heading("training manifest"), *tree(detail.manifest)]
    if detail.corpus_manifest:
        lines += [*heading("corpus manifest"), *tree(detail.corpus_manifest)]
    lines += heading(f"tensors ({len(detail.tensors)})")
    for tensor in detail.tensors[:_MOST]:
        shape = "×".join(str(dim) for dim in tensor.shape) or "scalar"
        lines.append(
            row(
                safe(" "),
                cut(safe(tensor.name), 34),
                safe(f"{tensor.dtype:<6}"),
                cut(safe(shape), 14),
                safe(tensor.digest[:12], "faint"),
            )
        )
    return lines[1:]


def history(detail: Detail, now: datetime, width: int) -> list[Line]:
    """Every event that names the entry, newest first."""
    lines: list[Line] = []
    for event in reversed(detail.history):
        told = event.body.get("reason") or event.body.get("text") or event.body.get("semver") or ""
        lines.append(
            cut(
                row(
                    cut(safe(f" #{event.seq}", "muted"), 8),
                    cut(safe(event.kind, "strong"), 12),
                    cut(age(event.at, now), 8),
                    cut(safe(event.actor), 14),
                    safe(told),
                ),
                width,
            )
        )
    return lines


def compare(first: Detail, second: Detail, width: int) -> list[Line]:
    """Two entries: what differs in config, tensors, corpus and buckets."""
    names = [d.entry.semver or d.entry.sha[:12] for d in (first, second)]
    half = max(16, min(30, (width - 28) // 2))
    lines = [row(cut(safe(""), 20), cut(safe(names[0], "accent"), half), cut(safe(names[1], "accent"), half))]
    lines += [*heading("config"), *_differing(first.config, second.config, half)]
    lines += [*heading("corpus"), *_differing(_corpora(first), _corpora(second), half)]
    lines += [*heading("tensors"), *_tensors(first, second)]
    lines += [*heading("per bucket"), *_per_bucket(first, second, half)]
    return lines


def _per_bucket(first: Detail, second: Detail, half: int) -> list[Line]:
    one, two = first.eval_report, second.eval_report
    if one is None or two is None:
        return [safe(" one of them was never evaluated", "warn")]
    lines = []
    both = {"total": (one.total, two.total), "false_accept": (one.false_accept, two.false_accept)}
    both |= {name: (one.buckets.get(name), two.buckets.get(name)) for name in {**one.buckets, **two.buckets}}
    for name, (a, b) in both.items():
        delta = safe("")
        if a and b and a.n and b.n:
            points = 100 * b.k / b.n - 100 * a.k / a.n
            better = points < 0 if name == "false_accept" else points > 0
            delta = safe(f"{points:+.1f} pp", "faint" if not points else "good" if better else "bad")
        lines.append(row(cut(safe(f" {name}"), 20), cut(count(a), min(half, 18)), cut(count(b), min(half, 18)), delta))
    return lines


def _tensors(first: Detail, second: Detail) -> list[Line]:
    one = {t.name: t for t in first.tensors}
    two = {t.name: t for t in second.tensors}
    same = sum(1 for name, t in one.items() if name in two and two[name].digest == t.digest)
    changed = [name for name, t in one.items() if name in two and two[name].digest != t.digest]
    gone, new = len(one.keys() - two.keys()), len(two.keys() - one.keys())
    lines = [safe(f" {same} equal, {len(changed)} changed, {gone} gone, {new} new")]
    return lines + [row(safe("   ≠ ", "warn"), safe(name)) for name in changed[:_MOST]]


def _differing(one: Mapping[str, Any], two: Mapping[str, Any], half: int) -> list[Line]:
    lines = []
    for name in {**one, **two}:
        a, b = one.get(name), two.get(name)
        if a != b:
            lines.append(row(cut(safe(f" {name}", "muted"), 20), cut(dash(a), half), cut(dash(b), half)))
    return lines or [safe(" equal", "muted")]


def _corpora(detail: Detail) -> dict[str, Any]:
    corpora = detail.manifest.get("corpora") or ()
    return {
        str(c.get("path", n)): str(c.get("dvc_hash", ""))[:12] for n, c in enumerate(corpora) if isinstance(c, dict)
    }


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"
