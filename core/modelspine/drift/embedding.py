"""Vectors compared with a reference: their distance to its centroid, and their projections on its main directions.

A vector has too many dimensions to bin, so a few numbers stand for it, each of which is then judged like any other
number. The centroid and the directions are estimated on other rows than the bins are fixed on: a reference of many
dimensions spreads along its own main directions as no new vectors do, and days without any drift would alarm. All of it
is pure. It does not know which model made the vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.described.records import as_vector
from modelspine.drift.bins import Bins
from modelspine.workload import workload_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelspine.workload import Workload

DISTANCE = "distance"
AXES = 3
_FITTED = 20_000
"""Rows that the directions are estimated on at most."""
_STEPS = 30
"""Iterations for the directions. Any fixed directions give a valid test; the main ones only show more."""
_DIGITS = 6
"""Significant digits that are kept, so that the last bits of a machine's arithmetic do not matter."""


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """What turns a vector into a few numbers."""

    centroid: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    """Unit vectors along which the reference varies most, the first one most."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers: ``distance``, ``axis 1`` and so on."""
        return (DISTANCE, *(f"axis {number}" for number in range(1, len(self.axes) + 1)))


class EmbeddingReference(msgspec.Struct, frozen=True, kw_only=True):
    """A reference's space, with the bins of each number by its name."""

    space: Space
    bins: dict[str, Bins]


def fit(given: NDArray[np.float64], axes: int = AXES) -> Space:
    """The centroid of some vectors and the directions in which they vary most, at most ``axes``."""
    import numpy as np

    sample = given[:: max(1, -(-len(given) // _FITTED))]
    centroid = sample.mean(axis=0)
    centred = sample - centroid
    # Subspace iteration: a few products with the data instead of a decomposition, which a wide vector makes slow.
    count = min(axes, sample.shape[1], max(1, len(sample) - 1))
    directions = np.random.default_rng(0).standard_normal((sample.shape[1], count))
    for _ in range(_STEPS):
        directions, _rest = np.linalg.qr(centred.T @ (centred @ directions))
    spread = np.linalg.norm(centred @ directions, axis=0)
    directions = directions[:, np.argsort(-spread, kind="stable")]
    # Of the two ends of a direction, the one is chosen in which its largest component is positive.
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(count)]
    directions = directions * np.where(largest < 0, -1.0, 1.0)
    return Space(centroid=_rounded(centroid), axes=tuple(_rounded(column) for column in directions.T))


def vectors_of(workload: Workload, rows: Iterable[Mapping[str, Any]]) -> list[tuple[float, ...] | None]:
    """The vectors of requests or corpus rows, None for a row without one that ``records.as_vector`` takes.

    A workload that a table describes reads them from a column, one with a method ``embed(text)`` makes them of the text
    in ``text``; others have none.

    Raises:
        Unavailable: the workload failed.
    """
    of_row, of_text = getattr(workload, "vector_of", None), getattr(workload, "embed", None)
    with workload_errors(workload.name):
        if of_row is not None:
            return [of_row(row) for row in rows]
        if of_text is not None:
            return [as_vector(of_text(row["text"])) if isinstance(row.get("text"), str) else None for row in rows]
    return [None for _ in rows]


def numbers(space: Space, vectors: Any) -> NDArray[np.float64]:
    """The numbers of each vector, in the order of ``Space.names``; NaN where it is absent or of another length.

    ``vectors`` is a matrix, or a sequence in which each item is a vector or None.
    """
    import numpy as np

    size = len(space.centroid)
    if getattr(vectors, "ndim", None) == 2 and vectors.shape[1] == size:
        given = np.asarray(vectors, dtype=float)
    else:
        given = np.full((len(vectors), size), np.nan)
        for at, vector in enumerate(vectors):
            if vector is not None and len(vector) == size:
                given[at] = vector
    centred = given - np.array(space.centroid)
    distance = np.linalg.norm(centred, axis=1)
    return np.column_stack([distance, centred @ np.array(space.axes).T])


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
