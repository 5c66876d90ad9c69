"""What idle time cost: the rent of the recorded uptime of servers minus the prices of what they answered.

It is apportioned by day, rate and price version and never averaged across them. Where uptime was not recorded, idle
time is unknown and never 0. Pure; it does not know entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from miniobserve.cost import BUSY, TOKENS
from miniobserve.uptime import Up, passed_once
from modelspine.cost.meter import DAY, Rent, Terms

_DAY_NS = DAY * 10**9
_SLACK = 1e-9
"""Relative rounding error that prices may have."""

NO_UPTIME = "no uptime of a server was recorded"
TOO_SHORT = "the recorded uptime is shorter than the time that was paid for"


class Bucket(NamedTuple):
    """What idle time is apportioned by."""

    day: int
    """Days since the epoch."""
    rent: Rent


class IdleDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day at one rate and price version: rent = prices + idle."""

    day: str
    price_version: str
    currency: str
    rate_per_hour: float
    uptime_seconds: float
    simulated_seconds: float
    """How much of the uptime is that of replayed traffic, whose times are simulated."""
    rent: float
    spent: float
    """The prices of all requests of the day, those of testers too."""
    testers: float = 0.0
    """How much of ``spent`` is the price of testers' requests."""
    idle: float | None
    why: str | None
    """Why ``idle`` is unknown."""


def idle_days(
    uptime: Iterable[Up], spent: Mapping[Bucket, float], testers: Mapping[Bucket, float] = MappingProxyType({})
) -> dict[Bucket, IdleDay]:
    """Rent, prices and idle time of every day and rate that has uptime or prices, oldest first.

    ``testers`` is how much of ``spent`` is the price of testers' requests.
    """
    seconds: dict[Bucket, list[float]] = {bucket: [0.0, 0.0] for bucket in spent}
    for up in passed_once(uptime):
        if up.rate_per_hour is None:
            continue  # a server without a rate has no rent
        rent = Rent(up.price_version, up.currency, up.rate_per_hour)
        for day in range(up.began_ns // _DAY_NS, up.seen_ns // _DAY_NS + 1):
            part = min(up.seen_ns, (day + 1) * _DAY_NS) - max(up.began_ns, day * _DAY_NS)
            if part > 0:
                sums = seconds.setdefault(Bucket(day, rent), [0.0, 0.0])
                sums[0] += part / 1e9
                sums[1] += part / 1e9 if up.simulated else 0.0
    return {
        bucket: _idle_day(
            bucket, seconds[bucket][0], seconds[bucket][1], spent.get(bucket, 0.0), testers.get(bucket, 0.0)
        )
        for bucket in sorted(seconds)
    }


def _idle_day(bucket: Bucket, up: float, simulated: float, spent: float, testers: float) -> IdleDay:
    version, currency, rate = bucket.rent
    rent = rate * up / 3600
    why = NO_UPTIME if not up else TOO_SHORT if spent > rent * (1 + _SLACK) else None
    return IdleDay(
        day=datetime.fromtimestamp(bucket.day * DAY, UTC).date().isoformat(),
        price_version=version,
        currency=currency,
        rate_per_hour=rate,
        uptime_seconds=up,
        simulated_seconds=simulated,
        rent=rent,
        spent=spent,
        testers=testers,
        idle=None if why else max(0.0, rent - spent),
        why=why,
    )


class Share(NamedTuple):
    """An entry's share of the idle time under its terms; without an amount there is a reason."""

    amount: float | None
    why: str | None = None


def idle_share(terms: Terms, days: Mapping[int, float], idle: Mapping[Bucket, IdleDay]) -> Share:
    """The idle cost that falls to an entry: of each of its days, as much as its part of that day's prices.

    ``days`` are the entry's own prices by day. Testers' requests bear no idle time: the machine is not rented for them.
    """
    if terms.priced_by == TOKENS:
        return Share(0.0)  # it is paid for by token and rents nothing
    if terms.priced_by != BUSY:
        return Share(None, "these prices are not a share of the rent")
    total = 0.0
    for day, cost in sorted(days.items()):
        found = idle.get(Bucket(day, terms.rent))
        if found is None or found.idle is None:
            missing = found.why if found is not None and found.why else NO_UPTIME
            date = datetime.fromtimestamp(day * DAY, UTC).date().isoformat()
            return Share(None, f"{missing} on {date}; servers of this version record theirs")
        borne_by = found.spent - found.testers
        total += found.idle * cost / borne_by if borne_by > 0 else 0.0
    return Share(total)
