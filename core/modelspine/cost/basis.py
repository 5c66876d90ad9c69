"""The figures of one entry under one set of price terms: sums of recorded prices, divided and bounded.

Prices are summed and never computed again. An amount has its currency and an accuracy its n; an unknown figure is None
and never 0. It does not compare entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from miniobserve.cost import BUSY, TOKENS, WAITING
from modelspine.cost.idle import Share
from modelspine.cost.meter import Meter
from modelspine.gate.eval_report import Count
from modelspine.stats import sums, wilson
from modelspine.units_by_size import sums_by_size

READY = 0.30
"""The accuracy below which no cost per quality is given: dividing by it would make a bad model look like a choice."""
_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution, for 95 % intervals."""


class Range(msgspec.Struct, frozen=True):
    """A figure with its 95 % bounds; an unknown bound is None."""

    value: float
    low: float | None
    high: float | None


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one entry's requests under one price version, rate and currency.

    Amounts are in ``currency``; ``cost_per_1k`` is for 1,000 input and output tokens.
    """

    priced: int
    """The number of requests with a price under these terms."""
    tokens: int
    """Of the priced requests."""
    tokens_per_second: float | None
    """Of the machine with all of its workers busy."""
    currency: str | None
    """None where no request has a price."""
    rate_per_hour: float | None
    """Rent of the whole machine; None where there is no price or the model is billed by token."""
    workers: int | None = None
    """Among how many workers the rent was divided; None where no share of a rent was paid."""
    workers_unknown: int = 0
    """Requests whose traces are too old to tell the number of workers; it is taken as 1."""
    price_version: str | None = None
    priced_by: str | None = None
    """``busy/1``, ``tokens/1``, or empty for older traces, whose price includes the time in the queue."""
    input_price: float | None = None
    """Per million tokens, as is ``output_price``."""
    output_price: float | None = None
    since: str | None = None
    """When the first of these requests began, UTC; ``until`` is when the last one did."""
    until: str | None = None
    cost: float | None
    cost_per_request: float | None
    cost_per_1k: Range | None
    stages: dict[str, float]
    """Stage → its share of ``cost``, in currency; of a model billed by token, kind of token → its share."""
    cpqu: float | None
    correct_by: Literal["graded", "evaluated"] | None = None
    """Whether ``cost_per_correct`` counts answers graded right, or takes the accuracy on the eval set."""
    graded: Count | None = None
    """Answers graded right, out of those with a grade and those that failed."""
    ungraded: int = 0
    failed: int = 0
    outside: int = 0
    """Requests out of scope; they are in no figure of a correct answer."""
    cost_per_correct: Range | None
    idle: float | None = None
    """What idle time costs this entry, apportioned by day, rate and price version."""
    amortised_per_1k: float | None
    """``amortised_per_correct`` as well: with ``idle``."""
    amortised_per_correct: float | None
    unexplained: float | None
    """Relative difference between the recorded prices and seconds × rate / (3600 · workers), as recorded; within 0.001
    by design."""
    unknown: dict[str, str] = {}
    """Figure → why it is unknown, and what would make it known."""


class _Correct(NamedTuple):
    """What a correct answer costs, and what that rests on."""

    by: Literal["graded", "evaluated"] | None
    cost: Range | None
    outside: int
    why: str


def basis_of(meter: Meter, idle: Share, total: Count | None) -> Basis:
    """The figures of requests under one set of terms; ``total`` is the entry's evaluation."""
    terms = meter.terms
    per_1k = _per_1k(meter) if meter.tokens else None
    accuracy = accuracy_of(total)
    ready = accuracy is not None and accuracy.value >= READY
    correct = _correct(meter, accuracy)
    spread = _spread(meter, idle)
    return Basis(
        priced=meter.priced,
        tokens=meter.tokens,
        tokens_per_second=meter.tokens / meter.busy * (terms.workers or 1) if meter.busy else None,
        currency=terms.currency,
        rate_per_hour=terms.rate_per_hour,
        workers=terms.workers,
        workers_unknown=meter.workers_unknown,
        price_version=terms.price_version,
        priced_by=terms.priced_by,
        input_price=terms.input_price,
        output_price=terms.output_price,
        since=_utc(meter.first_ns),
        until=_utc(meter.last_ns),
        cost=meter.cost,
        cost_per_request=meter.cost / meter.priced,
        cost_per_1k=per_1k,
        stages=dict(meter.stages),
        cpqu=per_1k.value / accuracy.value if per_1k is not None and accuracy is not None and ready else None,
        correct_by=correct.by,
        graded=Count(meter.right, meter.graded.n + meter.failed.n) if meter.graded.n else None,
        ungraded=meter.ungraded.n + (0 if correct.outside > meter.outside.n else meter.plain.n),
        failed=meter.failed.n,
        outside=correct.outside,
        cost_per_correct=correct.cost,
        idle=idle.amount,
        amortised_per_1k=per_1k.value * spread if per_1k is not None and spread is not None else None,
        amortised_per_correct=correct.cost.value * spread if correct.cost is not None and spread is not None else None,
        unexplained=abs(meter.explained / meter.cost - 1) if meter.cost else None,
        unknown=_unknown(meter, idle, accuracy, correct),
    )


