"""Histogram bins, fixed on a reference and filled with live values.

A value is a string (a category), a number (cut at the reference's deciles) or a tuple of strings (tokens, in ten
buckets of about equal weight, ordered by their frequency in the reference). Values that the reference does not have
get a bin of their own, and so do requests and rows without a value, for example because they are out of scope. It does
not know where values come from.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from modelspine.drift.psi import design_effect
from modelspine.stats import decile_edges

Value = str | float | tuple[str, ...]
Kind = Literal["category", "number", "tokens"]

UNSEEN = "(unseen)"
MISSING = "(missing)"
"""The bin of requests and rows without a value: out of scope, or the feature could not be read from the text."""
OTHER = "(other)"
_CATEGORIES = 20
"""Bins for the most frequent categories; the others share one."""
_QUANTILES = 10
_SAMPLE = 20_000
"""Rows kept to estimate the design effect of tokens: enough for a stable estimate, few enough for memory."""
_WHOLE = 1e6
_PLACES = 308
"""Beyond so many places a power of ten is no float."""
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
    missing: int = 0
    """Rows of the reference without a value."""
    needs_text: bool = False
    """Whether the value can only be read from the text, which a trace may not keep."""


class Tally:
    """Counts of each value of each feature; with ``keep_rows`` also a sample of the rows of tokens."""

    def __init__(self, *, keep_rows: bool = False) -> None:
        self.n = 0
        self.textless = 0
        """How many of the counted requests were known without their text."""
        self.names: dict[str, None] = {}
        """Every feature that was named, also those without any value, in the order of their appearance."""
        self.counts: dict[str, dict[Kind, Counter[Any]]] = {}
        """Feature → kind → value → how often. Nearly always of one kind; a stray value must not hide the others."""
        self.rows: dict[str, list[tuple[str, ...]]] = {}
        self._present: dict[tuple[str, Kind, bool], int] = {}
        self._keep = keep_rows

    def add(self, batch: Sequence[Mapping[str, Value]], *, textless: bool = False) -> None:
        """Count the values of some requests; ``textless`` says that their texts were not kept."""
        self.n += len(batch)
        self.textless += len(batch) if textless else 0
        for name in _names(batch):
            self.names[name] = None
            column: list[Any] = [row.get(name) for row in batch]
            rows: list[tuple[str, ...]] = []
            if isinstance(next((value for value in column if value is not None), None), tuple):
                # Sentences hardly repeat, so their tokens are counted directly and not sentence by sentence.
                rows = [value for value in column if isinstance(value, tuple) and value]
                column = [value for value in column if not isinstance(value, tuple)]
                if rows:
                    self.count(
                        name, "tokens", Counter(token for row in rows for token in row), len(rows), textless=textless
                    )
            # Counting the whole column in C and then sorting its distinct values by kind is much faster than testing
            # each value: a million take a tenth of a second.
            for value, count in Counter(column).items():
                kind = _kind(value)
                if kind == "tokens":
                    rows += [value] * count
                    self.count(name, kind, Counter({token: value.count(token) * count for token in value}), count,
                               textless=textless)  # fmt: skip
                elif kind is not None:
                    kept = four_digits(value) if kind == "number" else value
                    self.count(name, kind, {kept: count}, count, textless=textless)
            if self._keep and rows:
                sample = self.rows.setdefault(name, [])
                sample += rows[: _SAMPLE - len(sample)]

    def kind(self, name: str) -> Kind | None:
        """The kind of most values of a feature; None if no request has a value."""
        kinds = sorted(self.counts.get(name, {}))
        return max(kinds, key=lambda kind: self.present(name, kind), default=None)

    def present(self, name: str, kind: Kind) -> int:
        """How many requests have a value of this kind."""
        return self._present.get((name, kind, False), 0) + self._present.get((name, kind, True), 0)

    def hidden(self, name: str, kind: Kind) -> int:
        """How many requests have no value of this kind and were known without their text."""
        return self.textless - self._present.get((name, kind, True), 0)

    def count(self, name: str, kind: Kind, found: Mapping[Any, int], requests: int, *, textless: bool = False) -> None:
        """Add counts of a feature's values of one kind, which so many requests have."""
        self.names[name] = None
        self.counts.setdefault(name, {}).setdefault(kind, Counter()).update(found)
        key = (name, kind, textless)
        self._present[key] = self._present.get(key, 0) + requests


def _names(batch: Sequence[Mapping[str, Value]]) -> list[str]:
    """The features of some requests: those of the first one in its order, then the others by name."""
    if not batch:
        return []
    first = dict.fromkeys(batch[0])
    return [*first, *sorted(set().union(*batch).difference(first))]


