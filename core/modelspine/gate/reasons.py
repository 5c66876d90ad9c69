"""What a comparison found, in sentences: why it fails, and what deserves a second look.

Names from reports are made visible here; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelspine.gate.result import Against, GateResult, Row, over
from modelspine.stats import SIGNIFICANT
from modelspine.text import visible

_MAX_SENTENCES = 40
_SIDES: dict[Against, str] = {"baseline": "the baseline", "stable": "the stable entry", "floor": "the floor"}


def reasons(made: GateResult) -> list[str]:
    """Every reason for which the comparison fails; empty where it passes."""
    found = [
        f"{visible(name, 80)}: {_moved(row)}, {row.base.k - row.cand.k:,} fewer, {row.tolerance_items:,} allowed"
        for name, row in made.buckets.items()
        if row.blocked
    ]
    accepts, anchor = made.false_accept, made.anchor
    if accepts is not None and accepts.blocked:
        more = accepts.cand.k - accepts.base.k
        found.append(f"false accepts: {_moved(accepts)}, {more:,} more, {accepts.tolerance_items:,} allowed")
    if anchor is not None and anchor.blocked:
        found.append(
            f"total: {anchor.cand.k:,}/{anchor.cand.n:,} where the anchor had {anchor.base.k:,}/{anchor.base.n:,} "
            f"({signed(anchor.delta_pp)} pp), over the budget of {anchor.budget_pp} pp"
        )
    found += [
        f"never_regress item “{visible(name, 60)}” is wrong again"
        for name, kept in made.never_regress.items()
        if not kept
    ]
    return found


def warnings(made: GateResult) -> list[str]:
    """What passed and may still not be chance, or does not add up."""
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
    if over(total.base, total.cand, made.tolerance_pp) and not any(row.blocked for row in made.buckets.values()):
        found.append(f"the total: {_moved(total)}, though no bucket lost more than it may")
    return found


def told(sentences: Mapping[Against, Sequence[str]]) -> tuple[str, ...]:
    """The sentences of all comparisons, each saying which; what two of them say alike is said once."""
    speakers: dict[str, list[Against]] = {}
    for against, said in sentences.items():
        for sentence in said:
            speakers.setdefault(sentence, []).append(against)
    return tuple(
        f"against {' and '.join(_SIDES[each] for each in who)}: {sentence}" for sentence, who in speakers.items()
    )


def signed(points: float) -> str:
    """A difference as people read it: ``−2.67``, ``+0.00``."""
    return f"{points:+.2f}".replace("-", "−")


def few(sentences: Sequence[str]) -> tuple[str, ...]:
    """As many sentences as somebody reads, and how many more there are."""
    more = len(sentences) - _MAX_SENTENCES
    return (*sentences[:_MAX_SENTENCES], f"… and {more:,} more") if more > 0 else tuple(sentences)


def _moved(row: Row) -> str:
    return f"{row.base.k:,} → {row.cand.k:,} of {row.cand.n:,} ({signed(row.delta_pp)} pp)"
