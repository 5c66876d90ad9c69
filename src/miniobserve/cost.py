"""The price of a request: its share of a worker's busy seconds at the machine's rent, or its tokens at a price table.

This is the only place where seconds or tokens become money. The price is stored on the trace with its currency, rate
and version, and every report reads it from there. Money is conserved: the seconds of a batch are divided among its
texts, so that over any interval the prices add up to no more than the rent. Waiting in the queue is latency and costs
nothing. This module does not measure time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

CURRENCY = "USD"
QUEUE = "queue"
"""The stage of a trace that nobody pays for."""
OTHER = "other"
"""The busy seconds that the workload attributes to no stage, such as those of an attempt that failed."""

BUSY = "busy/1"
"""``priced_by`` of a share of busy seconds at an hourly rent, without the time in the queue."""
TOKENS = "tokens/1"
"""``priced_by`` of tokens at a price table."""
WAITING = ""
"""``priced_by`` of traces that are older than that field: their price includes the time in the queue."""

_CLOCKS = 0.001
"""Seconds by which two clocks may differ over one batch."""

NO_RATE = "no rate_per_hour is set"
NO_SECONDS = "its busy seconds are unknown"
NO_TOKENS = "a failed answer does not tell its tokens"
UNLISTED = "the price table has no price for its tokens"
COPY = "a shadow copy: the rent is charged to the answers that learners get"


class TokenPrice(NamedTuple):
    """The price of a million tokens read and of a million written; None where it is unknown."""

    input: float | None
    output: float | None

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return the price of these tokens; None if one that is needed is unknown."""
        amounts = [(input_tokens, self.input), (output_tokens, self.output)]
        if any(price is None and tokens for tokens, price in amounts):
            return None
        return sum(tokens * (price or 0.0) for tokens, price in amounts) / 1e6


class Usage(NamedTuple):
    """What one request used: who answered it, the seconds of each stage, and its tokens."""

    sha: str
    semver: str
    stages: Mapping[str, float]
    tokens: tuple[int, int] | None
    """Read and written; None if the answer failed."""
    copy: bool = False
    """Whether it was a shadow copy, which no learner sees."""


class Charge(NamedTuple):
    """The price of one request as its trace keeps it; without an amount there is a reason."""

    amount: float | None
    priced_by: str
    rate_per_hour: float | None = None
    token_price: TokenPrice | None = None
    unpriced: str = ""
    workers: int | None = None
    """Among how many workers the rent is divided; None where there is no rent."""


class CostMeter(NamedTuple):
    """The prices in force on one server; without a rate or a price table, requests have no price."""

    rate_per_hour: float | None
    """The rent of the whole machine."""
    price_version: str
    currency: str = CURRENCY
    workers: int = 1
    """How many workers of the machine can be busy at once; each has an equal part of the rent."""
    tokens: Mapping[str, TokenPrice] = {}
    """Prices of models billed by token, by SHA prefix, semver or ``*`` for every model."""

    def price(self, stages: Mapping[str, float]) -> float | None:
        """Return the price of these stage seconds: busy seconds × rate / (3600 · workers).

        The price is None, never 0, if the rate or the seconds are unknown.
        """
        if self.rate_per_hour is None or not stages:
            return None
        return share_of_rent(busy_seconds(stages), self.rate_per_hour, self.workers)

    def charge(self, used: Usage) -> Charge:
        """Return what a request costs.

        A shadow copy runs beside the worker on what that leaves idle. The rent of that time is charged once, to the
        answers that learners get, so a copy has no price of its own.
        """
        listed = self.token_price(used.sha, used.semver)
        if listed is not None:
            amount = None if used.tokens is None else listed.price(*used.tokens)
            missing = NO_TOKENS if used.tokens is None else UNLISTED
            return Charge(amount, TOKENS, None, listed, missing if amount is None else "")
        amount = None if used.copy else self.price(used.stages)
        missing = NO_RATE if self.rate_per_hour is None else COPY if used.copy else NO_SECONDS
        workers = None if self.rate_per_hour is None else self.workers
        return Charge(amount, BUSY, self.rate_per_hour, None, missing if amount is None else "", workers)

    def token_price(self, sha: str, semver: str) -> TokenPrice | None:
        """Return the price table's row for an entry: by its semver, else by its SHA, else the one for all."""
        if semver in self.tokens:
            return self.tokens[semver]
        prefixes = [key for key in self.tokens if sha.startswith(key)]
        return self.tokens[max(prefixes, key=len)] if prefixes else self.tokens.get("*")


def share_of_rent(busy: float, rate_per_hour: float, workers: int) -> float:
    """Return the price of the seconds that a worker was busy, where several have equal parts of a machine's rent."""
    return busy * rate_per_hour / (3600.0 * workers)


def busy_seconds(stages: Mapping[str, float]) -> float:
    """Return the seconds that stages kept a worker busy: all but those in the queue."""
    return sum(seconds for stage, seconds in stages.items() if stage != QUEUE)


def divided(reported: Sequence[Mapping[str, float]], wall: float) -> list[dict[str, float]]:
    """Divide the wall seconds of a batch among its texts, each with the stage seconds the workload reported for it.

    Seconds that no text reported are divided equally, as the stage ``other``. Where more were reported than passed,
    all are scaled down; a text for which nothing was reported, or by itself more than the whole batch took, has an
    equal part. So the shares always add up to the wall seconds.
    """
    own = [{stage: seconds for stage, seconds in each.items() if stage != QUEUE} for each in reported]
    own = [each if busy_seconds(each) <= wall * 1.05 + _CLOCKS else {} for each in own]
    equal = wall / max(1, len(own))
    said = sum(busy_seconds(each) for each in own)
    if said <= wall:
        rest = (wall - said) / max(1, len(own))
        return [{**each, OTHER: each.get(OTHER, 0.0) + rest} for each in own]
    left = (wall - equal * sum(not busy_seconds(each) for each in own)) / said
    return [
        {stage: seconds * left for stage, seconds in each.items()} if busy_seconds(each) else {OTHER: equal}
        for each in own
    ]
