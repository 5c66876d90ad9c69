"""Mutated reports and baselines: the gate always answers, and passes only what a second reading of the rule passes."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gating import GO, baseline, decision_lines, raw, report_dict
from modelspine.errors import SpineError
from modelspine.gate.baseline import Anchor, read_baseline, with_item
from modelspine.gate.decision import as_json, judge, read_submission
from modelspine.gate.eval_report import Count
from modelspine.gate.table import markdown

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 505)
    | st.integers()
    | st.floats()
    | TEXT
    | st.builds(dict, k=st.just(1), n=st.just(1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CANDIDATE = report_dict({"verb/go": 2, "verb/be": [1]}, never_regress={GO.id: True})
ANCHOR = Anchor(entry_sha="9" * 64, total=Count(500, 500))
BASELINE = json.loads(baseline({"verb/go": [1], "verb/be": [3]}, never_regress=(GO,), anchor=ANCHOR))
STABLE = report_dict({"verb/go": [1, 4]})


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for name, each in items for deeper in paths(each, (*path, name)))]


@st.composite
def mutated(draw: st.DrawFn, original: dict[str, Any]) -> Any:
    """The original with up to three counts moved a little, and sometimes a value replaced, removed or added."""
    made: Any = copy.deepcopy(original)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(sorted(original["buckets"])))
        side = draw(st.sampled_from((made["total"], made["false_accept"], made["buckets"][name])))
        side["k"] += draw(st.integers(-7, 1 if side["k"] > 9 else 7))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        path = draw(st.sampled_from(paths(made)))
        if not path:
            continue
        inside = made
        for name in path[:-1]:
            inside = inside[name]
        kind = draw(st.sampled_from(("replace", "remove", "add")))
        if kind == "remove":
            del inside[path[-1]]
        elif kind == "add" and isinstance(inside, dict):
            inside[draw(TEXT)] = copy.deepcopy(draw(VALUES))
        else:
            inside[path[-1]] = copy.deepcopy(draw(VALUES))
    return made


def allowed(candidate: dict[str, Any], other: dict[str, Any], tolerance: int) -> bool:
    """The rule once more, in fractions and from the raw JSON."""
    limit = Fraction(tolerance, 100)

    def share(count: dict[str, int]) -> Fraction:
        assert 0 <= count["k"] <= count["n"]
        return Fraction(count["k"], count["n"])

    mine, theirs = candidate["buckets"], other["buckets"]
    assert mine.keys() == theirs.keys()
    assert mine
    assert all(mine[name]["n"] == theirs[name]["n"] for name in mine)
    assert {k: candidate["eval_set"][k] for k in ("sha256", "dvc_hash", "n")} == {
        k: other["eval_set"][k] for k in ("sha256", "dvc_hash", "n")
    }
    assert candidate["decoding"] == other["decoding"]
    fits = all(share(theirs[name]) - share(mine[name]) <= limit for name in mine)
    wrong, before = candidate.get("false_accept"), other.get("false_accept")
    return fits and ((wrong is None and before is None) or share(wrong) - share(before) <= limit)


@settings(max_examples=250, deadline=None)
@given(mutated(CANDIDATE), mutated(BASELINE), st.none() | mutated(STABLE))
@pytest.mark.long
def test_mutants_are_answered_and_only_a_true_pass_passes(candidate: Any, base: Any, stable: Any) -> None:
    texts = [raw(candidate), raw(base), raw(stable) if stable is not None else None]
    made = judge(texts[0], baseline=texts[1], stable=texts[2])  # type: ignore[arg-type]
    assert made.result in ("pass", "fail", "error")
    assert bool(made.reasons) is (made.result != "pass")
    assert bool(made.buckets) is (made.result != "error")
    json.dumps(as_json(made), allow_nan=False)
    assert all(char.isprintable() for line in decision_lines(made) for char in line)
    assert markdown(made).endswith("\n")
    if made.result == "error":
        return
    tolerance = base.get("tolerance_pp", 2)
    passes = allowed(candidate, base, tolerance)
    if stable is not None:
        passes = passes and allowed(candidate, stable, tolerance)
    anchor = base.get("anchor")
    if anchor:
        drop = Fraction(anchor["total"]["k"], anchor["total"]["n"]) - Fraction(
            candidate["total"]["k"], candidate["total"]["n"]
        )
        passes = passes and drop <= Fraction(base.get("anchor_budget_pp", 5), 100)
    passes = passes and all(candidate["never_regress"][item["id"]] for item in base.get("never_regress", []))
    assert (made.result == "pass") is passes


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_a_reader_fall_over(data: bytes) -> None:
    good = raw(CANDIDATE), raw(BASELINE)
    assert judge(data, baseline=good[1], stable=None).result == "error"
    assert judge(good[0], baseline=data, stable=None).result == "error"
    assert judge(good[0], baseline=good[1], stable=data).result == "error"
    for read in (read_submission, read_baseline, lambda raw_: with_item(raw_, GO)):
        with pytest.raises(SpineError) as caught:
            read(data)
        assert caught.value.message.isprintable()
        assert caught.value.hint


def test_the_originals_pass() -> None:
    assert judge(raw(CANDIDATE), baseline=raw(BASELINE), stable=raw(STABLE)).result == "pass"
