"""Cost per quality of each entry, from the prices that traces were recorded with.

Prices are summed and never computed again. An amount has its currency and an accuracy its n; an unknown figure is None
and never 0. It does not know where traces come from or how a figure is drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from modelspine.cost.meter import DAY, Meter
from modelspine.gate.eval_report import Count
from modelspine.stats import sums, wilson

READY = 0.30
"""The accuracy below which no cost per quality is given: dividing by it would make a bad model look like a choice."""
_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution, for 95 % intervals."""

Standing = Literal["frontier", "tied", "dominated"]


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an entry that cost figures need."""

    sha: str
    semver: str | None
    variant: str
    parent_sha: str | None
    total: Count | None
    """Correct answers out of all items of its evaluation."""
    held: bool = False
    """True where it may not answer learners."""


class Range(msgspec.Struct, frozen=True):
    """A figure with its 95 % bounds; an unknown bound is None."""

    value: float
    low: float | None
    high: float | None


class BreakEven(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one wrong answer at which an entry and its parent cost the same."""

    parent_sha: str
    cost_difference: float
    """Currency per request, this entry − its parent."""
    accuracy_difference: float
    price: float | None
    """Currency per wrong answer; None where the price makes no difference."""
    pays: Literal["always", "above", "below", "never"]


