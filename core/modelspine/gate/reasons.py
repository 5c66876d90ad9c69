"""The findings of a comparison as sentences: why it fails, and what deserves a closer look.

Names from reports are untrusted and are made safe to display here. It makes no decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelspine.gate.result import Against, GateResult, Row, ScoreRow, exceeds
from modelspine.stats import SIGNIFICANT
from modelspine.text import visible

_MAX_SENTENCES = 40
MOST_FAULTS = 3
"""So many reasons are given why reports cannot be compared: each one alone prevents it, and they share few causes."""
_SIDES: dict[Against, str] = {"baseline": "the baseline", "stable": "the stable entry", "floor": "the floor"}


def reasons(made: GateResult) -> list[str]:
    """Every reason why the comparison fails; empty if it passes."""
    found = [
        f"{visible(name, 80)}: {_moved(row)}, {row.base.k - row.cand.k:,} fewer, {row.tolerance_items:,} allowed"
        for name, row in made.buckets.items()
        if row.blocked
    ]
    found += [_score_reason(name, row) for name, row in made.scores.items() if row.blocked]
    accepts, anchor = made.false_accept, made.anchor
    if accepts is not None and accepts.blocked:
        more = accepts.cand.k - accepts.base.k
        found.append(f"false accepts: {_moved(accepts)}, {more:,} more, {accepts.tolerance_items:,} allowed")
    if anchor is not None and anchor.blocked:
        found.append(
            f"total: {anchor.cand.k:,}/{anchor.cand.n:,}, the anchor has {anchor.base.k:,}/{anchor.base.n:,} "
            f"({signed(anchor.delta_pp)} pp), over the budget of {anchor.budget_pp} pp"
        )
    found += [
        f"never_regress item “{visible(name, 60)}” is wrong again"
        for name, kept in made.never_regress.items()
        if not kept
    ]
    return found


def warnings(made: GateResult) -> list[str]:
    """Losses that do not block but are unlikely to be chance, or that the buckets do not explain."""
    found = [
        f"{visible(name, 80)}: {_moved(row)} is inside the tolerance and unlikely to be chance (p = {row.holm_p:.2g})"
        for name, row in made.buckets.items()
        if row.warn
    ]
    total = made.total
    if total is None:
        return found
    if made.pooled_p is not None and made.pooled_p < SIGNIFICANT and total.cand.k < total.base.k:
        found.append(f"over all items: {_moved(total)} is unlikely to be chance (p = {made.pooled_p:.2g})")
    if exceeds(total.base, total.cand, made.tolerance_pp) and not any(row.blocked for row in made.buckets.values()):
        found.append(f"the total: {_moved(total)}, although no bucket exceeds its tolerance")
    return found


def merged_sentences(by_side: Mapping[Against, Sequence[str]]) -> tuple[str, ...]:
    """The sentences of all comparisons, each prefixed with its side; equal sentences are merged."""
    sides: dict[str, list[Against]] = {}
    for against, sentences in by_side.items():
        for sentence in sentences:
            sides.setdefault(sentence, []).append(against)
    return tuple(
        f"against {' and '.join(_SIDES[side] for side in found)}: {sentence}" for sentence, found in sides.items()
    )


def signed(points: float) -> str:
    """A difference with its sign, for display: ``−2.67``, ``+0.00``."""
    return f"{points:+.2f}".replace("-", "−")


def limited(sentences: Sequence[str], most: int = _MAX_SENTENCES) -> tuple[str, ...]:
    """The first sentences and, if there are more than anybody would read, the number of those left out."""
    more = len(sentences) - most
    return (*sentences[:most], f"… and {more:,} more") if more > 0 else tuple(sentences)


def change_text(row: ScoreRow) -> str:
    """The change of a score with its unit: ``+48.57 pp``, ``+3.20 %``."""
    unit = "pp" if row.base.scale == "rate" else "%"
    return f"{signed(row.change)} {unit}" if row.change is not None else f"from 0, which has no {unit}"


def _score_reason(name: str, row: ScoreRow) -> str:
    unit = "pp" if row.base.scale == "rate" else "%"
    return (
        f"{visible(name, 80)}: {row.base.text} → {row.cand.text} ({change_text(row)}), "
        f"{row.base.better} is better, at most {row.tolerance} {unit} worse is allowed"
    )


def _moved(row: Row) -> str:
    """A row's change: ``95 → 90 of 100 (−5.00 pp)``."""
    return f"{row.base.k:,} → {row.cand.k:,} of {row.cand.n:,} ({signed(row.delta_pp)} pp)"
