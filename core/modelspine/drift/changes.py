"""The change of a feature that a person would name first, such as *simple future 18 → 57 %*.

A feature whose values have two parts, such as tense and person, is also looked at by each part alone: six persons that
moved a little each are one tense that moved far. Pure. It does not know what the values mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec

from modelspine.drift.bins import MISSING, UNSEEN
from modelspine.drift.features import Bin, Feature
from modelspine.text import visible

_PAIR = re.compile(r"\s*×\s*|\s*/\s*|\s*\|\s*|\s+")
"""What separates the two parts in the name of a bin."""
_NAME = 40
"""Most characters of a name."""


class Change(msgspec.Struct, frozen=True):
    """How often a value came before, and how often it comes now; shares from 0 to 1."""

    name: str
    """Safe to display."""
    before: float
    after: float

    @property
    def text(self) -> str:
        """The change as *name before → after %*; a value that was never there before has only its share now."""
        if self.before < 0.0005:
            return f"{self.name} {100 * self.after:.1f} %"
        places = 0 if min(self.before, self.after) >= 0.0995 else 1
        return f"{self.name} {100 * self.before:.{places}f} → {100 * self.after:.{places}f} %"


def largest_change(name: str, feature: Feature) -> Change | None:
    """The change with the largest part of a feature's PSI; None where there is nothing to compare."""
    if not feature.bins:
        return None
    table = two_way(feature.bins)
    single = [each for each in feature.bins if not table or is_special(each)]
    # The share that the reference has of unseen values is only what the smoothing of its counts puts there.
    found = [
        Change(_called(name, each.bin, feature.unit), 0.0 if each.bin == UNSEEN else each.p, each.q)
        for each in single[:1]
    ]
    # What comes more often says more than the values that share the fall, so of sums only rises are named.
    summed = [each for part in (0, 1) for each in _summed(table, part) if each.after > each.before]
    return max([*found, *summed], key=_term)


def two_way(found: Sequence[Bin]) -> dict[tuple[str, str], Bin]:
    """Bins by the two parts of their names; empty if the names do not form a table."""
    parts = {tuple(_PAIR.split(each.bin.strip())): each for each in found if not is_special(each)}
    if not parts or any(len(pair) != 2 for pair in parts):
        return {}
    rows, columns = ({pair[n] for pair in parts} for n in (0, 1))
    # A table that is mostly empty says less than the list of bins: a third of its cells must be filled.
    dense = len(rows) > 1 and len(columns) > 1 and len(rows) * len(columns) <= 3 * len(parts)
    return {(pair[0], pair[1]): each for pair, each in parts.items()} if dense else {}


def is_special(each: Bin) -> bool:
    """Whether a bin is no single value: unseen values, the rest, or several rare values together."""
    return each.bin.startswith("(") or " + " in each.bin


def readable(name: str) -> str:
    """A name as words, safe to display: ``simple_future`` reads *simple future*."""
    return visible(name.replace("_", " "), _NAME)


def _summed(table: dict[tuple[str, str], Bin], part: int) -> list[Change]:
    """The change of every value of one part, over all values of the other."""
    sums: dict[str, tuple[float, float]] = {}
    for pair, each in table.items():
        before, after = sums.get(pair[part], (0.0, 0.0))
        sums[pair[part]] = (before + each.p, after + each.q)
    return [Change(readable(name), before, after) for name, (before, after) in sums.items()]


def _term(change: Change) -> float:
    """Its part of the PSI, never negative; half a ten-thousandth stands in for a share of zero."""
    before, after = max(change.before, 5e-5), max(change.after, 5e-5)
    return (after - before) * math.log(after / before)


def _called(feature: str, value: str, unit: str) -> str:
    """A bin's value, with its feature where the value alone would not say what it is."""
    what = "words" if unit == "token" else readable(feature)
    if value == UNSEEN:
        return f"unseen {what}"
    if value == MISSING:
        return f"without {what}"
    plain = unit != "token" and value[:1].isalpha() and " + " not in value
    return readable(value) if plain else f"{what} “{readable(value)}”"