class EntryCost(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one entry. Amounts are in ``currency``; ``cost_per_1k`` is for 1,000 input and output tokens."""

    sha: str
    semver: str | None
    variant: str
    requests: int
    shadow: int
    """How many of the requests were shadow copies. The figures below exclude them unless there were no others."""
    priced: int
    tokens: int
    """Of the priced requests."""
    tokens_per_second: float | None
    currency: str | None
    """None where no request has a price or prices are in several currencies, which cannot be added."""
    rate_per_hour: float | None
    """None where the prices have no rate or several."""
    price_versions: tuple[str, ...]
    cost: float | None
    cost_per_request: float | None
    cost_per_1k: Range | None
    stages: dict[str, float]
    """Stage → its share of ``cost``, in currency."""
    total: Count | None
    accuracy: Range | None
    cpqu: float | None
    readiness: Literal["ready", "not-deployment-ready"] | None
    cost_per_correct: Range | None
    amortised_per_1k: float | None
    """Including idle time: each day with requests counts in full, the present one up to now."""
    amortised_per_correct: float | None
    held: bool = False
    """True where it may not answer learners; it has no standing and is excluded from comparison."""
    standing: Standing | None = None
    break_even: BreakEven | None = None
    unexplained: float | None
    """Relative difference between the recorded prices and stage seconds × recorded rate; within 0.001 by design."""


def costs(entries: Sequence[Priced], meters: Mapping[str, Meter], now: datetime) -> tuple[EntryCost, ...]:
    """The figures of every entry, in the given order, each with its standing among the others."""
    amortised = _amortised({sha: meter.price_basis for sha, meter in meters.items()}, now)
    figures = [_entry(entry, meters.get(entry.sha, Meter()), amortised.get(entry.sha)) for entry in entries]
    by_sha = {cost.sha: cost for cost in figures}
    # A held entry is no alternative to choose, so it must not make another one look dominated.
    available = [cost for cost in figures if not cost.held]
    parents = {entry.sha: entry.parent_sha for entry in entries}
    return tuple(
        msgspec.structs.replace(
            cost,
            standing=None if cost.held else standing(cost, available),
            break_even=break_even(cost, by_sha.get(parents[cost.sha] or "")),
        )
        for cost in figures
    )


def cost_per_1k(rate_per_hour: float, tokens_per_second: float) -> float:
    """The price of 1,000 tokens on a machine with this hourly rate and speed: rate / (tokens per second · 3.6)."""
    return rate_per_hour / (tokens_per_second * 3.6)


def standing(cost: EntryCost, others: Sequence[EntryCost]) -> Standing | None:
    """The standing of an entry on the Pareto front of cost and accuracy; None where one of the two is unknown.

    Another entry dominates it where it is no worse in either figure and the intervals of at least one do not overlap.
    Where both intervals overlap, the two are ``tied``. Otherwise the entry is on the ``frontier``.
    """
    if cost.cost_per_1k is None or cost.accuracy is None:
        return None
    found: Standing = "frontier"
    for other in others:
        if other.sha == cost.sha or other.currency != cost.currency:
            continue
        if other.cost_per_1k is None or other.accuracy is None:
            continue
        cheaper = cost.cost_per_1k.value - other.cost_per_1k.value
        better = other.accuracy.value - cost.accuracy.value
        if cheaper < 0 or better < 0 or cheaper == better == 0:
            continue
        if _apart(other.cost_per_1k, cost.cost_per_1k) or _apart(cost.accuracy, other.accuracy):
            return "dominated"
        found = "tied"
    return found


def break_even(cost: EntryCost, parent: EntryCost | None) -> BreakEven | None:
    """The price of a wrong answer at which an entry costs as much as its parent; None where a figure is unknown."""
    if parent is None or cost.accuracy is None or parent.accuracy is None or cost.currency != parent.currency:
        return None
    if cost.cost_per_request is None or parent.cost_per_request is None:
        return None
    dearer = cost.cost_per_request - parent.cost_per_request
    better = cost.accuracy.value - parent.accuracy.value
    pays: Literal["always", "above", "below", "never"]
    if dearer <= 0 <= better:
        pays = "always"
    elif better <= 0 <= dearer:
        pays = "never"
    else:
        pays = "above" if better > 0 else "below"
    return BreakEven(
        parent_sha=parent.sha,
        cost_difference=dearer,
        accuracy_difference=better,
        price=dearer / better if pays in ("above", "below") else None,
        pays=pays,
    )


def _entry(entry: Priced, whole: Meter, idle: float | None) -> EntryCost:
    meter, copies = whole.price_basis, whole.copies.requests if whole.copies is not None else 0
    known = meter.priced > 0 and len(meter.currencies) == 1
    rates = meter.rates - {None}
    per_request = meter.cost / meter.priced if known else None
    per_1k = _per_1k(meter) if known and meter.tokens else None
    accuracy = _accuracy(entry.total)
    ready = None if accuracy is None else accuracy.value >= READY
    spread = idle / meter.cost if idle is not None and known and meter.cost else None
    return EntryCost(
        sha=entry.sha,
        semver=entry.semver,
        variant=entry.variant,
        requests=whole.requests + copies,
        shadow=copies,
        priced=meter.priced,
        tokens=meter.tokens,
        tokens_per_second=meter.tokens / meter.busy if meter.busy else None,
        currency=next(iter(meter.currencies)) if known else None,
        rate_per_hour=next(iter(rates)) if len(rates) == 1 else None,
        price_versions=tuple(sorted(meter.versions)),
        cost=meter.cost if known else None,
        cost_per_request=per_request,
        cost_per_1k=per_1k,
        stages=dict(meter.stages) if known else {},
        held=entry.held,
        total=entry.total,
        accuracy=accuracy,
        cpqu=per_1k.value / accuracy.value if per_1k is not None and accuracy is not None and ready else None,
        readiness=None if ready is None else ("ready" if ready else "not-deployment-ready"),
        cost_per_correct=_per_correct(per_request, accuracy) if ready else None,
        amortised_per_1k=per_1k.value * spread if per_1k is not None and spread is not None else None,
        amortised_per_correct=(
            per_request * spread / accuracy.value
            if per_request is not None and spread is not None and accuracy is not None and ready
            else None
        ),
        unexplained=abs(meter.explained / meter.cost - 1) if known and meter.cost else None,
    )


def _per_1k(meter: Meter) -> Range:
    """The cost of 1,000 tokens, with the 95 % interval of a ratio of two sums.

    Requests of one learner are correlated, and so are requests of one minute. So the variance is the larger of that
    between learners and, where there are enough minutes, that between minutes. With too few learners there are no
    bounds.
    """
    ratio = meter.cost / meter.tokens
    by_learner, by_minute = sums(meter.units()).variance, sums(meter.minutes.values()).variance
    if not math.isfinite(by_learner):
        return Range(1000 * ratio, None, None)
    half = _Z * math.sqrt(max(by_learner, by_minute if math.isfinite(by_minute) else 0.0))
    return Range(1000 * ratio, 1000 * max(0.0, ratio - half), 1000 * (ratio + half))


def _accuracy(total: Count | None) -> Range | None:
    if total is None or not total.n:
        return None
    return Range(total.k / total.n, *wilson(total.k, total.n))


def _per_correct(per_request: float | None, accuracy: Range | None) -> Range | None:
    if per_request is None or accuracy is None or not accuracy.value:
        return None
    low = per_request / accuracy.high if accuracy.high else None
    return Range(per_request / accuracy.value, low, per_request / accuracy.low if accuracy.low else None)


def _amortised(meters: Mapping[str, Meter], now: datetime) -> dict[str, float]:
    """The machine's cost on days with requests, each day divided among the entries by their busy seconds."""
    seconds = now.astimezone(UTC).timestamp()
    busy: Counter[int] = Counter()
    for meter in meters.values():
        busy.update(meter.days)
    found: dict[str, float] = {}
    for sha, meter in meters.items():
        rates = meter.rates
        if len(rates) != 1 or None in rates:
            continue  # with several rates, or none, that of the idle hours is unknown
        rate = next(iter(rates)) or 0.0
        hours = sum(
            min(DAY, max(0.0, seconds - day * DAY)) / 3600 * spent / busy[day]
            for day, spent in meter.days.items()
            if busy[day]
        )
        found[sha] = rate * hours
    return found


def _apart(lower: Range, upper: Range) -> bool:
    """Whether one interval ends before the other begins."""
    return lower.high is not None and upper.low is not None and lower.high < upper.low
