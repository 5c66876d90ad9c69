"""Summing what each entry's requests cost, by the prices recorded on their traces.

Nothing is priced here: a request without a price is counted and adds no cost. It does not know entries.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from miniobserve.cost import by_stage

DAY = 86_400
"""Seconds per day."""
_NS = 10**9
_Key = TypeVar("_Key", int, str)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
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
    status: int = 200
    shadow_of: str | None = None
    learner_hash: str | None = None


class Meter:
    """The running totals of one entry's requests.

    Shadow copies are not queued with live requests and are batched separately, so their prices are not comparable.
    They are summed in a meter of their own.
    """

    def __init__(self) -> None:
        self.requests = self.priced = self.tokens = 0
        self.copies: Meter | None = None
        """The totals of the shadow copies, which no other total here includes."""
        self.busy = self.cost = self.explained = 0.0
        self.minutes: dict[int, tuple[int, float]] = {}
        """Minute since the epoch → tokens and cost of its priced requests."""
        self._learners: dict[str, tuple[int, float]] = {}
        # Tokens and cost alternate in one flat array, because there may be millions of requests without a learner.
        self._alone = array("d")
        self.currencies: set[str] = set()
        self.rates: set[float | None] = set()
        self.versions: set[str] = set()
        self.stages: Counter[str] = Counter()
        self.days: Counter[int] = Counter()

    def add(self, spent: Spent) -> None:
        """Count one request."""
        if spent.shadow_of is not None:
            self.copies = self.copies or Meter()
            self.copies.add(msgspec.structs.replace(spent, shadow_of=None))
            return
        seconds = sum(spent.stages.values())
        self.requests += 1
        if spent.cost is None:
            return
        tokens = spent.input_tokens + spent.output_tokens
        self.priced += 1
        self.tokens += tokens
        self.busy += seconds
        self.cost += spent.cost
        self.explained += seconds * (spent.rate_per_hour or 0.0) / 3600
        _put(self.minutes, spent.started_ns // (60 * _NS), tokens, spent.cost)
        if spent.learner_hash is None:
            self._alone.extend((tokens, spent.cost))
        else:
            _put(self._learners, spent.learner_hash, tokens, spent.cost)
        self.currencies.add(spent.currency)
        self.rates.add(spent.rate_per_hour)
        self.versions.add(spent.price_version)
        for stage, part in by_stage(spent.cost, spent.stages).items():
            self.stages[stage] += part  # type: ignore[assignment]  # a Counter adds up floats as well
        self.days[spent.started_ns // (DAY * _NS)] += seconds  # type: ignore[assignment]

    @property
    def price_basis(self) -> Meter:
        """The totals to report: of the live requests, or of the shadow copies where there were no live ones."""
        return self.copies if self.copies is not None and not self.requests else self

    def units(self) -> Iterator[tuple[float, float]]:
        """Tokens and cost of each learner's priced requests; a request without a learner is its own unit."""
        yield from self._learners.values()
        yield from zip(self._alone[::2], self._alone[1::2], strict=True)


def metered(requests: Iterable[Spent], meters: dict[str, Meter] | None = None) -> dict[str, Meter]:
    """Sum up requests by entry SHA, continuing ``meters`` in place where given."""
    found = {} if meters is None else meters
    for spent in requests:
        if spent.entry_sha:
            found.setdefault(spent.entry_sha, Meter()).add(spent)
    return found


def _put(sums: dict[_Key, tuple[int, float]], key: _Key, tokens: int, cost: float) -> None:
    before = sums.get(key, (0, 0.0))
    sums[key] = (before[0] + tokens, before[1] + cost)
