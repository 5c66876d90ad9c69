"""The vectors of a report: which rows are drawn, how halves are made alike, what alarms and what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from modelspine.drift.bins import Tally, fix
from modelspine.drift.report import DriftReport, Live, Reference, Window, judge_day
from modelspine.drift.vectors import MOST, Drawn, Sample, Vector, count_vectors, fixed


def numbers(draw: np.random.Generator, n: int, amount: float = 0.0) -> Tally:
    """Two numbers of each request."""
    made = Tally()
    made.add([{"amount": a, "age": b} for a, b in zip(draw.normal(amount, 1, n), draw.lognormal(size=n), strict=True)])
    return made


def clusters(draw: np.random.Generator, n: int, moved: float = 0.0) -> list[Vector | None]:
    """Vectors of two clusters in turn, one of which has moved."""
    found = draw.normal(size=(n, 12))
    found[0::2, 0] += 6
    found[1::2, 1] += moved
    return found.tolist()


def day(trained: tuple[Tally, Sequence[Vector | None]], live: Tally, vectors: Sequence[Vector | None]) -> DriftReport:
    reference = Reference(n=trained[0].n, features=fix(trained[0]), embedding=fixed(trained[1]))
    return judge_day(
        day="2026-11-22", entry_sha="e", reference=reference, live=Live(live, Counter(), {}, lambda: Sample(vectors)),
        window=Window(start="", to="", n=live.n), evaluated=None,
    )  # fmt: skip


@pytest.mark.long
def test_days_without_drift_seldom_alarm_and_one_number_or_cluster_that_moved_does() -> None:
    """At most 2 of 60 days alarm without drift; a corpus whose rows alternate between two clusters is no drift."""
    draw = np.random.default_rng(5)
    trained = numbers(draw, 2_000), clusters(draw, 2_000)
    usual = [day(trained, numbers(draw, 400), clusters(draw, 400)) for _ in range(60)]
    assert sum(each.status != "stable" for each in usual) <= 2
    for _ in range(10):
        found = day(trained, numbers(draw, 400, amount=0.6), clusters(draw, 400))
        assert found.status in ("watch", "act")
        assert [name for name, each in found.features.items() if each.status != "stable"] == ["amount"]
        found = day(trained, numbers(draw, 400), clusters(draw, 400, moved=4.0))
        assert found.status in ("watch", "act")
        assert {name.split()[0] for name, each in found.features.items() if each.status != "stable"} == {"embedding"}


def test_requests_without_a_vector_are_a_bin_and_those_whose_text_was_not_kept_are_left_out() -> None:
    draw = np.random.default_rng(6)
    trained = numbers(draw, 2_000), clusters(draw, 2_000)
    lost = day(trained, numbers(draw, 400), [*clusters(draw, 300), *[None] * 60, *[[1.0]] * 40])
    each = lost.features["embedding distance"]
    assert (each.status, each.absent, each.n, each.bins[0].bin) == ("act", 100, 400, "(missing)")
    reference = fixed(trained[1])
    assert reference is not None
    tally = count_vectors(reference.space, Sample(clusters(draw, 300), hidden=100))
    assert (tally.n, tally.hidden("embedding axis 1", "number")) == (400, 100)


def test_rows_without_a_vector_are_missing_in_the_reference_too() -> None:
    draw = np.random.default_rng(7)
    made = fixed([*clusters(draw, 900), *[None] * 60, *[[0.5, 0.5]] * 40])
    assert made is not None
    bins = made.bins["embedding distance"]
    assert len(made.space.centroid) == 12
    assert sum(bins.counts) + bins.missing == 500
    assert 30 < bins.missing < 70
    assert fixed([None] * 10) is None
    assert fixed([]) is None


def test_a_day_of_which_no_request_has_a_vector_says_so_and_one_alone_is_not_compared() -> None:
    draw = np.random.default_rng(8)
    live = numbers(draw, 400)
    reference = Reference(n=2_000, features=fix(numbers(draw, 2_000)), embedding=fixed(clusters(draw, 2_000)))
    window = Window(start="", to="", n=400)
    broken = judge_day(
        day="2026-11-22", entry_sha="e", reference=reference, live=Live(live, Counter()), window=window, evaluated=None
    )
    assert broken.features["embedding axis 1"].reason == "no data: none of 400 requests has this feature"
    assert broken.status == "act"
    hidden = Tally()
    hidden.add([{"amount": 0.1}] * 400, textless=True)
    unknown = judge_day(
        day="2026-11-22", entry_sha="e", reference=reference, live=Live(hidden, Counter()), window=window,
        evaluated=None,
    )  # fmt: skip
    each = unknown.features["embedding axis 1"]
    assert (each.status, each.hidden) == ("insufficient", 400)
    assert each.reason == "unknown: no data; the texts of its requests were not kept"
    alone = day((numbers(draw, 2_000), []), live, clusters(draw, 400))
    assert alone.features["embedding"].reason.startswith("not compared: none of 2,000 reference rows has this feature")
    assert alone.status == "stable"


def test_a_part_of_a_large_day_is_called_a_sample() -> None:
    draw = np.random.default_rng(9)
    trained = numbers(draw, 2_000), clusters(draw, 2_000)
    found = day(trained, numbers(draw, 900), clusters(draw, 400)).features
    assert found["embedding axis 2"].reason == "a sample: 400 of 900 requests"
    assert (found["embedding axis 2"].status, found["amount"].reason) == ("stable", "")


@pytest.mark.parametrize("n", [10, 3 * MOST])
def test_rows_are_drawn_evenly_and_always_the_same(n: int) -> None:
    one, other = Drawn(), Drawn()
    for number in range(n):
        one.add({"row": number})
        other.add({"row": number})
    assert one.rows == other.rows
    places = [row["row"] for row in one.rows]
    assert len(set(places)) == len(places) == min(n, MOST)
    assert abs(np.mean(places) - (n - 1) / 2) < 0.05 * n
