"""The gate's rule: a candidate's counts against the baseline's and the stable entry's, decided in integers.

A bucket is blocked when it loses more than the tolerance, exactly; what cannot be compared is an error and
never a pass. Statistics stand beside each row and decide nothing. It does not know how a report was made,
what a bucket means, or who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from core.baseline import TOLERANCE_PP, Anchor, Baseline
from core.gatefit import Side, unanswered, unfit
from core.gatestats import Flips, FlipTable, holm, wilson
from core.report import Count, EvalReport
from core.text import visible

Result = Literal["pass", "fail", "error"]
SIGNIFICANT = 0.05
_MAX_REASONS = 40


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of both sides, the rule's decision on it, and what helps to read it."""

    base: Count
    cand: Count
    delta_pp: float
    blocked: bool
    against: str
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

    against: str
    """Baseline | stable."""
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


def gate(
    candidate: EvalReport,
    against: Side,
    *,
    tolerance_pp: int | None = None,
    never_regress: Mapping[str, bool] | None = None,
) -> GateResult:
    """Compare a candidate with the baseline, or with the report of the entry now stable.

    Args:
        candidate: its report.
        against: the other side. Anchor and never-regress items count where it is a baseline.
        tolerance_pp: percentage points a bucket may lose; None takes the baseline's.
        never_regress: item id → whether the candidate still gets it right.
    """
    baseline = against if isinstance(against, Baseline) else None
    if tolerance_pp is None:
        tolerance_pp = baseline.tolerance_pp if baseline else TOLERANCE_PP
    label = "baseline" if baseline else "stable"
    faults = unfit(candidate, against)
    if not 0 <= tolerance_pp <= 100:
        faults.append(f"the tolerance is {tolerance_pp} pp, outside 0 … 100")
    if baseline:
        faults += unanswered(baseline, never_regress) + _unfit_anchor(baseline.anchor)
    if faults:
        return GateResult(
            against=label, entry_sha=against.entry_sha, result="error", reasons=_few(faults), tolerance_pp=tolerance_pp
        )
    return _compared(candidate, against, label, tolerance_pp, never_regress or {})


def combine(baseline: GateResult | None, stable: GateResult | None) -> Decision:
    """A candidate passes where it passes every comparison; without a baseline there is nothing to pass.

    Args:
        baseline: the comparison with the committed baseline; None where there is none, which is an error.
        stable: the comparison with the stable entry's report; None where nothing is in production.
    """
    if baseline is None:
        return failed_closed("there is no baseline to compare with")
    compared = (baseline,) if stable is None else (baseline, stable)
    results = {each.result for each in compared}
    result: Result = "error" if "error" in results else "fail" if "fail" in results else "pass"
    rows = {} if result == "error" else dict(baseline.buckets)
    for name, row in stable.buckets.items() if stable and rows else ():
        mine = rows[name]
        if (row.blocked, row.warn) > (mine.blocked, mine.warn):
            rows[name] = row
    return Decision(
        result=result,
        reasons=tuple(f"against the {each.against}: {reason}" for each in compared for reason in each.reasons),
        warnings=tuple(f"against the {each.against}: {warning}" for each in compared for warning in each.warnings),
        buckets=rows,
        compared=compared,
    )


def failed_closed(reason: str) -> Decision:
    """The decision where nothing could be compared."""
    return Decision(result="error", reasons=(reason,))


def _compared(
    candidate: EvalReport, against: Side, label: str, tolerance: int, answers: Mapping[str, bool]
) -> GateResult:
    flips = FlipTable(against, candidate)
    found = {name: flips.of(name, base, candidate.buckets[name]) for name, base in against.buckets.items()}
    adjusted = holm({name: each.p for name, each in found.items() if each is not None})
    row = _rows(label, tolerance)
    buckets = {
        name: row(against.buckets[name], candidate.buckets[name], found[name], adjusted.get(name))
        for name in sorted(found)
    }
    pooled = flips.pooled()
    total = row(against.total, candidate.total, pooled, None)
    accepts = None
    if against.false_accept is not None and candidate.false_accept is not None:
        accepts = row(against.false_accept, candidate.false_accept, None, None)
        accepts = msgspec.structs.replace(accepts, blocked=over(candidate.false_accept, against.false_accept, tolerance))
    anchor, kept = None, {}
    if isinstance(against, Baseline):
        anchor = _against_anchor(candidate.total, against.anchor, against.anchor_budget_pp)
        kept = {item.id: answers[item.id] for item in against.never_regress}
    made = GateResult(
        against=label,
        entry_sha=against.entry_sha,
        result="pass",
        reasons=(),
        tolerance_pp=tolerance,
        buckets=buckets,
        # The rule speaks of buckets; the total is shown, and warned about, but blocks through the anchor alone.
        total=msgspec.structs.replace(total, blocked=False),
        false_accept=accepts,
        anchor=anchor,
        never_regress=kept,
        pooled_p=pooled.p if pooled else None,
    )
    reasons = _reasons(made)
    return msgspec.structs.replace(
        made, result="fail" if reasons else "pass", reasons=_few(reasons), warnings=_few(_warnings(made))
    )


