"""The vectors of a report: a sample of those of a corpus or a day, fixed as a reference or counted on one.

A vector has hundreds of numbers, so a report reads some thousand of them at most: enough to see any drift that it
would call one. Which rows are drawn depends on the rows alone, and not on how they are divided into files. Pure. It
does not know where vectors come from.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from modelspine.described.records import EMBEDDING
from modelspine.drift.bins import Bins, Tally, fix, four_digits
from modelspine.drift.embedding import AXES, EmbeddingReference, Space, fit, numbers

MOST: Final = 4_000
"""Rows or requests of which vectors are read, about."""
Vector = Sequence[float]


class Sample(NamedTuple):
    """Some requests of a day."""

    vectors: Sequence[Vector | None] = ()
    """One of each request; None where it has none."""
    hidden: int = 0
    """Further requests of the sample whose text, and so its vector, was not kept."""


class Drawn:
    """Rows drawn from a corpus of any length, each as likely as any other; the same rows give the same ones."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 -- not for secrets

    def add(self, row: Mapping[str, Any]) -> None:
        """Offer the next row."""
        self._seen += 1
        if len(self.rows) < MOST:
            self.rows.append(row)
        elif (place := self._random.randrange(self._seen)) < MOST:
            self.rows[place] = row


def fixed(vectors: Sequence[Vector | None], axes: int = AXES) -> EmbeddingReference | None:
    """Fix the space and the bins on vectors in any order, one half for each; None where too few rows have one.

    Rows without a vector, or with one of another length than most, count as missing.
    """
    import numpy as np

    lengths = Counter(len(vector) for vector in vectors if vector is not None)
    size = max(lengths, key=lambda length: (lengths[length], length), default=0)
    order = [vector if vector is not None and len(vector) == size else None for vector in vectors]
    # A corpus is often ordered, such as by label in turn; then the halves would not be alike.
    random.Random(0).shuffle(order)  # noqa: S311 -- not for secrets
    fitted, binned = [vector for vector in order[0::2] if vector is not None], order[1::2]
    if not fitted or not any(vector is not None for vector in binned):
        return None
    space = fit(np.array(fitted, dtype=float), axes)
    return EmbeddingReference(space=space, bins=bins_on(space, binned))


def bins_on(space: Space, vectors: Sequence[Vector | None]) -> dict[str, Bins]:
    """The bins of each number of some vectors, by its name in a report."""
    tally = count_vectors(space, Sample(vectors))
    return {name: msgspec.structs.replace(bins, needs_text=True) for name, bins in fix(tally).items()}


def count_vectors(space: Space, sample: Sample) -> Tally:
    """Count the numbers of a sample's vectors; a request without a vector has none of them."""
    tally = Tally()
    tally.n, tally.textless = len(sample.vectors) + sample.hidden, sample.hidden
    found = numbers(space, sample.vectors)
    for at, name in enumerate(space.names):
        counts = Counter(four_digits(value) for value in found[:, at].tolist() if math.isfinite(value))
        tally.count(f"{EMBEDDING} {name}", "number", counts, counts.total())
    return tally
