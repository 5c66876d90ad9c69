"""Units that sent a large share of an arm's requests. Pure; it knows units only by the hash that their traces carry."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from miniobserve.evidence import Unit
from modelspine.stats import FEW_UNITS

HEAVY_SHARE, HEAVY_REQUESTS = 0.2, 50
"""A unit is named as heavy if it sent at least this share, and this number, of its arm's requests."""


class Heavy(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that sent a large share of an arm's requests: often an id that many people share, or a program."""

    arm: str
    u: str
    requests: int
    of: int
    """Requests of the whole arm."""


def heavy_of(own: Sequence[Unit]) -> tuple[Heavy, ...]:
    """The heavy ones among the units of one arm, the heaviest first."""
    requests = sum(unit.n for unit in own)
    # Of a few units each has a large share; then only one that sent more than all others together is remarkable: an id
    # that everybody shares leaves its arm with hardly any unit, which is why there is no verdict.
    share = HEAVY_SHARE if len(own) >= FEW_UNITS else 0.5 + 1e-9
    least = max(HEAVY_REQUESTS, share * requests)
    found = [Heavy(arm=unit.arm, u=unit.u, requests=unit.n, of=requests) for unit in own if unit.n >= least]
    return tuple(sorted(found, key=lambda each: -each.requests))
