"""Cost per quality of each entry, under each of its price terms, and each entry's standing among the others.

Entries are compared only at prices of the same rent and number of workers: a dearer machine makes no model worse. It
does not know where traces come from or how a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from miniobserve.cost import BUSY, WAITING
from miniobserve.uptime import Up
from modelspine.cost.basis import READY, Basis, Range, accuracy_of, basis_of, comparable, without_price
from modelspine.cost.idle import Bucket, IdleDay, Share, idle_days, idle_share
from modelspine.cost.meter import Terms, Totals
from modelspine.gate.eval_report import Count
from modelspine.words import words

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


class BreakEven(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one wrong answer at which an entry and its parent cost the same."""

    parent_sha: str
    currency: str
    """Of the prices that the two share, which need not be the entry's newest ones."""
    cost_difference: float
    """Per request, this entry − its parent."""
    accuracy_difference: float
    price: float | None
    """Per wrong answer; None where the price makes no difference."""
    pays: Literal["always", "above", "below", "never"]


class EntryCost(Basis, frozen=True, kw_only=True):
    """The figures of one entry: those of its newest price terms, and those of earlier ones beside them."""

    sha: str
    semver: str | None
    variant: str
    requests: int
    shadow: int
    """How many of the requests were shadow copies. The figures exclude them unless there were no others."""
    testers: int = 0
    """Requests of testers. They are not among ``requests`` and in no figure, but what they cost counts as spent."""
    price_versions: tuple[str, ...]
    """Every version that requests were priced under, the newest first."""
    total: Count | None
    accuracy: Range | None
    readiness: Literal["ready", "not-deployment-ready"] | None
    held: bool = False
    """True where it may not answer learners; it has no standing and is excluded from comparison."""
    standing: Standing | None = None
    not_compared: tuple[str, ...] = ()
    """SHAs of the entries that no common price allows to compare it with."""
    break_even: BreakEven | None = None
    unpriced: dict[str, int] = msgspec.field(default_factory=dict)
    """Reason → number of requests without a price."""
    earlier: tuple[Basis, ...] = ()
    """The figures under earlier terms, the newest first."""

    @property
    def bases(self) -> tuple[Basis, ...]:
        """The figures under every set of terms, the newest first."""
        return (self, *self.earlier)


def costs(
    entries: Sequence[Priced], totals: Mapping[str, Totals], uptime: Iterable[Up] = ()
) -> tuple[tuple[EntryCost, ...], tuple[IdleDay, ...]]:
    """The figures of every entry, in the given order, each with its standing; and the idle time of each day."""
    learners, testers = _spent(totals.values()), _of_testers(totals.values())
    spent = {bucket: learners.get(bucket, 0.0) + testers.get(bucket, 0.0) for bucket in {**learners, **testers}}
    idle = idle_days(uptime, spent, testers)
    figures = [_entry(entry, totals.get(entry.sha, Totals()), idle) for entry in entries]
    by_sha = {cost.sha: cost for cost in figures}
    # A held entry is no alternative to choose, so it must not make another one look dominated.
    available = [cost for cost in figures if not cost.held]
    parents = {entry.sha: entry.parent_sha for entry in entries}
    return tuple(
        msgspec.structs.replace(
            cost,
            standing=None if cost.held else standing(cost, available),
            not_compared=() if cost.held else _not_compared(cost, available),
            break_even=break_even(cost, by_sha.get(parents[cost.sha] or "")),
        )
        for cost in figures
    ), tuple(idle.values())


def cost_per_1k(rate_per_hour: float, tokens_per_second: float) -> float:
    """The price of 1,000 tokens on a machine with this hourly rate and speed: rate / (tokens per second · 3.6)."""
    return rate_per_hour / (tokens_per_second * 3.6)


def common(cost: EntryCost, other: EntryCost) -> tuple[Basis, Basis] | None:
    """The newest figures of two entries that may be compared; None where no two have the same rent."""
    pairs = [(one, two) for one in cost.bases for two in other.bases if comparable(one, two)]
    return max(pairs, key=lambda pair: sorted(basis.until or "" for basis in pair), default=None)


