"""The report of a day, from counts: statuses, what is missing, and what accuracy to expect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bundles import eval_report
from modelspine.drift.bins import Tally, fix
from modelspine.drift.format import chance, summary
from modelspine.drift.report import (
    DriftReport,
    Live,
    Reference,
    Window,
    expected_accuracy,
    judge_day,
    judge_features,
    status_of,
)
from modelspine.gate.eval_report import EvalReport, read_report

BUCKETS = {
    "tense/past": {"k": 60, "n": 100}, "tense/future": {"k": 100, "n": 100}, "verb/go": {"k": 80, "n": 100},
    "verb/be": {"k": 90, "n": 100}, "empty/x": {"k": 0, "n": 0}, "whole": {"k": 1, "n": 1},
}  # fmt: skip


def evaluated() -> EvalReport:
    return read_report(msgspec.json.encode(eval_report(90, 100, buckets=BUCKETS)))


def tally(**values: int) -> Tally:
    made = Tally()
    made.add([{"tense": value} for value, count in values.items() for _ in range(count)])
    return made


def report(past: int, future: int, **more: int) -> DriftReport:
    reference = Reference(
        corpora=("a" * 32, "b" * 32), n=2_000, features=fix(tally(past=1_000, future=1_000)),
        buckets={"tense/past": 1_000, "tense/future": 1_000},
    )  # fmt: skip
    live = Live(tally(past=past, future=future, **more), Counter({"tense/past": past, "tense/future": future}))
    window = Window(start="2026-11-22", to="2026-11-23", n=past + future + sum(more.values()))
    return judge_day(
        day="2026-11-22", entry_sha="e" * 64, reference=reference, live=live, window=window, evaluated=evaluated()
    )


def test_the_same_mix_is_stable() -> None:
    found = report(500, 500)
    assert found.status == "stable"
    assert found.features["tense"].psi == pytest.approx(0, abs=1e-6)
    assert found.reference.corpus_dvc_hash == "a" * 32
    assert msgspec.to_builtins(found)["window"]["from"] == "2026-11-22"


def test_another_mix_says_which_bin_and_what_accuracy_to_expect() -> None:
    found = report(900, 100)
    feature = found.features["tense"]
    assert (found.status, feature.status, found.worst) == ("act", "act", ("tense", feature))
    assert feature.bins[0].bin == "future"
    assert feature.bins[0].contribution < 0 < feature.bins[1].contribution
    assert sum(abs(b.contribution) for b in feature.bins) == pytest.approx(feature.psi, abs=1e-5)
    assert found.expected_accuracy == pytest.approx(0.9 * 0.6 + 0.1)
    assert found.expected["tense"].reference == pytest.approx(0.8)
    assert found.coverage == 1.0


def test_a_p_that_is_too_small_for_a_float_is_not_told_as_none_at_all() -> None:
    far = report(100_000, 0)
    assert far.features["tense"].p == 0.0
    assert "(p < 0.001)" in summary(far)
    assert [chance(p) for p in (None, 0.0, 0.0009, 0.0016, 1.0)] == ["–", "< 0.001", "< 0.001", "0.002", "1.000"]


def test_too_few_say_how_many_are_missing() -> None:
    feature = report(30, 1).features["tense"]
    assert (feature.status, feature.n, feature.needed, feature.missing) == ("insufficient", 31, 39, 8)
    assert feature.psi is not None
    assert feature.p_adjusted is None


def test_an_unseen_category_needs_one_bin_more() -> None:
    feature = report(400, 400, subjunctive=100).features["tense"]
    assert feature.needed == 60
    assert feature.bins[0].bin == "(unseen)"
    assert feature.status == "act"


def test_words_of_one_text_count_as_one_where_they_come_together() -> None:
    trained, live = Tally(keep_rows=True), Tally()
    trained.add([{"word": (word,) * 8} for word in "abcd" for _ in range(500)])
    live.add([{"word": (word,) * 8} for word in "abcd" for _ in range(10)])
    feature = judge_features(fix(trained), live)["word"]
    assert feature.n == pytest.approx(40, abs=1)
    assert feature.status == "insufficient"


def test_a_feature_nobody_sent_is_insufficient_without_numbers() -> None:
    feature = report(
        0,
        0,
    ).features["tense"]
    assert (feature.status, feature.psi, feature.p, feature.missing) == ("insufficient", None, None, 39)


@pytest.mark.parametrize(
    ("psi", "p", "status"),
    [(0.099, 0.0, "stable"), (0.1, 0.009, "watch"), (0.1, 0.01, "stable"), (0.25, 0.0, "act"), (9.0, 0.5, "stable")],
)
def test_a_status_needs_size_and_significance(psi: float, p: float, status: str) -> None:
    assert status_of(psi, p) == status


def test_expected_accuracy_speaks_of_evaluated_buckets_alone() -> None:
    found = expected_accuracy(evaluated(), {"verb/go": 3, "verb/be": 1, "verb/fly": 96, "empty/x": 5}, {})
    assert set(found) == {"verb"}
    assert (found["verb"].live, found["verb"].reference, found["verb"].n) == (pytest.approx(0.825), None, 4)


def test_the_same_counts_are_the_same_bytes() -> None:
    assert msgspec.json.encode(report(61, 3)) == msgspec.json.encode(report(61, 3))


def test_reports_of_every_version_read_back() -> None:
    """Written by `spine drift report` on a replayed day of the tutor, and never again."""
    raw = (Path(__file__).parents[3] / "fixtures" / "drift-1" / "report.json").read_bytes()
    found = msgspec.json.decode(raw, type=DriftReport)
    assert (found.schema, found.status, found.window.n) == ("spine.drift/1", "watch", 400)
    assert found.worst is not None
    assert (found.worst[0], found.worst[1].psi) == ("verb", 0.114622)
    again = msgspec.json.decode(msgspec.json.encode(found))
    assert {name: again[name] for name in msgspec.json.decode(raw)} == msgspec.json.decode(raw)