def _rows(label: str, tolerance: int) -> Callable[[Count, Count, Flips | None, float | None], Row]:
    def row(base: Count, cand: Count, flips: Flips | None, holm_p: float | None) -> Row:
        blocked = over(base, cand, tolerance)
        return Row(
            base=base,
            cand=cand,
            delta_pp=_delta(base, cand),
            blocked=blocked,
            against=label,
            tolerance_items=tolerance * base.n // 100,
            flip_pp=100 / base.n,
            wilson=wilson(cand.k, cand.n),
            flips_lost=flips.lost if flips else None,
            flips_gained=flips.gained if flips else None,
            mcnemar_p=flips.p if flips else None,
            holm_p=holm_p,
            warn=not blocked and cand.k < base.k and holm_p is not None and holm_p < SIGNIFICANT,
        )

    return row


def _reasons(made: GateResult) -> list[str]:
    reasons = [
        f"{visible(name, 80)}: {_moved(row)}, {row.base.k - row.cand.k:,} fewer where {row.tolerance_items:,} may be lost"
        for name, row in made.buckets.items()
        if row.blocked
    ]
    accepts, anchor = made.false_accept, made.anchor
    if accepts is not None and accepts.blocked:
        more = accepts.cand.k - accepts.base.k
        reasons.append(f"false accepts: {_moved(accepts)}, {more:,} more where {accepts.tolerance_items:,} are allowed")
    if anchor is not None and anchor.blocked:
        reasons.append(
            f"total: {anchor.cand.k:,}/{anchor.cand.n:,} where the anchor had {anchor.base.k:,}/{anchor.base.n:,} "
            f"({signed(anchor.delta_pp)} pp), over the budget of {anchor.budget_pp} pp"
        )
    reasons += [
        f"never_regress item “{visible(name, 60)}” is wrong again" for name, kept in made.never_regress.items() if not kept
    ]
    return reasons


def _warnings(made: GateResult) -> list[str]:
    warnings = [
        f"{visible(name, 80)}: {_moved(row)} is inside the tolerance and unlikely to be chance (p = {row.holm_p:.2g})"
        for name, row in made.buckets.items()
        if row.warn
    ]
    total = made.total
    if total is None:
        return warnings
    if made.pooled_p is not None and made.pooled_p < SIGNIFICANT and total.cand.k < total.base.k:
        warnings.append(f"over all items: {_moved(total)} is unlikely to be chance (p = {made.pooled_p:.2g})")
    if over(total.base, total.cand, made.tolerance_pp) and not any(row.blocked for row in made.buckets.values()):
        warnings.append(f"the total: {_moved(total)}, though no bucket lost more than it may")
    return warnings


def _unfit_anchor(anchor: Anchor | None) -> list[str]:
    if anchor is None or 0 <= anchor.total.k <= anchor.total.n != 0:
        return []
    return [f"the anchor has k = {anchor.total.k} of n = {anchor.total.n}"]


def _against_anchor(total: Count, anchor: Anchor | None, budget_pp: int) -> AnchorRow | None:
    if anchor is None:
        return None
    return AnchorRow(
        entry_sha=anchor.entry_sha,
        base=anchor.total,
        cand=total,
        delta_pp=_delta(anchor.total, total),
        budget_pp=budget_pp,
        blocked=over(anchor.total, total, budget_pp),
    )


def _delta(base: Count, cand: Count) -> float:
    """Percentage points, from integers, so that the only rounding is the last one."""
    return 100 * (cand.k * base.n - base.k * cand.n) / (base.n * cand.n)


def signed(points: float) -> str:
    """A difference as people read it: ``−2.67``, ``+0.00``."""
    return f"{points:+.2f}".replace("-", "−")


def _moved(row: Row) -> str:
    return f"{row.base.k:,} → {row.cand.k:,} of {row.cand.n:,} ({signed(row.delta_pp)} pp)"


def _few(reasons: list[str]) -> tuple[str, ...]:
    more = len(reasons) - _MAX_REASONS
    return (*reasons[:_MAX_REASONS], f"… and {more:,} more") if more > 0 else tuple(reasons)
