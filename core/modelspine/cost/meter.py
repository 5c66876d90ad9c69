"""Summing what each entry's requests cost, by the prices recorded on their traces.

Prices of different terms are never added up: each version, rate, currency and way of pricing has sums of its own. A
request without a price is counted with its reason and adds no cost. It does not know entries.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from miniobserve.cost import BUSY, COPY, QUEUE, TOKENS, WAITING, busy_seconds
from miniobserve.traces import GONE

DAY = 86_400
"""Seconds per day."""
_NS = 10**9
_Key = TypeVar("_Key", int, str)


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a trace that cost figures need."""

    started_ns: int
    entry_sha: str = ""
    stages: dict[str, float] = {}
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    currency: str = "USD"
    rate_per_hour: float | None = None
    price_version: str = ""
    priced_by: str = WAITING
    input_price: float | None = None
    output_price: float | None = None
    unpriced: str = ""
    status: int = 200
    in_scope: bool = True
    graded: bool | None = None
    features: dict[str, str] = {}
    shadow_of: str | None = None
    learner_hash: str | None = None


class Terms(NamedTuple):
    """The terms of a price. Only prices of equal terms are added up."""

    price_version: str
    priced_by: str
    currency: str
    rate_per_hour: float | None
    input_price: float | None = None
    output_price: float | None = None


class Part:
    """A number of requests and what they cost."""

    __slots__ = ("cost", "n")

    def __init__(self) -> None:
        self.n = 0
        self.cost = 0.0

    def add(self, cost: float) -> None:
        """Count one more request."""
        self.n += 1
        self.cost += cost


class Meter:
    """The running totals of one entry's requests that were priced under the same terms."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.priced = self.tokens = self.right = 0
        self.busy = self.cost = self.explained = 0.0
        self.first_ns, self.last_ns = 2**63 - 1, 0
        self.graded, self.ungraded, self.plain = Part(), Part(), Part()
        """Answers with a grade, and failures; answers in scope without one; answers without any feature."""
        self.failed, self.outside = Part(), Part()
        """Failures, and answers whose text is out of scope."""
        self.minutes: dict[int, tuple[int, float]] = {}
        """Minute since the epoch → tokens and cost of its requests."""
        self._learners: dict[str, tuple[int, float]] = {}
        # Tokens and cost alternate in one flat array, because there may be millions of requests without a learner.
        self._alone = array("d")
        self.stages: Counter[str] = Counter()
        self.days: dict[int, float] = {}
        """Day since the epoch → cost."""

    def add(self, spent: Spent, cost: float) -> None:
        """Count one request at its price."""
        tokens = spent.input_tokens + spent.output_tokens
        self.priced += 1
        self.tokens += tokens
        self.cost += cost
        self.first_ns, self.last_ns = min(self.first_ns, spent.started_ns), max(self.last_ns, spent.started_ns)
        self._sort(spent, cost)
        _put(self.minutes, spent.started_ns // (60 * _NS), tokens, cost)
        if spent.learner_hash is None:
            self._alone.extend((tokens, cost))
        else:
            _put(self._learners, spent.learner_hash, tokens, cost)
        day = spent.started_ns // (DAY * _NS)
        self.days[day] = self.days.get(day, 0.0) + cost
        self._explain(spent, cost)

    def _explain(self, spent: Spent, cost: float) -> None:
        """Divide its price over what was paid for: stages, or kinds of token."""
        stages, by = spent.stages, self.terms.priced_by
        whole = sum(stages.values())
        busy = whole - stages.get(QUEUE, 0.0)
        self.busy += busy
        paid: Mapping[str, float] = stages
        if by == TOKENS:
            read, written = (
                spent.input_tokens * (spent.input_price or 0),
                spent.output_tokens * (spent.output_price or 0),
            )
            paid, whole = {"input tokens": read, "output tokens": written}, read + written
            self.explained += whole / 1e6
        else:
            whole = whole if by == WAITING else busy
            self.explained += whole * (spent.rate_per_hour or 0.0) / 3600
        if whole > 0:
            for stage, amount in paid.items():
                if stage != QUEUE or by == WAITING:
                    self.stages[stage] += cost * amount / whole  # type: ignore[assignment]  # a Counter adds up floats

    def _sort(self, spent: Spent, cost: float) -> None:
        """Count it by what is known of its answer."""
        if spent.status >= 500:  # paid for, and not right
            self.failed.add(cost)
        elif spent.status == GONE:  # paid for, and nobody can say whether it would have helped
            self.plain.add(cost)
        elif not spent.in_scope:
            self.outside.add(cost)
        elif spent.graded is not None:
            self.graded.add(cost)
            self.right += spent.graded
        elif spent.features:
            self.ungraded.add(cost)
        else:
            self.plain.add(cost)

    def units(self) -> Iterator[tuple[float, float]]:
        """Tokens and cost of each learner's priced requests; a request without a learner is its own unit."""
        yield from self._learners.values()
        yield from zip(self._alone[::2], self._alone[1::2], strict=True)


