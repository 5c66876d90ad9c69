"""The requests that no entry's figures count: how many, why, and what they cost.

Together with the requests of the entries they are all requests. Pure; it does not read the registry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from modelspine.cost.meter import Aside, Totals

Why = Literal["testers", "tombstoned", "not registered", "no entry"]


class Named(NamedTuple):
    """What is known of an entry that has no figures."""

    semver: str | None
    tombstoned: bool


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that are in no figure of an entry."""

    why: Why
    """``testers``: testers asked them; ``tombstoned``, ``not registered``: what the entry is that answered them;
    ``no entry``: they failed before an entry was chosen."""
    sha: str | None
    """The entry that answered; of a tester's request, also one that has figures."""
    semver: str | None
    requests: int
    """Shadow copies are among them."""
    spent: dict[str, float]
    """Currency → their prices."""


def left_out(totals: Mapping[str, Totals], shown: Collection[str], names: Mapping[str, Named]) -> tuple[LeftOut, ...]:
    """The requests that are in no entry's figures, those of testers last.

    Args:
        totals: the sums of every entry that answered, by SHA; an empty one is that of requests without an entry.
        shown: the SHAs of the entries that have figures.
        names: every entry that the registry knows, by SHA.
    """
    found: list[LeftOut] = []
    for sha, total in totals.items():
        named = names.get(sha, Named(None, tombstoned=False))
        prices = [(meter.terms.currency, meter.cost) for meter in total.charged]
        answered: Why = "tombstoned" if named.tombstoned else "not registered"
        sets: list[tuple[Why, int, list[tuple[str, float]]]] = [
            (answered, 0 if sha in shown else total.requests + total.copies, prices),
            ("no entry", total.nameless.n, _prices(total.nameless)),
            ("testers", total.testers.n, _prices(total.testers)),
        ]
        found += [
            LeftOut(why=why, sha=sha or None, semver=named.semver, requests=n, spent=_added(each))
            for why, n, each in sets
            if n
        ]
    return tuple(sorted(found, key=lambda each: each.why == "testers"))


def _prices(aside: Aside) -> list[tuple[str, float]]:
    return [(terms.currency, cost) for (_, terms), cost in aside.costs.items()]


def _added(prices: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for currency, price in prices:
        if price:
            found[currency] = found.get(currency, 0.0) + price
    return dict(sorted(found.items()))
