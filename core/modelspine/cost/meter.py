"""What each entry's requests cost, by the prices recorded on their traces: the merged sums of ``partial``'s queries.

Prices of different terms are never added up: each version, rate, currency and way of pricing has sums of its own. A
request without a price is counted with its reason and adds no cost. It does not know entries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from miniobserve.cost import TOKENS
from miniobserve.fold import Rows
from modelspine.units_by_size import Sized

DAY = 86_400
"""Seconds per day."""


class Rent(NamedTuple):
    """What a machine costs, however many workers share it."""

    price_version: str
    currency: str
    rate_per_hour: float


class Terms(NamedTuple):
    """The terms of a price. Only prices of equal terms are added up."""

    price_version: str
    priced_by: str
    currency: str
    rate_per_hour: float | None
    workers: int | None = None
    """Among how many workers the rent was divided; None where no share of a rent was paid."""
    input_price: float | None = None
    output_price: float | None = None

    @property
    def rent(self) -> Rent:
        """The rent that the price is a share of."""
        return Rent(self.price_version, self.currency, self.rate_per_hour or 0.0)


class Part:
    """A number of requests and what they cost."""

    __slots__ = ("cost", "n")

    def __init__(self) -> None:
        self.n = 0
        self.cost = 0.0


class Aside:
    """Requests that are in no figure of an entry, and what they cost."""

    __slots__ = ("costs", "n")

    def __init__(self) -> None:
        self.n = 0
        self.costs: dict[tuple[int, Terms], float] = {}
        """Day since the epoch and terms → cost."""

    def add(self, terms: Terms, day: int, n: int, cost: float) -> None:
        """Count requests of a day and what they cost."""
        self.n += n
        self.costs[day, terms] = self.costs.get((day, terms), 0.0) + cost


class Meter:
    """The totals of one entry's requests that were priced under the same terms."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.priced = self.tokens = self.right = self.workers_unknown = 0
        self.busy = self.cost = self.explained = 0.0
        self.first_ns, self.last_ns = 2**63 - 1, 0
        self.graded, self.ungraded, self.plain = Part(), Part(), Part()
        """Answers with a grade, and failures; answers in scope without one; answers without any feature."""
        self.failed, self.outside = Part(), Part()
        """Failures, and answers whose text is out of scope."""
        self.minutes: dict[int, tuple[int, float]] = {}
        """Minute since the epoch → tokens and cost of its requests."""
        self.units: list[Sized] = []
        """Units by their number of tokens, with what they cost; a request without a learner is one with its retries."""
        self.stages: Counter[str] = Counter()
        """Stage, or kind of token → its share of ``cost``."""
        self.days: dict[int, float] = {}
        """Day since the epoch → cost."""

    def add(self, kind: str, day: int, sums: tuple[Any, ...]) -> None:
        """Add the sums of one kind of request on one day."""
        n, tokens, cost, busy, right, first, last, explained, workers_unknown, read, written = sums
        self.priced += n
        self.tokens += tokens
        self.cost += cost
        self.busy += busy
        self.explained += explained
        self.workers_unknown += workers_unknown
        self.first_ns, self.last_ns = min(self.first_ns, first), max(self.last_ns, last)
        part: Part = getattr(self, kind)
        part.n += n
        part.cost += cost
        self.right += right if kind == "graded" else 0
        self.days[day] = self.days.get(day, 0.0) + cost
        if self.terms.priced_by == TOKENS:
            self.stages["input tokens"] += read
            self.stages["output tokens"] += written


class Totals:
    """All of one entry's requests: a meter for each of their terms, and what has no price.

    Shadow copies have meters of their own, which only an entry without other requests is judged by. The rent is
    charged to answers that learners got, so a copy has no price; it counts with what it would have cost as an answer.
    Requests of testers are counted separately.
    """

    def __init__(self) -> None:
        self.requests = self.copies = 0
        self.testers, self.nameless = Aside(), Aside()
        """Testers' requests; and, where the entry has no SHA, requests of others that reached no entry."""
        self.unpriced: Counter[str] = Counter()
        """Reason → number of requests without a price."""
        self._live: dict[Terms, Meter] = {}
        self._copied: dict[Terms, Meter] = {}

    def count(self, n: int, *, copy: bool) -> None:
        """Count requests, priced or not."""
        self.copies += n if copy else 0
        self.requests += 0 if copy else n

    def meter(self, terms: Terms, *, copy: bool) -> Meter:
        """The meter of these terms, of live requests or of copies."""
        return (self._copied if copy else self._live).setdefault(terms, Meter(terms))

    @property
    def everything(self) -> int:
        """The number of requests of every kind."""
        return self.requests + self.copies + self.testers.n + self.nameless.n

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


def merged(found: Mapping[str, Rows]) -> dict[str, Totals]:
    """Merge the rows of ``partial.QUERIES`` over any number of sets of requests, by entry SHA."""
    totals: dict[str, Totals] = {}
    width = len(Terms._fields)
    for sha, copy, why, n in found["unpriced"]:
        entry = totals.setdefault(sha, Totals())
        entry.count(n, copy=copy)
        if not copy:
            entry.unpriced[why] += n

    for sha, of_tester, *rest in found["apart"]:
        entry, (day, n, cost) = totals.setdefault(sha, Totals()), rest[width:]
        (entry.testers if of_tester else entry.nameless).add(Terms(*rest[:width]), day, n, cost)
    meters: dict[int, Meter] = {}
    for key, sha, copy, *rest in found["sums"]:
        entry, (kind, day, *sums) = totals.setdefault(sha, Totals()), rest[width:]
        entry.count(sums[0], copy=copy)
        meters[key] = entry.meter(Terms(*rest[:width]), copy=copy)
        meters[key].add(kind, day, tuple(sums))
    for key, stage, cost in found["stages"]:
        meters[key].stages[stage] += cost
    for key, minute, tokens, cost in found["minutes"]:
        before = meters[key].minutes.get(minute, (0, 0.0))
        meters[key].minutes[minute] = (before[0] + tokens, before[1] + cost)
    for key, tokens, units, cost, squares in found["units"]:
        meters[key].units.append(Sized(tokens, units, cost, squares))
    return totals