class Totals:
    """All of one entry's requests: a meter for each of their terms, and what has no price.

    Shadow copies have meters of their own, which only an entry without other requests is judged by. The rent is
    charged to answers that learners got, so a copy has no price; it counts with what it would have cost as an answer.
    """

    def __init__(self) -> None:
        self.requests = self.copies = 0
        self.unpriced: Counter[str] = Counter()
        """Reason → number of requests without a price."""
        self._live: dict[Terms, Meter] = {}
        self._copied: dict[Terms, Meter] = {}

    def add(self, spent: Spent) -> None:
        """Count one request."""
        cost = spent.cost
        if spent.shadow_of is None:
            self.requests += 1
            meters = self._live
        else:
            self.copies += 1
            meters = self._copied
            cost = _as_an_answer(spent)
        why = spent.unpriced or "its trace gives no reason"
        if cost is not None and not 0 <= cost < math.inf:
            cost, why = None, "the price on its trace is no amount of money"  # older servers stored what a model said
        if cost is None:
            if spent.shadow_of is None:
                self.unpriced[why] += 1
            return
        terms = Terms(
            spent.price_version,
            spent.priced_by,
            spent.currency,
            spent.rate_per_hour,
            spent.input_price,
            spent.output_price,
        )
        meter = meters.get(terms)
        if meter is None:
            meter = meters[terms] = Meter(terms)
        meter.add(spent, cost)

    @property
    def only_copies(self) -> bool:
        """Whether no learner was answered."""
        return not self.requests and self.copies > 0

    @property
    def charged(self) -> list[Meter]:
        """The meters of what learners' answers cost."""
        return list(self._live.values())

    @property
    def meters(self) -> list[Meter]:
        """The meters to report, the newest terms first: of live requests, or of copies where there were no others."""
        found = self._copied if self.only_copies else self._live
        return sorted(found.values(), key=lambda meter: (meter.last_ns, meter.terms.priced_by), reverse=True)


def metered(requests: Iterable[Spent], totals: dict[str, Totals] | None = None) -> dict[str, Totals]:
    """Sum up requests by entry SHA, continuing ``totals`` in place where given."""
    found = {} if totals is None else totals
    for spent in requests:
        if spent.entry_sha:
            if spent.entry_sha not in found:
                found[spent.entry_sha] = Totals()
            found[spent.entry_sha].add(spent)
    return found


def _as_an_answer(copy: Spent) -> float | None:
    """What a shadow copy would have cost as an answer, at the rate on its trace."""
    if copy.cost is not None or copy.unpriced != COPY or copy.priced_by != BUSY or copy.rate_per_hour is None:
        return copy.cost
    return busy_seconds(copy.stages) * copy.rate_per_hour / 3600 if copy.stages else None


def _put(sums: dict[_Key, tuple[int, float]], key: _Key, tokens: int, cost: float) -> None:
    before = sums.get(key, (0, 0.0))
    sums[key] = (before[0] + tokens, before[1] + cost)
