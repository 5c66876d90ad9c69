"""Scores that are no counts of right items: compared by direction and exactly, and without statistics of shares."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating import SHA, World, as_dict, baseline, raw, report_dict
from modelspine.attestation.dsse import seal
from modelspine.attestation.statement import report_counts
from modelspine.attestation.verdict import PAYLOAD_TYPE
from modelspine.canonical_json import canonical
from modelspine.errors import Refused
from modelspine.gate.baseline import baseline_bytes, baseline_of, read_baseline
from modelspine.gate.decision import as_json, judge
from modelspine.gate.eval_report import Score, read_report
from modelspine.gate.result import Decision, is_worse, score_change
from modelspine.gate.table import markdown, table


def score(num: int, den: int = 350, better: str = "lower", scale: str = "rate") -> dict[str, Any]:
    return {"num": num, "den": den, "better": better, "scale": scale}


def decided(before: dict[str, Any], now: dict[str, Any], **more: Any) -> Decision:
    return judge(raw(report_dict(scores=now)), baseline=baseline(report={"scores": before}, **more), stable=None)


def test_a_word_error_rate_that_rises_fails() -> None:
    made = decided({"wer": score(30)}, {"wer": score(200)})
    assert made.result == "fail"
    assert made.reasons == (
        "against the baseline: wer: 30/350 → 200/350 (+48.57 pp), lower is better, at most 2 pp worse is allowed",
    )
    assert made.scores["wer"].blocked
    assert decided({"wer": score(200)}, {"wer": score(30)}).result == "pass"


@pytest.mark.parametrize(
    ("before", "now", "result"),
    [
        (score(30), score(37), "pass"),  # exactly 2 pp
        (score(30), score(38), "fail"),
        (score(30), score(74, 700), "pass"),  # the same rate over another denominator
        (score(30), score(75, 700), "fail"),
        (score(300), score(400), "fail"),  # a rate may be above 1
        (score(90, 100, "higher"), score(88, 100, "higher"), "pass"),
        (score(90, 100, "higher"), score(87, 100, "higher"), "fail"),
        (score(90, 100, "higher"), score(100, 100, "higher"), "pass"),
        (score(-10, 100, "higher"), score(-13, 100, "higher"), "fail"),  # a correlation may be below 0
        (score(100, 10, "lower", "value"), score(102, 10, "lower", "value"), "pass"),  # exactly 2 % of 10
        (score(100, 10, "lower", "value"), score(10201, 1000, "lower", "value"), "fail"),
        (score(-500, 1, "higher", "value"), score(-510, 1, "higher", "value"), "pass"),
        (score(-500, 1, "higher", "value"), score(-511, 1, "higher", "value"), "fail"),
        (score(0, 1, "lower", "value"), score(0, 7, "lower", "value"), "pass"),
        (score(0, 1, "lower", "value"), score(1, 10**9, "lower", "value"), "fail"),  # 2 % of nothing is nothing
    ],
)
def test_the_tolerance_is_exact(before: dict[str, Any], now: dict[str, Any], result: str) -> None:
    assert decided({"s": before}, {"s": now}).result == result


@given(
    st.integers(-(2**53), 2**53), st.integers(1, 2**53), st.integers(-(2**53), 2**53), st.integers(1, 2**53),
    st.sampled_from(["higher", "lower"]), st.sampled_from(["rate", "value"]), st.integers(0, 100),
)  # fmt: skip
def test_the_rule_is_that_of_fractions(
    num: int, den: int, now: int, of: int, better: Any, scale: Any, limit: int
) -> None:
    base, cand = Score(num=num, den=den, better=better, scale=scale), Score(num=now, den=of, better=better, scale=scale)
    before, after = Fraction(num, den), Fraction(now, of)
    loss = after - before if better == "lower" else before - after
    allowed = Fraction(limit, 100) * (1 if scale == "rate" else abs(before))
    assert is_worse(base, cand, limit) is (loss > allowed)
    change = score_change(base, cand)
    assert (change is None) is (scale == "value" and num == 0)


FAULTS = {
    "a score is missing": ({}, "the candidate has no score “wer”"),
    "a score is too many": ({"wer": score(30), "cer": score(1)}, "the candidate has a score “cer” that the other side"),
    "the direction differs": ({"wer": score(30, better="higher")}, "score “wer” is a rate, higher is better, for the"),
    "the scale differs": ({"wer": score(30, scale="value")}, "score “wer” is a value, lower is better, for the cand"),
    "nothing was counted": ({"wer": score(0, 0)}, "the candidate has the denominator 0 in score “wer”"),
    "a denominator below 0": ({"wer": score(-30, -350)}, "the candidate has the denominator -350 in score “wer”"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_compared_is_an_error(name: str) -> None:
    now, reason = FAULTS[name]
    made = decided({"wer": score(30)}, now)
    assert (made.result, made.scores) == ("error", {})
    assert made.reasons[0].startswith(f"against the baseline: {reason}")


def test_a_score_that_came_later_does_not_stop_every_gate() -> None:
    """The baseline says which scores there are; the entry in production was promoted before there were any."""
    now = raw(report_dict(scores={"wer": score(30)}))
    made = judge(now, baseline=baseline(report={"scores": {"wer": score(30)}}), stable=raw(report_dict()))
    assert (made.result, list(made.scores)) == ("pass", ["wer"])
    other = raw(report_dict(scores={"wer": score(30), "cer": score(1)}))
    assert judge(now, baseline=baseline(report={"scores": {"wer": score(30)}}), stable=other).result == "error"


@pytest.mark.parametrize("bad", [{"num": 1.5, "den": 2, "better": "lower"}, {"num": 1, "den": 2}, {"k": 1, "n": 2},
                                 {"num": 1, "den": 2, "better": "sideways"}])  # fmt: skip
def test_a_malformed_score_is_an_error(bad: dict[str, Any]) -> None:
    assert decided({"wer": score(30)}, {"wer": bad}).result == "error"


def test_the_stable_entry_blocks_too_and_the_table_shows_the_worse_row() -> None:
    made = judge(
        raw(report_dict(scores={"wer": score(60)})),
        baseline=baseline(report={"scores": {"wer": score(100)}}),
        stable=raw(report_dict(scores={"wer": score(30)})),
    )
    assert (made.result, made.scores["wer"].against) == ("fail", "stable")
    rows = [line for line in table(made) if "wer" in line.cells[1]]
    assert [(line.state, line.cells[1:5]) for line in rows] == [
        ("blocked", ("wer (lower is better)", "30/350", "60/350", "+8.57"))
    ]
    assert rows[0].cells[6:10] == ("–", "–", "–", "–"), "no interval and no flips of what is no share of items"
    assert "wer" in markdown(made)
    assert json.loads(json.dumps(as_json(made)))["scores"]["wer"]["cand"] == score(60)


def alone(**scores: dict[str, Any]) -> dict[str, Any]:
    """A report of scores alone."""
    whole = report_dict(scores=scores, accepts=0)
    return {name: whole[name] for name in ("schema", "eval_set", "decoding", "scores")}


def base_alone(**scores: dict[str, Any]) -> bytes:
    made = baseline_of(read_report(raw(alone(**scores))), reason="first", approved_in="", entry_sha="c" * 64)
    return baseline_bytes(made)


def test_a_report_of_scores_alone_is_gated() -> None:
    before, now = base_alone(wer=score(30)), raw(alone(wer=score(200)))
    made = judge(now, baseline=before, stable=None)
    assert (made.result, made.buckets, list(made.scores)) == ("fail", {}, ["wer"])
    assert "wer: 30/350 → 200/350" in made.reasons[0]
    assert [line.cells[1] for line in table(made)] == ["wer (lower is better)"]
    same = judge(raw(alone(wer=score(200))), baseline=base_alone(wer=score(200)), stable=raw(alone(wer=score(30))))
    assert (same.result, same.scores["wer"].against) == ("fail", "stable")
    assert judge(raw(alone(wer=score(20))), baseline=before, stable=raw(alone(wer=score(30)))).result == "pass"
    counts = report_counts(SHA, raw(alone(wer=score(30))))
    assert (counts.total, counts.buckets, counts.scores) == (None, {}, {"wer": msgspec.convert(score(30), Score)})


def test_leaving_out_the_counts_is_no_way_to_pass() -> None:
    whole = report_dict({"verb/go": 150}, scores={"wer": score(30)})
    base, stable = baseline(report={"scores": {"wer": score(30)}}), raw(report_dict(scores={"wer": score(30)}))
    dropped = [("total",), ("total", "buckets"), ("total", "buckets", "false_accept", "failed")]
    for names in dropped:
        less = {name: value for name, value in whole.items() if name not in names}
        assert judge(raw(less), baseline=base, stable=None).result == "error"
        assert judge(raw(less), baseline=base_alone(wer=score(30)), stable=stable).result == "error"
    with_anchor = {
        **json.loads(base_alone(wer=score(30))),
        "anchor": {"entry_sha": "c" * 64, "total": {"k": 9, "n": 9}},
    }
    made = judge(raw(alone(wer=score(30))), baseline=raw(with_anchor), stable=None)
    assert (made.result, "the anchor limits the total" in made.reasons[0]) == ("error", True)
    assert judge(raw(alone()), baseline=base_alone(), stable=None).result == "error", "nothing was measured"


def test_a_baseline_carries_the_scores_and_one_without_them_keeps_its_bytes() -> None:
    assert read_baseline(baseline(report={"scores": {"wer": score(30)}})).scores["wer"].num == 30
    assert b"scores" not in baseline()


def test_a_verdict_binds_the_scores() -> None:
    world = World()
    with_scores = {"scores": {"wer": score(30)}}
    world.candidate = raw(report_dict({"verb/go": [1, 2], "verb/be": [9]}, sha=SHA, **with_scores))
    items = read_baseline(world.baseline).never_regress
    world.baseline = baseline({"verb/go": [1], "verb/be": [3]}, never_regress=items, report=with_scores)
    world.stable = world.floor = None
    envelope = world.signed()
    assert world.verify(envelope).predicate.candidate.scores == {"wer": msgspec.convert(score(30), Score)}
    # The counts that are signed decide: a candidate whose rate rose is refused, whatever the result says.
    statement = as_dict(world.statement())
    statement["predicate"]["candidate"]["scores"]["wer"]["num"] = 200
    with pytest.raises(Refused, match="its own counts give fail: against the baseline: wer"):
        world.verify(seal(canonical(statement), PAYLOAD_TYPE, world.key))


def test_counts_without_scores_are_signed_as_before() -> None:
    made = msgspec.to_builtins(report_counts(SHA, raw(report_dict(sha=SHA))))
    assert set(made) == {"entry_sha", "sha256", "total", "buckets", "false_accept"}


def test_at_most_three_reasons_are_given_and_causes_are_named_once() -> None:
    sizes = {f"b/{n}": 50 for n in range(40)}
    other = report_dict(sizes={f"c/{n}": 60 for n in range(40)}, scores={"wer": score(1)})
    other["eval_set"] |= {"sha256": "f" * 64, "dvc_hash": "f" * 32}
    other["decoding"] = {"method": "beam"}
    made = judge(raw(other), baseline=baseline(report={"sizes": sizes}), stable=raw(report_dict(sizes=sizes)))
    assert made.result == "error"
    assert len(made.reasons) == 4
    assert made.reasons[0].startswith("against the baseline and the stable entry: the eval sets differ: sha256 is fff")
    assert "; n is 2400 for the candidate and 2000 for the other side" in made.reasons[0]
    assert "the decoding settings differ" in made.reasons[1]
    assert "has no bucket “b/0”; and 39 more like this" in made.reasons[2]
    assert made.reasons[3] == "… and 3 more"
    assert len(made.compared[0].reasons) == 6, "the JSON has them all"


def test_an_error_names_the_comparison_that_could_not_be_made() -> None:
    stable = report_dict()
    del stable["buckets"]["verb/go"]
    made = judge(raw(report_dict({"verb/go": 150})), baseline=baseline(), stable=raw(stable))
    assert made.result == "error"
    assert made.reasons == ("against the stable entry: the candidate has a bucket “verb/go” that the other side lacks",)
