"""The report of a day, from counts: statuses, what is missing, and what accuracy to expect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bundles import eval_report
from modelspine.drift.accuracy import expected_accuracy
from modelspine.drift.bins import Tally, fix, four_digits
from modelspine.drift.features import judge_features
from modelspine.drift.figures import chance
from modelspine.drift.format import facts, reasons, remark, remarks, summary
from modelspine.drift.grades import Graded
from modelspine.drift.report import DriftReport, Live, Reference, Window, judge_day
from modelspine.drift.sentences import sentence
from modelspine.drift.status import status_of
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
        mixes=[(("tense/past",), 1_000), (("tense/future",), 1_000)],
    )  # fmt: skip
    mixes = Counter({("tense/past",): past, ("tense/future",): future})
    live = Live(tally(past=past, future=future, **more), mixes)
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


def test_a_day_without_requests_has_no_numbers() -> None:
    feature = report(0, 0).features["tense"]
    assert (feature.status, feature.psi, feature.p, feature.missing) == ("insufficient", None, None, 39)
    assert feature.reason == "unknown: no data; no request was counted"


def day(live: Tally, trained: Tally, *, n: int | None = None) -> DriftReport:
    """The report of a day of an entry that was never evaluated."""
    reference = Reference(corpora=("a" * 32,), n=trained.n, features=fix(trained, {"word"}))
    window = Window(start="2026-11-22", to="2026-11-23", n=live.n if n is None else n)
    counted = Live(live, Counter())
    return judge_day(
        day="2026-11-22", entry_sha="e" * 64, reference=reference, live=counted, window=window, evaluated=None
    )


def three(n: int, *without: str) -> Tally:
    """Requests with a verb, a length and words, but without the named features."""
    made = Tally(keep_rows=True)
    rows = [
        {"verb": f"v{k % 10}", "length": float(k % 7), "word": (f"w{k % 12}", f"w{k % 5}")} for k in range(n)
    ]  # fmt: skip
    made.add([{name: value for name, value in row.items() if name not in without} for row in rows])
    return made


@pytest.mark.parametrize("lost", [("verb", "length", "word"), ("verb",), ("length",), ("word",)], ids=str)
def test_the_day_the_parser_broke_acts_and_names_the_missing_bin_first(lost: tuple[str, ...]) -> None:
    found = day(three(600, *lost), three(3_000))
    assert found.status == "act"
    for name, feature in found.features.items():
        if name in lost:
            assert (feature.status, feature.bins[0].bin, feature.absent) == ("act", "(missing)", 600)
            assert feature.bins[0].q > 0.99
            assert feature.bins[0].contribution > 0
            assert feature.reason == "no data: none of 600 requests has this feature"
        else:
            assert (feature.status, feature.absent, feature.reason) == ("stable", 0, "")
    assert reasons(found)[0].split(": ")[0] in lost
    assert "(missing) 99" in reasons(found)[0] or "(missing) 100" in reasons(found)[0]
    assert found.ranked[0][0] in lost


def test_texts_out_of_scope_count_as_in_the_reference() -> None:
    """A reference with a tenth outside: a day with a tenth is stable, one with four tenths is not."""

    def mixed(n: int, outside: int) -> Tally:
        made = three(n - outside)
        made.add([{}] * outside)
        return made

    trained = mixed(4_000, 400)
    assert day(mixed(600, 60), trained).status == "stable"
    far = day(mixed(600, 240), trained)
    assert {feature.status for name, feature in far.features.items() if name != "word"} == {"act"}
    assert far.features["verb"].bins[0].bin == "(missing)"


def test_a_feature_of_no_reference_row_is_unknown_and_the_others_are_judged() -> None:
    """A feature that is named everywhere and has no value anywhere used to end the whole report."""
    live, trained = three(600), three(3_000)
    live.add([{"verb": "v1", "length": 1.0, "word": ("w1",), "tone": "kind", "mood": None}])
    trained.add([{"mood": (), "verb": "v1"}])
    found = day(live, trained)
    assert (found.features["tone"].status, found.features["tone"].psi) == ("insufficient", None)
    assert found.features["tone"].reason == (
        "not compared: none of 3,001 reference rows has this feature; `--against-day` compares it with another day"
    )
    assert {found.features[name].status for name in ("verb", "length", "word")} == {"stable"}
    assert found.features["mood"].reason == found.features["tone"].reason


def test_one_remark_on_many_features_is_made_once() -> None:
    live = three(600)
    live.add([{f"probabilities.{name}": 0.5 for name in "abcdef"}])
    found = day(live, three(3_000))
    (text,) = remarks(found.features.items())
    assert text.startswith("probabilities.a, probabilities.b, probabilities.c, probabilities.d and 2 more: not")
    assert sentence(found).endswith("; not judged: probabilities.a, probabilities.b, probabilities.c and 3 more")


def test_a_text_that_was_not_kept_is_unknown_and_no_drift() -> None:
    live = Tally()
    live.add([{"verb": f"v{k % 10}", "length": float(k % 7)} for k in range(600)], textless=True)
    found = day(live, three(3_000))
    word = found.features["word"]
    assert (word.status, word.hidden, word.absent) == ("insufficient", 600, 0)
    assert remark(word) == (
        "unknown: no data; the texts of its requests were not kept; left out: 600 requests whose text was not kept"
    )
    assert found.status == "stable"


def test_a_small_reference_is_not_called_stable() -> None:
    found = day(three(600), three(60))
    verb = found.features["verb"]
    assert (verb.status, verb.p_adjusted, verb.reference_n) == ("insufficient", None, 60)
    assert verb.reason == "the reference is too small: 60 of 170"
    assert any(text.startswith("verb: the reference is too small") for text in reasons(found))


def test_a_day_of_which_nothing_was_compared_is_not_stable() -> None:
    """The reference's parser broke, so no value is there to compare with; full coverage alone says nothing."""
    mix = Counter({("verb/go",): 600})
    nothing = Tally()
    nothing.add([{"verb": None}] * 600)
    live = Live(three(600), mix)
    window = Window(start="", to="", n=600, entries={"e": 600})
    reference = Reference(n=600, features=fix(nothing), mixes=list(mix.items()))
    broken = judge_day(
        day="2026-11-22", entry_sha="e", reference=reference, live=live, window=window, evaluated=evaluated()
    )
    assert broken.covered is not None
    assert (broken.covered.status, broken.status) == ("stable", "insufficient")


