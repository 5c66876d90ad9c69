"""The gate's rule: a candidate's counts against those of the baseline and the stable entry, in integer arithmetic.

A bucket is blocked if it loses more than the tolerance, and a score if it gets worse by more. Anything that prevents a
comparison (see ``gate.comparable``) is an error and never a pass. The statistics of each row are informative and decide
nothing. It does not know how a report was made or what a bucket means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from modelspine.gate.baseline import TOLERANCE_PP, Anchor, Baseline
from modelspine.gate.comparable import Side, comparison_faults, unanswered_items
from modelspine.gate.eval_report import Count, EvalReport, Score
from modelspine.gate.flips import Flips, FlipTable
from modelspine.gate.reasons import MOST_FAULTS, limited, merged_sentences, reasons, warnings
from modelspine.gate.result import (
    Against,
    AnchorRow,
    Decision,
    GateResult,
    Result,
    Row,
    ScoreRow,
    difference_pp,
    exceeds,
    is_worse,
    score_change,
)
from modelspine.stats import SIGNIFICANT, holm, wilson

MakeRow = Callable[..., Row]
"""``_row`` with its first two arguments bound."""


def gate(
    candidate: EvalReport,
    against: Side,
    *,
    tolerance_pp: int | None = None,
    never_regress: Mapping[str, bool] | None = None,
    label: Against = "stable",
) -> GateResult:
    """Compare a candidate with the baseline, or with the report of the stable entry.

    Args:
        candidate: the candidate's report.
        against: the other side; a baseline adds its anchor and never-regress items to the comparison.
        tolerance_pp: percentage points that a bucket may lose; None takes the baseline's.
        never_regress: item id → whether the candidate answers it correctly.
        label: what the other side is, if it is not the baseline.
    """
    baseline = against if isinstance(against, Baseline) else None
    if tolerance_pp is None:
        tolerance_pp = baseline.tolerance_pp if baseline else TOLERANCE_PP
    label = "baseline" if baseline else label
    faults = comparison_faults(candidate, against)
    if not 0 <= tolerance_pp <= 100:
        faults.append(f"the tolerance is {tolerance_pp} pp, outside 0 … 100")
    if baseline:
        faults += unanswered_items(baseline, never_regress) + _unfit_anchor(baseline.anchor, candidate.total)
    if faults:
        return GateResult(
            against=label,
            entry_sha=against.entry_sha,
            result="error",
            reasons=tuple(faults),
            tolerance_pp=tolerance_pp,
        )
    return _compared(candidate, against, label, tolerance_pp, never_regress or {})


NO_BASELINE = (
    "there is no baseline to compare with; `spine baseline new REF --reason TEXT` makes one of an entry's report"
)


def combine(baseline: GateResult | None, stable: GateResult | None, floor: GateResult | None = None) -> Decision:
    """The decision over all comparisons: a candidate passes if it passes each of them.

    Args:
        baseline: the comparison with the committed baseline; None if there is no baseline, which is an error.
        stable: the comparison with the stable entry's report; None if nothing is in production.
        floor: the comparison with the best entry that was ever in production; None if that is the stable entry.
    """
    if baseline is None:
        return failed_closed(NO_BASELINE)
    compared = (baseline, *(each for each in (stable, floor) if each is not None))
    results = {each.result for each in compared}
    result: Result = "error" if "error" in results else "fail" if "fail" in results else "pass"
    rows = {} if result == "error" else dict(baseline.buckets)
    scores = {} if result == "error" else dict(baseline.scores)
    # Without errors all comparisons have the same buckets; the table shows the most severe row of each.
    for other in compared[1:] if result != "error" else ():
        for name, row in other.buckets.items():
            if (row.blocked, row.warn) > (rows[name].blocked, rows[name].warn):
                rows[name] = row
        scores.update({name: row for name, row in other.scores.items() if row.blocked > scores[name].blocked})
    return Decision(
        result=result,
        reasons=_merged_reasons(compared, result),
        warnings=merged_sentences({each.against: each.warnings for each in compared}),
        buckets=rows,
        scores=scores,
        compared=compared,
    )


def _merged_reasons(compared: Sequence[GateResult], result: Result) -> tuple[str, ...]:
    """The reasons of all comparisons; of an error the most useful ones of those that could not be made."""
    if result != "error":
        return merged_sentences({each.against: each.reasons for each in compared})
    failed = {each.against: each.reasons for each in compared if each.result == "error"}
    return limited(merged_sentences(failed), MOST_FAULTS)


def failed_closed(reason: str) -> Decision:
    """The decision if nothing could be compared."""
    return Decision(result="error", reasons=(reason,))


def _compared(
    candidate: EvalReport, against: Side, label: Against, tolerance: int, answers: Mapping[str, bool]
) -> GateResult:
    row = partial(_row, label, tolerance)
    flips = FlipTable(against, candidate)
    pooled = flips.pooled()
    scores = sorted(against.scores.items())
    anchor, kept = None, {}
    if isinstance(against, Baseline):
        anchor = _against_anchor(candidate.total, against.anchor, against.anchor_budget_pp)
        # `is True`, because results may come from JSON, where "false" or 1 would be truthy.
        kept = {item.id: answers[item.id] is True for item in against.never_regress}
    made = GateResult(
        against=label,
        entry_sha=against.entry_sha,
        result="error",  # replaced below; an exception in between must not leave a pass
        reasons=(),
        tolerance_pp=tolerance,
        buckets=_buckets(candidate, against, flips, row),
        scores={name: _score_row(label, tolerance, score, candidate.scores[name]) for name, score in scores},
        total=_total(against.total, candidate.total, row, pooled),
        false_accept=_accepts(candidate.false_accept, against.false_accept, row, tolerance),
        anchor=anchor,
        never_regress=kept,
        pooled_p=pooled.p if pooled else None,
    )
    return msgspec.structs.replace(
        made,
        result="fail" if _is_blocked(made) else "pass",
        reasons=limited(reasons(made)),
        warnings=limited(warnings(made)),
    )


def _is_blocked(made: GateResult) -> bool:
    rows = [made.false_accept, made.anchor, *made.buckets.values(), *made.scores.values()]
    return any(row is not None and row.blocked for row in rows) or not all(made.never_regress.values())


def _buckets(candidate: EvalReport, against: Side, flips: FlipTable, row: MakeRow) -> dict[str, Row]:
    pairs = {name: (against.buckets[name], candidate.buckets[name]) for name in sorted(against.buckets)}
    moved = {name: flips.of(name, *pair) for name, pair in pairs.items()}
    # Corrected for the number of buckets: of many, a few would otherwise look significant by chance.
    adjusted = holm({name: each.p for name, each in moved.items() if each is not None})
    return {name: row(*pair, moved[name], adjusted.get(name)) for name, pair in pairs.items()}


def _total(base: Count | None, cand: Count | None, make: MakeRow, pooled: Flips | None) -> Row | None:
    """The total's row. It can warn but never blocks: the rule is about buckets, and the anchor limits the total."""
    if base is None or cand is None:
        return None
    row = make(base, cand, pooled)
    unlikely = row.mcnemar_p is not None and row.mcnemar_p < SIGNIFICANT
    return msgspec.structs.replace(row, blocked=False, warn=row.blocked or (row.cand.k < row.base.k and unlikely))


