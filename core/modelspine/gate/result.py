"""The values a gate leaves: rows of two counts, one comparison, and the decision over all of them.

It holds the one inequality that decides and does not know who applies it to what.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from modelspine.gate.eval_report import Count

Result = Literal["pass", "fail", "error"]
Against = Literal["baseline", "stable", "floor"]
"""The committed baseline, the entry in production, or the best entry that was ever in production."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of both sides, the rule's decision on it, and what helps to read it."""

    base: Count
    cand: Count
    delta_pp: float
    blocked: bool
    against: Against
    tolerance_items: int
    """Whole items it may lose."""
    flip_pp: float
    """What one item is worth."""
    wilson: tuple[float, float]
    """95 % interval of the candidate's share."""
    flips_lost: tuple[str, ...] | None = None
    """Item ids; None where a report does not list what failed."""
    flips_gained: tuple[str, ...] | None = None
    mcnemar_p: float | None = None
    holm_p: float | None = None
    warn: bool = False


class AnchorRow(msgspec.Struct, frozen=True, kw_only=True):
    """The total against the anchor's."""

    entry_sha: str
    base: Count
    cand: Count
    delta_pp: float
    budget_pp: int
    blocked: bool


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. An error has reasons and no rows: nothing was compared."""

    against: Against
    entry_sha: str | None
    result: Result
    reasons: tuple[str, ...]
    tolerance_pp: int
    warnings: tuple[str, ...] = ()
    buckets: dict[str, Row] = {}
    total: Row | None = None
    false_accept: Row | None = None
    anchor: AnchorRow | None = None
    never_regress: dict[str, bool] = {}
    pooled_p: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What all comparisons of one candidate come to; each bucket's row is that of the comparison blocking it."""

    result: Result
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    buckets: dict[str, Row] = {}
    compared: tuple[GateResult, ...] = ()


def over(base: Count, cand: Count, limit_pp: int) -> bool:
    """True where ``cand`` lies more than ``limit_pp`` percentage points below ``base``; exactly that much is not."""
    return 100 * (base.k * cand.n - cand.k * base.n) > limit_pp * base.n * cand.n


def delta(base: Count, cand: Count) -> float:
    """Percentage points, from integers, so that the only rounding is the last one."""
    return 100 * (cand.k * base.n - base.k * cand.n) / (base.n * cand.n)
