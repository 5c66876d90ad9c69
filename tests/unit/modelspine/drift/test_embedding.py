"""Vectors over a reference's centroid and directions: false alarms, power, and why the reference is divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from modelspine.described.service import Described
from modelspine.described.table import Embedding, WorkloadTable
from modelspine.drift.embedding import EmbeddingReference, fit, vectors_of
from modelspine.drift.features import Feature, judge_features
from modelspine.drift.vectors import Sample, Vector, bins_on, count_vectors, fixed
from modelspine.errors import Unavailable

Reference = Callable[[np.ndarray], EmbeddingReference]


def vectors(
    draw: np.random.Generator, n: int, size: int, *, shift: float = 0.0, scale: float = 1.0, flat: float = 0.5
) -> np.ndarray:
    """Three clusters; some directions vary more than others, all of them equally where ``flat`` is 0."""
    spread = np.arange(1, size + 1) ** -flat
    centres = np.random.default_rng(0).normal(size=(3, size)) * spread
    found = centres[draw.integers(0, 3, n)] + draw.normal(size=(n, size)) * spread * scale
    found[:, 0] += shift
    return found


def undivided(given: np.ndarray) -> EmbeddingReference:
    """The broken twin: space and bins from the same rows."""
    space = fit(given)
    return EmbeddingReference(space=space, bins=bins_on(space, given.tolist()))


def reference_of(given: np.ndarray) -> EmbeddingReference:
    made = fixed(given.tolist())
    assert made is not None
    return made


def judge(made: EmbeddingReference, live: Sequence[Vector | None]) -> dict[str, Feature]:
    """The drift of each number of some vectors, by its name without the word before it."""
    found = judge_features(made.bins, count_vectors(made.space, Sample(live)))
    return {name.removeprefix("embedding "): each for name, each in found.items()}


def alarms(
    reference: Reference, size: int, *, n: int, m: int, windows: int = 60, flat: float = 0.5, **moved: float
) -> int:
    """How many windows of ``m`` vectors alarm in any number."""
    draw = np.random.default_rng(7)
    count = 0
    for _ in range(windows):
        made = reference(vectors(draw, n, size, flat=flat))
        found = judge(made, vectors(draw, m, size, flat=flat, **moved).tolist())
        count += any(one.status in ("watch", "act") for one in found.values())
    return count


@pytest.mark.parametrize(("size", "n", "flat"), [(16, 2_000, 0.5), (256, 800, 0.5), (256, 800, 0.0)])
@pytest.mark.long
def test_no_drift_seldom_alarms(size: int, n: int, flat: float) -> None:
    assert alarms(reference_of, size, n=n, m=400, flat=flat) <= 2


def test_a_reference_that_fits_itself_alarms_without_drift() -> None:
    """Where 256 directions vary alike, 400 rows spread along their own main directions as no new row does."""
    assert alarms(undivided, 256, n=400, m=400, windows=20, flat=0.0) == 20


@pytest.mark.parametrize("moved", [{"shift": 1.0}, {"scale": 1.4}], ids=["another place", "wider"])
def test_a_move_is_seen(moved: dict[str, float]) -> None:
    assert alarms(reference_of, 64, n=2_000, m=400, windows=30, **moved) >= 29


def test_one_topic_of_three_that_disappears_is_seen() -> None:
    draw = np.random.default_rng(5)
    made = reference_of(vectors(draw, 2_000, 32))
    live = vectors(draw, 900, 32)
    first = np.random.default_rng(0).normal(size=(3, 32)) / np.sqrt(np.arange(1, 33))
    nearest = np.linalg.norm(live[:, None] - first, axis=2).argmin(1)
    found = judge(made, live[nearest != 0].tolist())
    assert found["axis 1"].status == "act" or found["axis 2"].status == "act"


def test_the_space_is_the_same_whatever_the_last_bits_are() -> None:
    given = vectors(np.random.default_rng(2), 1_000, 24)
    made = reference_of(given)
    assert reference_of(given * (1 + 1e-13)).space == made.space
    assert msgspec.json.decode(msgspec.json.encode(made), type=EmbeddingReference) == made
    assert made.space.names == ("distance", "axis 1", "axis 2", "axis 3")
    axes = np.array(made.space.axes)
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-4)


def test_what_is_no_vector_of_this_length_is_missing() -> None:
    made = reference_of(vectors(np.random.default_rng(2), 200, 5))
    tally = count_vectors(made.space, Sample([[0.0] * 5, None, [0.0] * 4, [1.0] * 5]))
    assert [tally.n - tally.present(name, "number") for name in made.bins] == [2] * 4


@pytest.mark.parametrize("given", [[], [None] * 9, [[1.0]]])
def test_what_gives_no_reference(given: list[Vector | None]) -> None:
    assert fixed(given) is None


def test_a_workload_says_where_its_vectors_are() -> None:
    table = WorkloadTable(kind="generator", input="text", embedding=Embedding(column="e"))
    rows: list[dict[str, Any]] = [{"text": "ab", "e": [1, 2]}, {"text": "abc"}, {"e": "x"}]
    assert vectors_of(Described(table), rows) == [(1.0, 2.0), None, None]
    by_class: Any = SimpleNamespace(name="plain", embed=lambda text: [float(len(text))])
    assert vectors_of(by_class, rows) == [(2.0,), (3.0,), None]
    assert vectors_of(SimpleNamespace(name="plain"), rows) == [None] * 3  # type: ignore[arg-type]
    failing: Any = SimpleNamespace(name="plain", embed=lambda text: 1 / 0)
    with pytest.raises(Unavailable, match="the workload plain failed"):
        vectors_of(failing, rows)


def test_vectors_that_do_not_vary_are_compared_all_the_same() -> None:
    made = reference_of(np.array([[1.0, 2.0]] * 1_000))
    still, moved = (judge(made, [vector] * 300) for vector in ([1.0, 2.0], [1.0, 3.0]))
    assert ({each.status for each in still.values()}, moved["distance"].status) == ({"stable"}, "act")
