"""The population stability index (PSI), the Kullback–Leibler divergence and their p-value without drift.

PSI depends on sample size: 20 bins and 100 requests give more than 0.1 in nearly every window without any drift.
So each figure comes with its distribution under no drift. It does not know features or days.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

DRAWS = 2_000
_SMOOTH = 0.5
"""Jeffreys' prior: half a count is added to each bin, so that no share is 0 and no logarithm infinite."""
_EXPECTED = 5.0
"""Smallest expected count for which the χ² approximation is commonly considered accurate."""
_LARGE = 0.10
"""The PSI from which drift is commonly reported."""
_SURE = 0.95
"""The share of days without drift whose PSI is below the one that is called usual."""


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """The difference between reference and live counts."""

    psi: float
    kl: float
    p: float
    groups: tuple[tuple[int, ...], ...]
    """Indices of the bins compared as one."""
    shares: tuple[tuple[float, float], ...]
    """(reference, live) share of each group, smoothed."""
    terms: tuple[float, ...]
    """Each group's contribution to ``psi``, negative where its live share is smaller; ``psi`` sums their absolutes."""


def needed(bins: int) -> int:
    """The minimum number of requests to judge a feature with this many bins.

    Without drift, PSI · n follows χ² with bins − 1 degrees of freedom. With fewer requests than this, PSI exceeds 0.1
    by chance in more than 5 % of windows.
    """
    from scipy.special import chdtri  # imported late: scipy takes long to import and few commands need it

    return math.ceil(float(chdtri(bins - 1, 0.05)) / _LARGE) if bins > 1 else 1


def compare(
    reference: Sequence[int],
    live: Sequence[int],
    *,
    effect: float = 1.0,
    draws: int = DRAWS,
    apart: Sequence[int] = (),
) -> Shift:
    """Compare two lists of counts over the same bins, both with at least one observation.

    Bins with an expected count below five are merged. A bin that is empty in the reference is kept apart, and left out
    where it has no live count either, as smoothing alone would make it look like drift.

    Args:
        reference: the counts the bins were fixed on.
        live: the counts to judge.
        effect: the design effect: how many counts are worth one independent observation.
        draws: multinomial draws for the p-value where expected counts are small.
        apart: indices of bins that are never merged, because a reader has to see them by name.
    """
    groups = _groups(reference, live, apart)
    before = [sum(reference[i] for i in group) for group in groups]
    now = [sum(live[i] for i in group) for group in groups]
    p, q = _smoothed(before), _smoothed(now)
    # PSI = Σ (q − p) · ln(q / p), which is the symmetric form of KL = Σ q · ln(q / p); no term is negative.
    sizes = [(b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)]
    psi = sum(sizes)
    return Shift(
        psi=psi,
        kl=sum(b * math.log(b / a) for a, b in zip(p, q, strict=True)),
        p=_p_value(before, now, psi, effect, draws),
        groups=groups,
        shares=tuple(zip(p, q, strict=True)),
        terms=tuple(math.copysign(size, b - a) for size, a, b in zip(sizes, p, q, strict=True)),
    )


def null_psi(reference: Sequence[float], n: float) -> float:
    """The PSI that 95 % of windows of ``n`` requests stay below without drift.

    ``reference`` are the counts of the bins that are compared, of independent observations; where a bin expects few
    requests, it is simulated.
    """
    total, bins = sum(reference), sum(1 for count in reference if count)
    if bins < 2 or not n or not total:
        return 0.0
    shares = _smoothed([count for count in reference if count])
    if min(shares) * n >= _EXPECTED:
        from scipy.special import chdtri

        return float(chdtri(bins - 1, 1 - _SURE)) * (1 / total + 1 / n)
    import numpy as np

    draw = np.random.default_rng(bins)
    sizes = max(1, round(total)), max(1, round(n))
    found = _psi_of(*(draw.multinomial(size, shares, DRAWS) for size in sizes))
    return float(np.quantile(found.sum(1), _SURE))


def design_effect(rows: Sequence[Sequence[int]], bins: int) -> float:
    """How much more the counts of whole rows vary than those of as many independent values; at least 1.

    This is the mean design effect of Rao and Scott's first-order correction, for clustered values such as the words of
    one sentence.

    Args:
        rows: the bins of each row's values.
        bins: how many bins there are.
    """
    import numpy as np

    sizes = np.array([len(row) for row in rows], dtype=float)
    if len(rows) < 2 or bins < 2 or not sizes.sum():
        return 1.0
    at = np.repeat(np.arange(len(rows)), sizes.astype(int)) * bins + np.array([b for row in rows for b in row], int)
    counts = np.bincount(at, minlength=len(rows) * bins).reshape(len(rows), bins)
    share = counts.sum(0) / sizes.sum()
    spread = (counts - sizes[:, None] * share).var(axis=0, ddof=1)
    kept = share > 0
    free = max(1, int(kept.sum()) - 1)
    return max(1.0, float((spread[kept] / share[kept]).sum() / (sizes.mean() * free)))


def _groups(reference: Sequence[int], live: Sequence[int], apart: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    total, window = sum(reference), sum(live)
    alone: list[tuple[int, ...]] = []
    rare: list[int] = []
    for index, (before, now) in enumerate(zip(reference, live, strict=True)):
        if before == 0:
            alone += [(index,)] if now else []
        elif index not in apart and min(before, window * before / total) < _EXPECTED:
            rare.append(index)
        else:
            alone.append((index,))
    return (*alone, tuple(rare)) if rare else tuple(alone)


def _smoothed(counts: Sequence[float]) -> list[float]:
    """Shares of the counts after smoothing; none is 0."""
    total = sum(counts) + _SMOOTH * len(counts)
    return [(count + _SMOOTH) / total for count in counts]


def _p_value(before: Sequence[int], now: Sequence[int], psi: float, effect: float, draws: int) -> float:
    """The probability of a PSI this large without drift, by χ² or, where expected counts are small, by simulation."""
    if len(before) < 2:
        return 1.0
    total, window = sum(before) / effect, sum(now) / effect
    share = _smoothed(before)
    if min(share) * window >= _EXPECTED:
        from scipy.special import chdtrc

        return float(chdtrc(len(before) - 1, psi / (1 / total + 1 / window)))
    import numpy as np

    # Seeded by the counts, so that the same day gives the same report bytes.
    seed = hashlib.sha256(repr((tuple(before), tuple(now))).encode()).digest()
    draw = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    sizes = max(1, round(total)), max(1, round(window))
    a, b = (draw.multinomial(size, share, draws) for size in sizes)
    terms = _psi_of(a, b)
    # As in ``compare``: a bin that is empty in the reference counts only where the live draw has something in it.
    terms[:, np.array(before) == 0] *= b[:, np.array(before) == 0] > 0
    # The observed value counts as one of the draws, so that p is never 0 (Davison and Hinkley).
    return float((1 + (terms.sum(1) >= psi).sum()) / (1 + draws))


def _psi_of(a: Any, b: Any) -> Any:
    """Each bin's part of the PSI of many drawn pairs of counts, one pair a row."""
    import numpy as np

    p = (a + _SMOOTH) / (a + _SMOOTH).sum(1, keepdims=True)
    q = (b + _SMOOTH) / (b + _SMOOTH).sum(1, keepdims=True)
    return (q - p) * np.log(q / p)
