"""PSI, KL and how likely they are when nothing drifted: counts in, numbers out.

A population stability index has no scale of its own: 20 bins and 100 requests give more than 0.1 in nearly
every window without any drift. So a figure is read beside its null. It does not know features or days.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import msgspec

DRAWS = 2_000
_SMOOTH = 0.5
_EXPECTED = 5.0
_LARGE = 0.10


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """How far live counts lie from reference counts. ``groups`` says which bins were compared as one."""

    psi: float
    kl: float
    p: float
    groups: tuple[tuple[int, ...], ...]
    shares: tuple[tuple[float, float], ...]
    """(reference, live) share of each group, smoothed."""
    terms: tuple[float, ...]
    """Each group's part of ``psi``, negative where its live share is the smaller one; ``psi`` is the sum of sizes."""


def needed(bins: int) -> int:
    """Fewest requests a feature of so many bins is judged on: under them, chance alone passes 0.1 in 5 of 100."""
    from scipy.special import chdtri

    return math.ceil(float(chdtri(bins - 1, 0.05)) / _LARGE) if bins > 1 else 1


def compare(reference: Sequence[int], live: Sequence[int], *, effect: float = 1.0, draws: int = DRAWS) -> Shift:
    """Compare two lists of counts over the same bins, both with at least one request.

    Bins in which fewer than five are expected are taken together. A bin the reference never saw stands alone,
    and only where something live is in it: smoothing alone is no drift.

    Args:
        reference: counts the bins were fixed on.
        live: counts to judge.
        effect: how many counts are worth one independent one (the design effect; 1 where each is a request).
        draws: multinomial draws for the p-value where expected counts are small.
    """
    groups = _groups(reference, live)
    before = [sum(reference[i] for i in group) for group in groups]
    now = [sum(live[i] for i in group) for group in groups]
    p, q = _smoothed(before), _smoothed(now)
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


def design_effect(rows: Sequence[Sequence[int]], bins: int) -> float:
    """How much more the counts of whole rows vary than as many independent ones; at least 1.

    Rao and Scott's mean correction: words of one sentence are not drawn one by one.

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


def _groups(reference: Sequence[int], live: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    total, window = sum(reference), sum(live)
    alone: list[tuple[int, ...]] = []
    rare: list[int] = []
    for index, (before, now) in enumerate(zip(reference, live, strict=True)):
        if before == 0:
            alone += [(index,)] if now else []
        elif min(before, window * before / total) < _EXPECTED:
            rare.append(index)
        else:
            alone.append((index,))
    return (*alone, tuple(rare)) if rare else tuple(alone)


def _smoothed(counts: Sequence[int]) -> list[float]:
    """Shares with Jeffreys' half added to each count, so that none is 0."""
    total = sum(counts) + _SMOOTH * len(counts)
    return [(count + _SMOOTH) / total for count in counts]


def _p_value(before: Sequence[int], now: Sequence[int], psi: float, effect: float, draws: int) -> float:
    """How often a PSI this large comes without drift: χ², or drawn where a bin expects fewer than five."""
    if len(before) < 2:
        return 1.0
    total, window = sum(before) / effect, sum(now) / effect
    share = _smoothed(before)
    if min(share) * window >= _EXPECTED:
        from scipy.special import chdtrc

        return float(chdtrc(len(before) - 1, psi / (1 / total + 1 / window)))
    import numpy as np

    seed = hashlib.sha256(repr((tuple(before), tuple(now))).encode()).digest()
    draw = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    sizes = max(1, round(total)), max(1, round(window))
    a, b = (draw.multinomial(size, share, draws) for size in sizes)
    p = (a + _SMOOTH) / (a + _SMOOTH).sum(1, keepdims=True)
    q = (b + _SMOOTH) / (b + _SMOOTH).sum(1, keepdims=True)
    terms = (q - p) * np.log(q / p)
    terms[:, np.array(before) == 0] *= b[:, np.array(before) == 0] > 0
    return float((1 + (terms.sum(1) >= psi).sum()) / (1 + draws))
