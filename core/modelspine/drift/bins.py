"""Histogram bins, fixed on a reference and filled with live values.

A value is a string (a category), a number (cut at the reference's deciles) or a tuple of strings (tokens, in ten
buckets of about equal weight, ordered by their frequency in the reference). Values that the reference does not have
get a bin of their own. It does not know where values come from.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from modelspine.drift.psi import design_effect

Value = str | float | tuple[str, ...]
Kind = Literal["category", "number", "tokens"]

UNSEEN = "(unseen)"
OTHER = "(other)"
_CATEGORIES = 20
"""Bins for the most frequent categories; the others share one."""
_QUANTILES = 10
_SAMPLE = 20_000
"""Rows kept to estimate the design effect of tokens: enough for a stable estimate, few enough for memory."""
_LABEL = 80
"""Longest label of a bin, in characters."""


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """The bins of one feature, with the reference's counts."""

    kind: Kind
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    places: dict[str, int] = {}
    """Category or token → index of its bin; a value that is not a key is unseen."""
    edges: tuple[float, ...] = ()
    """Upper bounds of a number's bins, except for the last, which is open."""
    effect: float = 1.0
    """The design effect: how many tokens count as one independent observation."""


class Tally:
    """Counts of each value of each feature; with ``keep_rows`` also a sample of the rows of tokens."""

    def __init__(self, *, keep_rows: bool = False) -> None:
        self.n = 0
        self.kinds: dict[str, Kind] = {}
        self.counts: dict[str, Counter[Any]] = {}
        self.rows: dict[str, list[tuple[str, ...]]] = {}
        self._keep = keep_rows

    def add(self, batch: Sequence[Mapping[str, Value]]) -> None:
        """Count the values of some requests, ignoring a value whose type is not that of its feature."""
        self.n += len(batch)
        for name in _names(batch):
            column = [row.get(name) for row in batch]
            if name not in self.kinds:
                self.kinds[name] = _kind(next(value for value in column if value is not None))
            kind, counts = self.kinds[name], self.counts.setdefault(name, Counter())
            if kind == "tokens":
                rows = [value for value in column if isinstance(value, tuple)]
                counts.update(token for row in rows for token in row)
                if self._keep:
                    kept = self.rows.setdefault(name, [])
                    kept += rows[: _SAMPLE - len(kept)]
            else:
                # Counting the whole column in C and then removing what does not belong is much faster than testing
                # each value: a million take a tenth of a second.
                counts.update(column)
                for value in [value for value in counts if not _belongs(value, kind)]:
                    del counts[value]


def _names(batch: Sequence[Mapping[str, Value]]) -> list[str]:
    """The features of some requests: those of the first one in its order, then the others by name."""
    if not batch:
        return []
    first = dict.fromkeys(batch[0])
    return [*first, *sorted(set().union(*batch).difference(first))]


def _belongs(value: Any, kind: Kind) -> bool:
    if kind == "category":
        return isinstance(value, str)
    return isinstance(value, (int, float)) and math.isfinite(value)


def fix(tally: Tally) -> dict[str, Bins]:
    """Fix the bins of every feature on a reference."""
    made = {name: _FIX[kind](tally.counts[name]) for name, kind in tally.kinds.items() if tally.counts[name]}
    for name, rows in tally.rows.items():
        if name in made:
            places = made[name].places
            effect = design_effect([[places[token] for token in row] for row in rows], len(made[name].labels))
            made[name] = msgspec.structs.replace(made[name], effect=round(effect, 4))
    return made


def fill(bins: Bins, live: Tally, name: str) -> list[int]:
    """Count a feature's live values in each bin; the last count is of unseen values."""
    filled = [0] * (len(bins.labels) + 1)
    if live.kinds.get(name) != bins.kind:
        return filled
    for value, count in live.counts[name].items():
        # -1 is the last position, which is that of unseen values.
        place = bisect_left(bins.edges, value) if bins.kind == "number" else bins.places.get(value, -1)
        filled[place] += count
    return filled


def _kind(value: Value) -> Kind:
    if isinstance(value, tuple):
        return "tokens"
    return "category" if isinstance(value, str) else "number"


def _categories(counts: Counter[str]) -> Bins:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    most, rest = ordered[:_CATEGORIES], ordered[_CATEGORIES:]
    places = {value: index for index, (value, _) in enumerate(most)} | {value: _CATEGORIES for value, _ in rest}
    labels = [_label(value) for value, _ in most] + ([OTHER] if rest else [])
    sums = [count for _, count in most] + ([sum(count for _, count in rest)] if rest else [])
    return Bins(kind="category", labels=tuple(labels), counts=tuple(sums), places=places)


def _numbers(counts: Counter[float]) -> Bins:
    ordered, total = sorted(counts.items()), counts.total()
    # A value is an edge where the cumulative count passes another tenth, so equal values never straddle an edge and
    # a frequent value makes fewer bins instead of empty ones.
    edges: list[float] = []
    below = 0
    for value, count in ordered[:-1]:
        before, below = below, below + count
        if below * _QUANTILES // total > before * _QUANTILES // total:
            edges.append(value)
    sums = [0] * (len(edges) + 1)
    for value, count in ordered:
        sums[bisect_left(edges, value)] += count
    if edges:
        between = [f"> {start:g} to {end:g}" for start, end in pairwise(edges)]
        labels = [f"≤ {edges[0]:g}", *between, f"> {edges[-1]:g}"]
    else:
        labels = [f"{ordered[0][0]:g}"]
    return Bins(kind="number", labels=tuple(labels), counts=tuple(sums), edges=tuple(edges))


def _tokens(counts: Counter[str]) -> Bins:
    total = counts.total()
    members: dict[int, list[str]] = {}
    below = 0
    for token, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        # The middle of a token's share decides its bucket, so that a frequent token does not pull rare ones along.
        members.setdefault((2 * below + count) * _QUANTILES // (2 * total), []).append(token)
        below += count
    groups = list(members.values())
    return Bins(
        kind="tokens",
        labels=tuple(_label(", ".join(group[:3]) + (f" … {len(group)}" if len(group) > 3 else "")) for group in groups),
        counts=tuple(sum(counts[token] for token in group) for group in groups),
        places={token: index for index, group in enumerate(groups) for token in group},
    )


def _label(text: str) -> str:
    return text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"


_FIX: dict[Kind, Any] = {"category": _categories, "number": _numbers, "tokens": _tokens}