def _accepts(cand: Count | None, base: Count | None, row: MakeRow, tolerance: int) -> Row | None:
    """The row of wrong texts that were accepted as correct."""
    if cand is None or base is None:
        return None
    # More false accepts are worse, so the sides are swapped in the inequality.
    return msgspec.structs.replace(row(base, cand), blocked=exceeds(cand, base, tolerance))


def _row(
    label: Against, tolerance: int, base: Count, cand: Count, flips: Flips | None = None, holm_p: float | None = None
) -> Row:
    """One row: the two counts, whether they block, and their statistics."""
    blocked = exceeds(base, cand, tolerance)
    return Row(
        base=base,
        cand=cand,
        delta_pp=difference_pp(base, cand),
        blocked=blocked,
        against=label,
        tolerance_items=tolerance * base.n // 100,
        flip_pp=100 / base.n,
        wilson=wilson(cand.k, cand.n),
        flips_lost=flips.lost if flips else None,
        flips_gained=flips.gained if flips else None,
        mcnemar_p=flips.p if flips else None,
        holm_p=holm_p,
        # A loss within the tolerance that is unlikely to be chance, given how many buckets were tested.
        warn=not blocked and cand.k < base.k and holm_p is not None and holm_p < SIGNIFICANT,
    )


def _score_row(label: Against, tolerance: int, base: Score, cand: Score) -> ScoreRow:
    return ScoreRow(
        base=base,
        cand=cand,
        change=score_change(base, cand),
        blocked=is_worse(base, cand, tolerance),
        against=label,
        tolerance=tolerance,
    )


def _unfit_anchor(anchor: Anchor | None, total: Count | None) -> list[str]:
    if anchor is not None and total is None:
        return ["the anchor limits the total, and the candidate has none"]
    if anchor is None or 0 <= anchor.total.k <= anchor.total.n != 0:
        return []
    return [f"the anchor has k = {anchor.total.k} of n = {anchor.total.n}"]


def _against_anchor(total: Count | None, anchor: Anchor | None, budget_pp: int) -> AnchorRow | None:
    if anchor is None or total is None:
        return None
    return AnchorRow(
        entry_sha=anchor.entry_sha,
        base=anchor.total,
        cand=total,
        delta_pp=difference_pp(anchor.total, total),
        budget_pp=budget_pp,
        blocked=exceeds(anchor.total, total, budget_pp),
    )
