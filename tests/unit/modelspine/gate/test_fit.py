"""The gate fails closed: whatever cannot be compared is an error with a reason, never a pass and never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gating import baseline, raw, report_dict
from modelspine.errors import BadInput
from modelspine.gate.baseline import read_baseline
from modelspine.gate.decision import as_json, judge, read_submission

Change = Callable[[dict[str, Any]], None]


def put(*path: str, value: Any) -> Change:
    def change(report: dict[str, Any]) -> None:
        for name in path[:-1]:
            report = report[name]
        report[path[-1]] = value

    return change


def drop(*path: str) -> Change:
    def change(report: dict[str, Any]) -> None:
        for name in path[:-1]:
            report = report[name]
        del report[path[-1]]

    return change


EITHER_SIDE: dict[str, Change] = {
    "another eval set": put("eval_set", "sha256", value="f" * 64),
    "another DVC hash": put("eval_set", "dvc_hash", value="f" * 32),
    "another size of the eval set": put("eval_set", "n", value=501),
    "no eval set": drop("eval_set"),
    "no digest of the eval set": drop("eval_set", "sha256"),
    "another decoding": put("decoding", "method", value="beam"),
    "a decoding of another type": put("decoding", "max_new_tokens", value=True),
    "a decoding with one thing more": put("decoding", "seed", value=1),
    "no decoding": put("decoding", value=None),
    "no decoding at all": drop("decoding"),
    "a bucket missing": drop("buckets", "verb/go"),
    "a bucket too many": put("buckets", "verb/eat", value={"k": 1, "n": 1}),
    "a bucket under another case": lambda r: r["buckets"].update({"verb/Go": r["buckets"].pop("verb/go")}),
    "a bucket with a space behind": lambda r: r["buckets"].update({"verb/go ": r["buckets"].pop("verb/go")}),
    "no buckets": put("buckets", value={}),
    "no bucket field": drop("buckets"),
    "buckets in a list": put("buckets", value=[]),
    "n = 0": put("buckets", "verb/go", value={"k": 0, "n": 0}),
    "n below 0": put("buckets", "verb/go", value={"k": -1, "n": -1}),
    "k over n": put("buckets", "verb/go", value={"k": 151, "n": 150}),
    "k below 0": put("buckets", "verb/go", value={"k": -1, "n": 150}),
    "n differs": put("buckets", "verb/go", value={"k": 150, "n": 151}),
    "n is a string": put("buckets", "verb/go", value={"k": 150, "n": "150"}),
    "k is a float": put("buckets", "verb/go", value={"k": 150.0, "n": 150}),
    "k is true": put("buckets", "verb/go", value={"k": True, "n": 150}),
    "k is null": put("buckets", "verb/go", value={"k": None, "n": 150}),
    "k is missing": put("buckets", "verb/go", value={"n": 150}),
    "a ratio alone": put("buckets", "verb/go", value=0.99),
    "total of nothing": put("total", value={"k": 0, "n": 0}),
    "total k over n": put("total", value={"k": 501, "n": 500}),
    "total n differs": put("total", value={"k": 400, "n": 499}),
    "no total": drop("total"),
    "false accepts of nothing": put("false_accept", value={"k": 0, "n": 0}),
    "false accepts k over n": put("false_accept", value={"k": 301, "n": 300}),
    "false accepts n differs": put("false_accept", value={"k": 3, "n": 299}),
    "false accepts on one side alone": put("false_accept", value=None),
    "another schema": put("schema", value="spine.eval/2"),
    "no schema": drop("schema"),
    "schema is a number": put("schema", value=1),
    "failed is not a list": put("failed", value={"id": 1}),
    "failed without buckets": put("failed", value=[{"id": "a"}]),
    "an integer beyond a double": put("buckets", "verb/go", value={"k": 1, "n": 2**53}),
}
TEXTS: dict[str, Callable[[str], bytes]] = {
    "empty": lambda _text: b"",
    "white": lambda _text: b" \n",
    "null": lambda _text: b"null",
    "a list": lambda text: f"[{text}]".encode(),
    "a string": lambda _text: b'"spine.eval/1"',
    "cut short": lambda text: text[:-2].encode(),
    "twice": lambda text: (text + text).encode(),
    "with a byte order mark": lambda text: ("\ufeff" + text).encode(),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "in Latin-1": lambda text: text.replace("verb/be", "verb/é").encode("latin-1"),
    "NaN": lambda text: text.replace('"k": 150', '"k": NaN', 1).encode(),
    "Infinity": lambda text: text.replace('"k": 150', '"k": Infinity', 1).encode(),
    "1e999": lambda text: text.replace('"k": 150', '"k": 1e999', 1).encode(),
    "minus zero": lambda text: text.replace('"k": 150', '"k": -0', 1).encode(),
    "a bucket twice": lambda text: text.replace('"verb/go":', '"verb/go": {"k": 1, "n": 150}, "verb/go":', 1).encode(),
    "a bucket twice, escaped": lambda text: text.replace(
        '"verb/go":', '"verb\\u002fgo": {"k": 150, "n": 150}, "verb/go":', 1
    ).encode(),
    "k twice": lambda text: text.replace('"k": 150', '"k": 1, "k": 150', 1).encode(),
    "total twice": lambda text: text.replace('"total":', '"total": {"k": 500, "n": 500}, "total":', 1).encode(),
    "deeply nested": lambda text: text.replace('"greedy"', "[" * 100 + "]" * 100, 1).encode(),
    "a lone surrogate": lambda text: text.replace("verb/be", "\\ud800", 1).encode(),
    "a comment": lambda text: (text + "// fine").encode(),
}


def assert_error(candidate: bytes, base: bytes | None, stable: bytes | None) -> None:
    made = judge(candidate, baseline=base, stable=stable)
    assert made.result == "error"
    assert made.reasons
    assert made.buckets == {}
    assert json.loads(json.dumps(as_json(made)))["result"] == "error"


@pytest.fixture
def good() -> tuple[bytes, bytes, bytes]:
    """A candidate, a baseline and a stable report that pass; each test spoils one of them."""
    three = raw(report_dict()), baseline(), raw(report_dict())
    assert judge(three[0], baseline=three[1], stable=three[2]).result == "pass"
    return three


def changed(source: bytes, change: Change) -> bytes:
    data = json.loads(source)
    before = json.dumps(data)
    change(data)
    assert json.dumps(data) != before
    return raw(data)


@pytest.mark.parametrize("name", EITHER_SIDE)
def test_a_spoiled_candidate_is_an_error(name: str, good: tuple[bytes, bytes, bytes]) -> None:
    candidate, base, stable = good
    spoiled = changed(candidate, EITHER_SIDE[name])
    assert_error(spoiled, base, stable)
    assert_error(spoiled, base, None)


@pytest.mark.parametrize("name", EITHER_SIDE)
def test_a_spoiled_baseline_or_stable_report_is_an_error(name: str, good: tuple[bytes, bytes, bytes]) -> None:
    candidate, base, stable = good
    assert_error(candidate, changed(base, EITHER_SIDE[name]), stable)
    assert_error(candidate, base, changed(stable, EITHER_SIDE[name]))


BROKEN_BY_ITSELF = [
    *("n = 0", "n below 0", "k over n", "k below 0", "no buckets", "total of nothing", "total k over n"),
    *("false accepts of nothing", "false accepts k over n"),
]


@pytest.mark.parametrize("name", BROKEN_BY_ITSELF)
def test_counts_that_cannot_be_are_an_error_even_where_all_sides_agree_on_them(
    name: str, good: tuple[bytes, bytes, bytes]
) -> None:
    candidate, base, stable = (changed(each, EITHER_SIDE[name]) for each in good)
    assert_error(candidate, base, stable)
    assert_error(candidate, base, None)


def test_an_eval_set_without_a_digest_is_an_error_on_all_sides(good: tuple[bytes, bytes, bytes]) -> None:
    candidate, base, stable = (changed(each, put("eval_set", "sha256", value="")) for each in good)
    assert_error(candidate, base, stable)


@pytest.mark.parametrize("name", TEXTS)
def test_bytes_that_two_readers_could_read_in_two_ways_are_an_error(
    name: str, good: tuple[bytes, bytes, bytes]
) -> None:
    candidate, base, stable = good
    spoil = TEXTS[name]
    assert spoil(candidate.decode()) != candidate
    assert_error(spoil(candidate.decode()), base, stable)
    assert_error(candidate, base, spoil(stable.decode()))
    compact = json.dumps(json.loads(base))
    assert_error(candidate, spoil(compact), stable)


def test_without_a_baseline_nothing_passes(good: tuple[bytes, bytes, bytes]) -> None:
    assert_error(good[0], None, good[2])
    assert_error(good[0], None, None)


@pytest.mark.parametrize("tolerance", [-1, 101, 10**9])
def test_a_tolerance_outside_its_range_is_an_error(tolerance: int, good: tuple[bytes, bytes, bytes]) -> None:
    assert judge(good[0], baseline=good[1], stable=good[2], tolerance_pp=tolerance).result == "error"


@pytest.mark.parametrize("answers", [[], {"a": 1}, {"a": None}, "yes", {"a": "true"}])
def test_never_regress_results_of_another_kind_are_an_error(answers: Any, good: tuple[bytes, bytes, bytes]) -> None:
    assert_error(raw(report_dict(never_regress=answers)), good[1], good[2])


@pytest.mark.parametrize("error", ["a differing n", "two problems"])
def test_the_reason_says_where(error: str, good: tuple[bytes, bytes, bytes]) -> None:
    data = report_dict()
    data["buckets"]["verb/go"]["n"] = 149
    data["buckets"]["verb/go"]["k"] = 149
    if error == "two problems":
        del data["buckets"]["verb/be"]
    made = judge(raw(data), baseline=good[1], stable=None)
    assert any(
        "n differs in bucket “verb/go”: 149 for the candidate, 150 for the other side" in reason
        for reason in made.reasons
    )
    assert any("no bucket “verb/be”" in reason for reason in made.reasons) is (error == "two problems")


def test_what_does_not_bear_on_the_counts_may_differ(good: tuple[bytes, bytes, bytes]) -> None:
    data = report_dict(surprise=[1], runtime={"seconds": 9.5}, views={"x": 1}, answers_sha256="f" * 64)
    data["eval_set"]["path"] = "elsewhere/eval.jsonl"
    data["decoding"] = dict(reversed(data["decoding"].items()))
    data["decoding"]["max_new_tokens"] = 24.0
    data["buckets"] = dict(reversed(data["buckets"].items()))
    assert judge(raw(data), baseline=good[1], stable=good[2]).result == "pass"


STRANGE = [
    "",
    " ",
    "verb|go",
    "`x`",
    "\u202eevil",
    "\x00",
    "\x1b[2J",
    "🙂",
    "é",
    "e\u0301",
    "a" * 5000,
    "[@click=app.quit]x[/]",
    "../..",
    "verb/go\n",
]


def test_any_bucket_names_work_and_are_never_confused() -> None:
    sizes = {name: 50 + i for i, name in enumerate(STRANGE)}
    same = raw(report_dict(sizes=sizes))
    base = baseline(report={"sizes": sizes})
    made = judge(same, baseline=base, stable=same)
    assert made.result == "pass"
    assert set(made.buckets) == set(STRANGE)
    for name in STRANGE:
        lost = judge(raw(report_dict({name: 3}, sizes=sizes)), baseline=base, stable=same)
        assert lost.result == "fail"
        assert [each for each, row in lost.buckets.items() if row.blocked] == [name]
        assert all(char.isprintable() for reason in lost.reasons for char in reason)


def test_a_report_of_one_item_and_one_of_thousands_of_buckets_work() -> None:
    one = {"only": 1}
    assert judge(raw(report_dict(sizes=one)), baseline=baseline(report={"sizes": one}), stable=None).result == "pass"
    many = {f"b/{i}": 1 + i % 97 for i in range(3000)}
    lost = raw(report_dict({"b/2910": 1}, sizes=many))
    made = judge(lost, baseline=baseline(report={"sizes": many}), stable=raw(report_dict(sizes=many)))
    assert [name for name, row in made.buckets.items() if row.blocked] == ["b/2910"]


def test_readers_raise_only_bad_input() -> None:
    with pytest.raises(BadInput, match="more than once"):
        read_submission(b'{"schema": "spine.eval/1", "schema": "spine.eval/1"}')
    with pytest.raises(BadInput, match="schema"):
        read_submission(b"{}")
    with pytest.raises(BadInput, match="schema"):
        read_baseline(b"{}")
