"""The drift of each feature: live counts compared with a reference, with a status that respects sample size.

A feature is ``insufficient`` (with the number of missing requests), ``stable``, ``watch`` or ``act``. The last two need
a large PSI and a small p after correction for all features. Figures are rounded, so that the same counts give the same
bytes on every machine. It does not know where counts come from, nor days.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import msgspec

from modelspine.drift.accuracy import DIGITS
from modelspine.drift.bins import MISSING, UNSEEN, Bins, Filled, Tally, fill
from modelspine.drift.psi import DRAWS, Shift, compare, needed, null_psi
from modelspine.drift.status import Status, status_of
from modelspine.stats import benjamini_hochberg


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One bin: reference share ``p``, live share ``q``, and its contribution to PSI, negative where it became rarer."""

    bin: str
    p: float
    q: float
    contribution: float


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """The drift of one feature; figures are None where no live value was counted."""

    psi: float | None
    kl: float | None
    p: float | None
    """The probability of a PSI this large without drift."""
    p_adjusted: float | None
    """``p`` after Benjamini–Hochberg correction over all features with enough requests."""
    status: Status
    n: int
    """Requests with this feature; for tokens, the equivalent number of independent ones."""
    needed: int
    """The minimum ``n`` for a status other than ``insufficient``."""
    missing: int
    """``needed`` − ``n``, at least 0."""
    bins: tuple[Bin, ...]
    """Largest contribution first."""
    unit: Literal["request", "token"] = "request"
    """What ``n`` counts."""
    absent: int = 0
    """Requests without a value: out of scope, or the workload named none. They are the bin ``(missing)``."""
    hidden: int = 0
    """Requests that were left out, because the value can only be read from a text that was not kept."""
    reference_n: int | None = None
    """Reference rows or requests behind the comparison, in the unit of ``n``; None in reports of older versions."""
    reason: str = ""
    """Why there is no figure or no status, or what is remarkable about the figure; else empty."""
    usual: float | None = None
    """The PSI that 95 % of windows of this size stay below without drift; None also in reports of older versions."""


def judge_features(
    reference: Mapping[str, Bins],
    live: Tally,
    *,
    sampled: tuple[Mapping[str, Bins], Tally] | None = None,
    named: Collection[str] = (),
    reference_n: int | None = None,
    elsewhere: str = "",
) -> dict[str, Feature]:
    """Every feature of the reference against the live counts; one that only the live side has is *not compared*.

    Args:
        reference: the bins by feature.
        live: the counts of a window.
        sampled: further bins, and the counts of a sample of the window.
        named: further features of the live side, which were not counted.
        reference_n: rows of the reference.
        elsewhere: what could be compared with instead of this reference.
    """
    sides = {name: (bins, live) for name, bins in reference.items()}
    if sampled is not None:
        sides |= {name: (bins, sampled[1]) for name, bins in sampled[0].items()}
    # The smallest simulated p is 1 / (1 + draws). With many features it must be smaller to pass the correction.
    draws = max(DRAWS, 200 * len(sides))
    known = {name: side for name, side in sides.items() if side[0].labels}
    found = {name: _compared(bins, fill(bins, counts, name), draws) for name, (bins, counts) in known.items()}
    p_values = {name: one.shift.p for name, one in found.items() if one.shift is not None and not one.reason}
    adjusted = benjamini_hochberg(p_values)
    features = {name: _feature(known[name][0], one, adjusted.get(name)) for name, one in found.items()}
    for name in [*(name for name in reference if name not in known), *sorted({*live.names, *named} - set(sides))]:
        rows = "row" if reference_n is None else f"of {reference_n:,} reference rows"
        reason = f"not compared: none {rows} has this feature{elsewhere}"
        features[name] = _unknown(live.n, 0, reason, unit="token" if live.kind(name) == "tokens" else "request")
    return features


class _Compared(NamedTuple):
    """A feature's counts and shift before the correction over all features."""

    filled: Filled
    shift: Shift | None
    n: int
    reference_n: int
    needed: int
    reason: str
    """Why it cannot be judged; empty where it can."""
    usual: float | None = None


def _compared(bins: Bins, filled: Filled, draws: int) -> _Compared:
    # A bin counts towards the needed size if either side has something in it.
    before = [*bins.counts, 0, bins.missing]
    need = needed(sum(1 for pair in zip(before, filled.counts, strict=True) if any(pair)))
    n, reference_n = (int(sum(counts) / bins.effect) for counts in (filled.counts, before))
    if not sum(filled.counts):
        why = "the texts of its requests were not kept" if filled.hidden else "no request was counted"
        return _Compared(filled, None, 0, reference_n, need, f"unknown: no data; {why}")
    shift = compare(before, filled.counts, effect=bins.effect, draws=draws, apart=(len(before) - 1,))
    reason = ""
    if n < need:
        reason = f"not enough requests: {n:,} of {need:,}"
    elif reference_n < need:
        reason = f"the reference is too small: {reference_n:,} of {need:,}"
    usual = null_psi([sum(before[i] for i in group) / bins.effect for group in shift.groups], n)
    return _Compared(filled, shift, n, reference_n, need, reason, usual)


def _feature(bins: Bins, one: _Compared, adjusted: float | None) -> Feature:
    shift = one.shift
    unit: Literal["request", "token"] = "token" if bins.kind == "tokens" else "request"
    if shift is None:
        return msgspec.structs.replace(
            _unknown(0, one.needed, one.reason, unit=unit),
            absent=one.filled.missing, hidden=one.filled.hidden, reference_n=one.reference_n,
        )  # fmt: skip
    names = (*bins.labels, UNSEEN, MISSING)
    made = [
        Bin(bin=" + ".join(names[i] for i in group[:4]) + (f" + {len(group) - 4} more" if len(group) > 4 else ""),
            p=_round(share[0]), q=_round(share[1]), contribution=_round(term))
        for group, share, term in zip(shift.groups, shift.shares, shift.terms, strict=True)
    ]  # fmt: skip
    psi = _round(shift.psi)
    nowhere = sum(one.filled.counts) == one.filled.missing
    return Feature(
        psi=psi,
        kl=_round(shift.kl),
        p=_round(shift.p),
        p_adjusted=None if adjusted is None else _round(adjusted),
        status="insufficient" if adjusted is None else status_of(psi, adjusted),
        n=one.n,
        needed=one.needed,
        missing=max(0, one.needed - one.n),
        bins=tuple(sorted(made, key=lambda made_bin: (-abs(made_bin.contribution), made_bin.bin))),
        unit=unit,
        absent=one.filled.missing,
        hidden=one.filled.hidden,
        reference_n=one.reference_n,
        reason=one.reason or (f"no data: none of {one.filled.missing:,} requests has this feature" if nowhere else ""),
        usual=None if one.usual is None else _round(one.usual),
    )


def _unknown(n: int, needed: int, reason: str, *, unit: Literal["request", "token"]) -> Feature:
    """A feature without figures."""
    return Feature(
        psi=None, kl=None, p=None, p_adjusted=None, status="insufficient", n=n, needed=needed,
        missing=max(0, needed - n), bins=(), unit=unit, reason=reason,
    )  # fmt: skip


def _round(value: float) -> float:
    return round(value, DIGITS)