def test_what_is_unknown_says_why() -> None:
    said = dict(facts(day(three(600), three(3_000))))
    assert said["coverage"] == said["expected accuracy"] == "unknown: the entry was never evaluated"
    assert said["graded"].startswith("unknown: the entry answered no request that day")


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


@pytest.mark.parametrize("past", [7.0, 0.123456])
def test_a_number_that_was_always_the_same_and_moves_is_seen(past: float) -> None:
    """The deciles of one value are one bin, which every other value would be in; four digits are counted."""
    trained = Tally()
    trained.add([{"amount": past}] * 3_000)
    statuses = []
    for now in (four_digits(past), past + 1):
        live = Tally()
        live.add([{"amount": now}] * 600)
        statuses.append(day(live, trained).status)
    assert statuses == ["stable", "act"]


def test_every_figure_stands_beside_what_is_usual_without_drift() -> None:
    """95 of 100 days stay below it, of words as well, which are not independent of each other."""
    draw = np.random.default_rng(3)

    def some(n: int) -> Tally:
        made = Tally(keep_rows=True)
        topics = draw.integers(0, 5, n)
        made.add([{"length": float(length), "word": (f"w{topic}",) * 4}
                  for length, topic in zip(draw.normal(size=n), topics, strict=True)])  # fmt: skip
        return made

    figures: dict[str, list[tuple[float, float]]] = {"length": [], "word": []}
    for _ in range(60):
        for name, each in judge_features(fix(some(1_000)), some(500)).items():
            figures[name].append((each.psi or 0, each.usual or 0))
    for pairs in figures.values():
        assert 53 <= sum(psi <= usual for psi, usual in pairs) <= 60
        psi, usual = np.mean(pairs, axis=0)
        assert 1.2 * psi < usual < 3.5 * psi, (
            "95 % of a χ² distribution of four or nine degrees are below 2.4 or 1.9 means"
        )


def test_the_same_counts_are_the_same_bytes() -> None:
    assert msgspec.json.encode(report(61, 3)) == msgspec.json.encode(report(61, 3))


def test_reports_of_every_version_read_back() -> None:
    """Written by `spine drift report` on a replayed day of the tutor, and never again."""
    raw = (Path(__file__).parents[3] / "fixtures" / "drift-1" / "report.json").read_bytes()
    found = msgspec.json.decode(raw, type=DriftReport)
    assert (found.schema, found.status, found.window.n) == ("spine.drift/1", "watch", 400)
    assert found.worst is not None
    assert (found.worst[0], found.worst[1].psi) == ("verb", 0.114622)
    assert _only(msgspec.json.decode(msgspec.json.encode(found)), msgspec.json.decode(raw)) == msgspec.json.decode(raw)
    said = dict(facts(found))
    assert said["graded"] == "unknown: this report was made before graded answers were counted"
    assert said["coverage"] == f"{100 * (found.coverage or 0):.1f} %"


def _only(value: Any, like: Any) -> Any:
    """A value without the fields that came later than ``like``."""
    if isinstance(like, dict):
        return {name: _only(value[name], part) for name, part in like.items()}
    return [_only(*pair) for pair in zip(value, like, strict=True)] if isinstance(like, list) else value


def test_the_sentence_of_a_day_names_what_changed() -> None:
    assert sentence(report(900, 100)) == "Drifted: future 50 → 10 %"
    assert sentence(report(500, 500)) == "No drift: 1,000 requests like the training data by tense"
    few = sentence(report(5, 5))
    assert few.startswith("Not judged: 10 requests; tense: not enough requests: 10 of ")


def test_the_sentence_sums_values_of_two_parts_and_names_unseen_ones() -> None:
    made = Tally()
    cells = [(f"{tense}/{person}", 10) for tense in ("past", "simple_future") for person in ("1sg", "2sg", "3sg")]
    made.add([{"cell": name} for name, count in cells for _ in range(count * 20)])
    live = Tally()
    live.add([{"cell": name} for name, _ in cells for _ in range(10 if name.startswith("past") else 90)])
    features = judge_features(fix(made), live)
    day = msgspec.structs.replace(report(900, 100), features=features)
    assert sentence(day) == "Drifted: simple future 50 → 90 %"
    live.add([{"cell": "never/seen"} for _ in range(30)])
    other = judge_features(fix(made), live)["cell"]
    assert sentence(msgspec.structs.replace(day, features={"a\x1b_b": other})) == "Drifted: unseen a␛ b 9.1 %"


def test_the_sentence_says_that_answers_are_worse_than_expected() -> None:
    found = msgspec.structs.replace(
        report(500, 500),
        graded=Graded(k=90, n=100, contradicts=True, observed=0.9, expected=0.982, dimension="verb", compared=100),
    )
    assert sentence(found).endswith("by tense; 90.0 % of the answers are correct, 98.2 % were expected")
