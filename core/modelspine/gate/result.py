"""The results of the gate: rows of two counts, one comparison, and the decision over all comparisons.

It contains the one inequality that every decision uses; applying it is the task of ``gate.rule``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from modelspine.gate.eval_report import Count, Score

Result = Literal["pass", "fail", "error"]
Against = Literal["baseline", "stable", "floor"]
"""The committed baseline, the entry in production, or the best entry that was ever in production."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket's counts on both sides, the rule's decision, and statistics to interpret it."""

    base: Count
    cand: Count
    delta_pp: float
    blocked: bool
    against: Against
    tolerance_items: int
    """How many whole items the bucket may lose."""
    flip_pp: float
    """The weight of one item in percentage points."""
    wilson: tuple[float, float]
    """95 % interval of the candidate's share of correct answers."""
    flips_lost: tuple[str, ...] | None = None
    """Item ids; None if a report does not list its failed items."""
    flips_gained: tuple[str, ...] | None = None
    mcnemar_p: float | None = None
    holm_p: float | None = None
    warn: bool = False


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """One score on both sides, and the rule's decision. It has no interval: the share of what, it does not say."""

    base: Score
    cand: Score
    change: float | None
    """``cand`` − ``base``, in percentage points for a rate and in per cent of ``base`` for a value; None of a value
    that was 0."""
    blocked: bool
    against: Against
    tolerance: int
    """How much worse it may get, in the unit of ``change``."""


class AnchorRow(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate's total compared with the anchor's."""

    entry_sha: str
    base: Count
    cand: Count
    delta_pp: float
    budget_pp: int
    blocked: bool


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. An error has reasons but no rows, because nothing was compared."""

    against: Against
    entry_sha: str | None
    result: Result
    reasons: tuple[str, ...]
    tolerance_pp: int
    warnings: tuple[str, ...] = ()
    buckets: dict[str, Row] = {}
    scores: dict[str, ScoreRow] = {}
    total: Row | None = None
    false_accept: Row | None = None
    anchor: AnchorRow | None = None
    never_regress: dict[str, bool] = {}
    pooled_p: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The combined result of a candidate's comparisons; each bucket's row is the more severe one."""

    result: Result
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    buckets: dict[str, Row] = {}
    scores: dict[str, ScoreRow] = {}
    compared: tuple[GateResult, ...] = ()


def exceeds(base: Count, cand: Count, limit_pp: int) -> bool:
    """True if ``cand`` is more than ``limit_pp`` percentage points below ``base``; exactly that loss is allowed."""
    # base.k/base.n − cand.k/cand.n > limit/100, multiplied out: integers leave no rounding to argue about.
    return 100 * (base.k * cand.n - cand.k * base.n) > limit_pp * base.n * cand.n


def difference_pp(base: Count, cand: Count) -> float:
    """``cand`` − ``base`` in percentage points, computed from integers so that only the final division rounds."""
    return 100 * (cand.k * base.n - base.k * cand.n) / (base.n * cand.n)


def is_worse(base: Score, cand: Score, limit: int) -> bool:
    """True if ``cand`` is worse than ``base`` by more than ``limit``; exactly that much is allowed.

    ``limit`` is in percentage points for a rate, and in per cent of ``base`` for a value.
    """
    # cand.num/cand.den − base.num/base.den, multiplied by both denominators, which are above 0: integers only.
    rise = cand.num * base.den - base.num * cand.den
    loss = rise if base.better == "lower" else -rise
    unit = base.den if base.scale == "rate" else abs(base.num)
    return 100 * loss > limit * unit * cand.den


def score_change(base: Score, cand: Score) -> float | None:
    """The change of a score, for display; see ``ScoreRow.change``."""
    rise = cand.num * base.den - base.num * cand.den
    unit = base.den if base.scale == "rate" else abs(base.num)
    return 100 * rise / (unit * cand.den) if unit else None