def _kind(value: Any) -> Kind | None:
    """The kind of a value; None where it says nothing: absent, not finite, an empty tuple, or of no known type."""
    if isinstance(value, str):
        return "category"
    if isinstance(value, tuple):
        return "tokens" if value else None
    return "number" if isinstance(value, (int, float)) and math.isfinite(value) else None


def four_digits(value: float) -> float:
    """A number by its first four digits, as ``partial`` counts it in SQL; whole numbers below a million stay.

    Both sides of a comparison must be rounded alike, or a value that often repeats is on two sides of an edge.
    """
    if value == 0 or (abs(value) < _WHOLE and value == math.floor(value)):
        return float(value)
    places = 3 - math.floor(math.log10(abs(value)))
    # The arithmetic is DuckDB's, half away from zero; Python's ``round`` differs from it in the last place.
    if abs(places) > _PLACES:
        return float(value)
    factor = 10.0 ** abs(places)
    whole = math.floor((abs(value) * factor if places >= 0 else abs(value) / factor) + 0.5)
    return math.copysign(whole / factor if places >= 0 else whole * factor, value)


def fix(tally: Tally, needs_text: Collection[str] = ()) -> dict[str, Bins]:
    """Fix the bins of every feature on a reference; ``needs_text`` names those that cannot be known without a text."""
    made: dict[str, Bins] = {}
    for name in tally.names:
        kind = tally.kind(name)
        if kind is None:  # kept without bins, so that a report can say that there is nothing to compare with
            made[name] = Bins(kind="category", labels=(), counts=(), missing=tally.n)
            continue
        bins = _FIX[kind](tally.counts[name][kind])
        effect = 1.0
        if kind == "tokens" and name in tally.rows:
            rows = [[bins.places[token] for token in row] for row in tally.rows[name]]
            effect = round(design_effect(rows, len(bins.labels)), 4)
        hidden = tally.hidden(name, kind) if name in needs_text else 0
        made[name] = msgspec.structs.replace(
            bins,
            effect=effect,
            missing=tally.n - tally.present(name, kind) - hidden,
            needs_text=name in needs_text,
        )
    return made


class Filled(msgspec.Struct, frozen=True):
    """The live counts of one feature."""

    counts: tuple[int, ...]
    """One for each label, then the unseen values, then the requests without a value."""
    hidden: int
    """Requests that are in no bin, because their text was not kept and the value can only be read from it."""

    @property
    def missing(self) -> int:
        """Requests without a value."""
        return self.counts[-1]


def fill(bins: Bins, live: Tally, name: str) -> Filled:
    """Count a feature's live values in each bin. A value of another kind than the reference's is no value."""
    unseen = len(bins.labels)
    filled = [0] * (unseen + 2)
    for value, count in live.counts.get(name, {}).get(bins.kind, {}).items():
        place = bisect_left(bins.edges, value) if bins.kind == "number" else bins.places.get(value, unseen)
        filled[place] += count
    hidden = live.hidden(name, bins.kind) if bins.needs_text else 0
    filled[-1] = live.n - live.present(name, bins.kind) - hidden
    return Filled(tuple(filled), hidden)


def _categories(counts: Counter[str]) -> Bins:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    most, rest = ordered[:_CATEGORIES], ordered[_CATEGORIES:]
    places = {value: index for index, (value, _) in enumerate(most)} | {value: _CATEGORIES for value, _ in rest}
    labels = [_label(value) for value, _ in most] + ([OTHER] if rest else [])
    sums = [count for _, count in most] + ([sum(count for _, count in rest)] if rest else [])
    return Bins(kind="category", labels=tuple(labels), counts=tuple(sums), places=places)


def decile_bins(counts: Mapping[float, int]) -> Bins:
    """Bins at the deciles of some numbers, given as value → how often; fewer than ten where values repeat.

    Where no value is an edge, more than nine tenths are the largest one: it has a bin of its own, with one below and
    one above it, so that any other value is seen.
    """
    edges = decile_edges(counts)
    if edges:
        between = [f"> {start:g} to {end:g}" for start, end in pairwise(edges)]
        labels = [f"≤ {edges[0]:g}", *between, f"> {edges[-1]:g}"]
    else:
        most = max(counts)
        edges, labels = [math.nextafter(most, -math.inf), most], [f"< {most:g}", f"{most:g}", f"> {most:g}"]
    sums = [0] * len(labels)
    for value, count in counts.items():
        sums[bisect_left(edges, value)] += count
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


_FIX: dict[Kind, Any] = {"category": _categories, "number": decile_bins, "tokens": _tokens}