def _spread(meter: Meter, idle: Share) -> float | None:
    """What a price is multiplied by to bear its part of idle time; None if that is unknown."""
    if idle.amount is None:
        return None
    if not meter.cost:  # at no rent there is no idle time to pay for; what cost nothing at a rent cannot bear a part
        return None if meter.terms.rate_per_hour else 1.0
    return 1 + idle.amount / meter.cost


def without_price(reasons: Sequence[str]) -> Basis:
    """The figures of an entry none of whose requests has a price."""
    why = f"no request has a price: {'; '.join(reasons)}" if reasons else "it answered no request"
    known = "set `rate_per_hour`, or its prices per token in `[cost]`, and serve requests"
    return Basis(
        priced=0, tokens=0, tokens_per_second=None, currency=None, rate_per_hour=None, cost=None, cost_per_request=None,
        cost_per_1k=None, stages={}, cpqu=None, cost_per_correct=None, amortised_per_1k=None,
        amortised_per_correct=None, unexplained=None, unknown={"cost": f"{why}; {known}"},
    )  # fmt: skip


def accuracy_of(total: Count | None) -> Range | None:
    """The accuracy on the eval set with its Wilson bounds."""
    if total is None or not total.n:
        return None
    return Range(total.k / total.n, *wilson(total.k, total.n))


def comparable(one: Basis, other: Basis) -> bool:
    """Whether two costs differ by what the models need and not by the rent or the way of pricing."""
    if one.currency is None or one.currency != other.currency or WAITING in (one.priced_by, other.priced_by):
        return False
    if TOKENS in (one.priced_by, other.priced_by):
        return True
    return (one.rate_per_hour, one.workers) == (other.rate_per_hour, other.workers)


def _correct(meter: Meter, accuracy: Range | None) -> _Correct:
    """What a correct answer costs: by the grades of live answers where there are any, else by the evaluation.

    A failed answer is paid for and is not right. Where only some answers have a grade, failures count in the same
    proportion: otherwise a few of them would outweigh the graded answers. Requests out of scope count neither for nor
    against an entry. An answer without any feature is one of them, unless no answer of the entry has a feature or a
    grade.
    """
    scoped = meter.graded.n + meter.ungraded.n > 0
    outside = meter.outside.n + (meter.plain.n if scoped else 0)
    if meter.graded.n:
        part = meter.graded.n / (meter.graded.n + meter.ungraded.n)
        n, cost = meter.graded.n + part * meter.failed.n, meter.graded.cost + part * meter.failed.cost
        if meter.right < READY * n:
            said = f"{meter.right:,} of {n:,.0f} graded answers were right"
            return _Correct("graded", None, outside, f"{said}, which is under 30 %: nothing is divided by that")
        low, high = wilson(meter.right, n)
        return _Correct("graded", _divided(cost / n, Range(meter.right / n, low, high)), outside, "")
    answered = meter.ungraded if scoped else meter.plain
    if accuracy is None:
        return _Correct(None, None, outside, "no answer has a grade and the entry has no evaluation; evaluate it")
    if accuracy.value < READY:
        why = "under 30 % of the eval set was answered right: nothing is divided by that"
        return _Correct("evaluated", None, outside, why)
    if not answered.n:
        return _Correct("evaluated", None, outside, "no request in scope was answered at a price")
    per_answer = (answered.cost + meter.failed.cost) / answered.n
    return _Correct("evaluated", _divided(per_answer, accuracy), outside, "")


def _divided(amount: float, share: Range) -> Range:
    low = amount / share.high if share.high else None
    return Range(amount / share.value, low, amount / share.low if share.low else None)


def _unknown(meter: Meter, idle: Share, accuracy: Range | None, correct: _Correct) -> dict[str, str]:
    found = {
        "cost_per_1k": "" if meter.tokens else "no token was counted; the workload reports none",
        "cpqu": "it was never evaluated; `spine gate` does that" if accuracy is None else "",
        "cost_per_correct": correct.why,
        "idle": (idle.why or "") if meter.terms.priced_by in (BUSY, WAITING) else "",
    }
    return {figure: why for figure, why in found.items() if why}


def _per_1k(meter: Meter) -> Range:
    """The cost of 1,000 tokens, with the 95 % interval of a ratio of two sums.

    Requests of one learner are correlated, and so are requests of one minute. So the variance is the larger of that
    between learners and, where there are enough minutes, that between minutes. With too few learners there are no
    bounds.
    """
    ratio = meter.cost / meter.tokens
    by_learner, by_minute = sums_by_size(meter.units).variance, sums(meter.minutes.values()).variance
    if not math.isfinite(by_learner):
        return Range(1000 * ratio, None, None)
    half = _Z * math.sqrt(max(by_learner, by_minute if math.isfinite(by_minute) else 0.0))
    return Range(1000 * ratio, 1000 * max(0.0, ratio - half), 1000 * (ratio + half))


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