def standing(cost: EntryCost, others: Sequence[EntryCost]) -> Standing | None:
    """The standing of an entry on the Pareto front of cost and accuracy; None where one of the two is unknown.

    Another entry dominates it where it is no worse in either figure and the intervals of at least one do not overlap.
    Where both intervals overlap, the two are ``tied``. Otherwise the entry is on the ``frontier``.
    """
    if cost.accuracy is None or not _is_ranked(cost):
        return None
    found: Standing = "frontier"
    for other in others:
        pair = common(cost, other)
        if other.sha == cost.sha or pair is None or other.accuracy is None:
            continue
        own, its = pair[0].cost_per_1k, pair[1].cost_per_1k
        if own is None or its is None:
            continue
        cheaper = own.value - its.value
        better = other.accuracy.value - cost.accuracy.value
        if cheaper < 0 or better < 0 or cheaper == better == 0:
            continue
        if _apart(its, own) or _apart(cost.accuracy, other.accuracy):
            return "dominated"
        found = "tied"
    return found


def _is_ranked(cost: EntryCost) -> bool:
    """Whether one of its prices is without the time in the queue, which would rank load and not models."""
    return any(basis.cost_per_1k is not None and basis.priced_by != WAITING for basis in cost.bases)


def _not_compared(cost: EntryCost, others: Sequence[EntryCost]) -> tuple[str, ...]:
    if cost.cost is None:
        return ()
    return tuple(o.sha for o in others if o.sha != cost.sha and o.cost is not None and common(cost, o) is None)


def break_even(cost: EntryCost, parent: EntryCost | None) -> BreakEven | None:
    """The price of a wrong answer at which an entry costs as much as its parent; None where a figure is unknown."""
    if parent is None or cost.accuracy is None or parent.accuracy is None:
        return None
    pair = common(cost, parent)
    if pair is None or pair[0].currency is None:
        return None
    if pair[0].cost_per_request is None or pair[1].cost_per_request is None:
        return None
    dearer = pair[0].cost_per_request - pair[1].cost_per_request
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
        currency=pair[0].currency,
        cost_difference=dearer,
        accuracy_difference=better,
        price=dearer / better if pays in ("above", "below") else None,
        pays=pays,
    )


def _entry(entry: Priced, totals: Totals, idle: Mapping[Bucket, IdleDay]) -> EntryCost:
    copies = Share(None, f"no {words().unit} got an answer of it, so it bears no rent") if totals.only_copies else None
    bases = [basis_of(m, copies or idle_share(m.terms, m.days, idle), entry.total) for m in totals.meters]
    newest = bases[0] if bases else without_price(sorted(totals.unpriced))
    accuracy = accuracy_of(entry.total)
    ready = None if accuracy is None else accuracy.value >= READY
    unknown = dict(newest.unknown) | (
        {} if accuracy else {"accuracy": "it was never evaluated; `spine gate` does that"}
    )
    return EntryCost(
        **(msgspec.structs.asdict(newest) | {"unknown": unknown}),
        sha=entry.sha,
        semver=entry.semver,
        variant=entry.variant,
        requests=totals.requests + totals.copies,
        shadow=totals.copies,
        testers=totals.testers.n,
        price_versions=tuple(dict.fromkeys(meter.terms.price_version for meter in totals.meters)),
        total=entry.total,
        accuracy=accuracy,
        readiness=None if ready is None else ("ready" if ready else "not-deployment-ready"),
        held=entry.held,
        unpriced=dict(totals.unpriced),
        earlier=tuple(bases[1:]),
    )


def _spent(totals: Iterable[Totals]) -> dict[Bucket, float]:
    """What requests cost by day and rent, of every entry and of none, but for testers' requests."""
    every = list(totals)
    meters = [meter for each in every for meter in each.charged]
    prices = [((day, meter.terms), cost) for meter in meters for day, cost in meter.days.items()]
    return _by_rent([*prices, *(price for each in every for price in each.nameless.costs.items())])


def _of_testers(totals: Iterable[Totals]) -> dict[Bucket, float]:
    return _by_rent(price for each in totals for price in each.testers.costs.items())


def _by_rent(prices: Iterable[tuple[tuple[int, Terms], float]]) -> dict[Bucket, float]:
    """The sums of prices that are a share of a rent."""
    found: dict[Bucket, float] = {}
    for (day, terms), cost in prices:
        if terms.priced_by == BUSY:
            bucket = Bucket(day, terms.rent)
            found[bucket] = found.get(bucket, 0.0) + cost
    return found


def _apart(lower: Range, upper: Range) -> bool:
    """Whether one interval ends before the other begins."""
    return lower.high is not None and upper.low is not None and lower.high < upper.low
