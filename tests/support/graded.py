"""Graded answers one by one, and the sums of them that reports are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modelspine.drift.accuracy import Buckets
from modelspine.drift.grades import Failing, GradedAnswers, Marked
from modelspine.units_by_size import Sized


class GradedKey(NamedTuple):
    """What graded answers are counted by."""

    entry: str
    unit: str
    buckets: Buckets
    right: bool


def graded_answers(
    answers: Mapping[GradedKey, int], entry: str, *, ungraded: int = 0, failed: Mapping[str, int] = {}
) -> GradedAnswers:
    """The sums of an entry's answers; ``failed`` are the failed requests of each unit."""
    own = {key: n for key, n in answers.items() if key.entry == entry}
    cells: Counter[tuple[Buckets, bool]] = Counter()
    for key, n in own.items():
        cells[key.buckets, key.right] += n

    def by_unit(rates: Mapping[Buckets, float], failing: Failing) -> Sequence[Sized]:
        units: dict[str, tuple[float, float]] = {}
        for unit, n in failed.items():
            units[unit] = (n * failing.weight, -n * failing.weight * failing.rate)
        for key, n in own.items():
            if key.buckets in rates:
                size, total = units.get(key.unit, (0, 0.0))
                units[key.unit] = (size + n, total + n * (key.right - rates[key.buckets]))
        return [Sized(size, 1, total, total * total) for size, total in units.values()]

    graded, right = Counter[str](), Counter[str]()
    for key, n in own.items():
        graded[key.unit] += n
        right[key.unit] += n * key.right
    units = [
        Marked(graded[unit], failed.get(unit, 0), 1, right[unit], right[unit] ** 2)
        for unit in dict.fromkeys([*graded, *failed])
    ]
    return GradedAnswers(cells, units, by_unit, ungraded + sum(own.values()), sum(failed.values()))
