"""Results of other tools become reports: what each format counts, and what is refused because it would be a guess."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelspine.errors import BadInput
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.decision import judge
from modelspine.gate.eval_report import convert_report
from modelspine.release.result_import import Asked, Imported, import_result, report_bytes

ITEMS = [
    {"id": f"i{n}", "topic": "sea" if n % 3 else "land", "label": "ab"[n % 2], "words": 3 + n % 2} for n in range(60)
]


def answered(wrong: Sequence[int], edits: int = 0) -> list[dict[str, Any]]:
    """The items with an answer to each; ``wrong`` ones have another, and the first ones have an edit each."""
    return [
        {**item, "said": "?" if n in wrong else item["label"], "edits": int(n < edits)} for n, item in enumerate(ITEMS)
    ]


def lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def table(rows: Sequence[dict[str, Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the eval set as CSV and as JSON lines."""
    (tmp_path / "data").mkdir()
    rows = [{"id": item["id"], "label": item["label"]} for item in ITEMS]
    (tmp_path / "data" / "eval.csv").write_bytes(table(rows))
    (tmp_path / "data" / "eval.jsonl").write_bytes(lines(rows))
    (tmp_path / "data" / "eval.bin").write_bytes(b"\x00items\xff")
    return tmp_path


def made(root: Path, raw: bytes, eval_set: str | None = "data/eval.csv", **asked: Any) -> Imported:
    chosen = root / eval_set if eval_set is not None else None
    return import_result(raw, Asked(eval_set=chosen, **asked), name="result", root=root)


RULE = {"right": "said=label", "buckets": ("topic",)}


def test_items_give_counts_buckets_and_what_failed(root: Path) -> None:
    found = made(root, table(answered([4, 9])), **RULE, entry_sha="a" * 64)
    report = convert_report(found.report)
    raw = (root / "data" / "eval.csv").read_bytes()
    assert (found.format, found.notes) == ("csv", ())
    assert (report.total.k, report.total.n, report.entry_sha) == (58, 60, "a" * 64)
    assert {name: (count.k, count.n) for name, count in report.buckets.items()} == {
        "topic/land": (19, 20), "topic/sea": (39, 40),
    }  # fmt: skip
    assert [(item.id, item.buckets) for item in report.failed] == [("i4", ("topic/sea",)), ("i9", ("topic/land",))]
    assert (report.eval_set.path, report.eval_set.n) == ("data/eval.csv", 60)
    assert report.eval_set.sha256 == hashlib.sha256(raw).hexdigest()
    assert report.eval_set.dvc_hash == hashlib.md5(raw, usedforsecurity=False).hexdigest()


def test_every_layout_of_the_same_items_is_the_same_report(root: Path) -> None:
    rows = answered([4, 9])
    first = made(root, lines(rows), **RULE).report
    layouts = [table(rows), table(rows, ";"), table(rows, "\t"), json.dumps(rows).encode(), lines(rows[::-1]),
               "\ufeff".encode() + table(rows)]  # fmt: skip
    for raw in layouts:
        assert {**made(root, raw, **RULE).report, "runtime": {}} == {**first, "runtime": {}}
    assert report_bytes(first).isascii()


def test_the_gate_compares_imported_reports_and_names_what_changed(root: Path) -> None:
    more = {**RULE, "lower": ("wer=edits/words",)}
    before, after = (made(root, lines(answered(wrong, edits)), **more) for wrong, edits in (([4], 6), ([4, 7, 8], 40)))
    base = baseline_of(convert_report(before.report), reason="first", approved_in="", entry_sha="a" * 64)
    decision = judge(report_bytes(after.report), baseline=baseline_bytes(base), stable=None)
    assert decision.result == "fail"
    assert decision.buckets["topic/sea"].flips_lost == ("i7", "i8")
    assert "wer: 6/210 → 40/210 (+16.19 pp), lower is better" in decision.reasons[1]


def test_an_import_under_another_rule_is_not_comparable(root: Path) -> None:
    one, two = (made(root, lines(answered([4])), right=right) for right in ("said=label", "edits<=0"))
    base = baseline_of(convert_report(one.report), reason="first", approved_in="", entry_sha="a" * 64)
    decision = judge(report_bytes(two.report), baseline=baseline_bytes(base), stable=None)
    assert (decision.result, "decoding settings differ" in decision.reasons[0]) == ("error", True)


@pytest.mark.parametrize(
    ("right", "k"),
    [("said=label", 59), ("said==a", 29), ("edits<=0", 50), ("edits<1", 50), ("edits>=1", 10), ("edits>0", 10),
     ("doc.ok", 60), ("edits", 10)],
)  # fmt: skip
def test_the_rules_of_what_is_right(root: Path, right: str, k: int) -> None:
    rows = [{**row, "doc": {"ok": True}} for row in answered([4], edits=10)]
    assert made(root, lines(rows), right=right).report["total"] == {"k": k, "n": 60}


@pytest.mark.parametrize("value", [True, 1, 1.0, "yes", "True", "correct", "right", " 1 "])
def test_what_counts_as_yes(root: Path, value: Any) -> None:
    rows = [{"id": item["id"], "ok": value} for item in ITEMS]
    assert made(root, lines(rows), right="ok").report["total"]["k"] == 60


@pytest.mark.parametrize("value", ["maybe", 0.5, 2, None, "", [], {"a": 1}, float("nan")])
def test_what_is_neither_right_nor_wrong_is_refused(root: Path, value: Any) -> None:
    rows = [{"id": item["id"], "ok": True} for item in ITEMS]
    rows[7]["ok"] = value
    with pytest.raises(BadInput, match=r"item 8 of result .*neither right nor wrong"):
        made(root, lines(rows), right="ok")


def test_a_score_is_a_quotient_of_sums_or_a_mean(root: Path) -> None:
    rows = [{**row, "loss": "0.25" if n % 2 else "0.5"} for n, row in enumerate(answered([], 6))]
    rows = [{**row, "toxic": n < 3} for n, row in enumerate(rows)]
    lower = ("wer=edits/words", "loss=loss", "toxic=toxic/1")
    measures: dict[str, Any] = {"lower": lower, "higher": ("w=words/edits",)}
    found = made(root, table(rows), right="said=label", **measures)
    assert found.report["scores"] == {
        "wer": {"num": 6, "den": 210, "better": "lower", "scale": "rate"},
        "loss": {"num": 3, "den": 8, "better": "lower", "scale": "value"},
        "toxic": {"num": 3, "den": 60, "better": "lower", "scale": "rate"},
        "w": {"num": 210, "den": 6, "better": "higher", "scale": "rate"},
    }
    assert made(root, lines(rows), right="said=label", **measures).report["scores"] == found.report["scores"]


BROKEN = {
    "an id twice": (lambda rows: [*rows, rows[0]], {}, "has the id “i0”, as an item before it"),
    "no id": (lambda rows: [{**rows[0], "id": " "}, *rows[1:]], {}, "item 1 of result has no id"),
    "an id that is a list": (lambda rows: [{**rows[0], "id": [1]}, *rows[1:]], {}, "has no id"),
    "an item left out": (lambda rows: rows[1:], {}, "has no result for i0"),
    "an item too many": (lambda rows: [*rows, {**rows[0], "id": "x"}], {}, "that are no items of it: x"),
    "no such id column": (lambda rows: rows, {"id_column": "key"}, "has no column “key”"),
    "no such column": (lambda rows: rows, {"right": "spoken"}, "has no column “spoken”"),
    "no such other column": (lambda rows: rows, {"right": "said=truth"}, "has no column “truth”"),
    "no such bucket": (lambda rows: rows, {"buckets": ("colour",)}, "has no column “colour”"),
    "a column missing in one item": (lambda rows: [*rows[:-1], {"id": "i59"}], {}, "item 60 of result has no column"),
    "a bucket that is a list": (lambda rows: [{**row, "topic": []} for row in rows], {}, "a list or an object where"),
    "no rule": (lambda rows: rows, {"right": None}, "nothing says when an item is right"),
    "a limit that is no number": (lambda rows: rows, {"right": "edits<=few"}, "--right is 'few', not a number"),
    "a cell that is no number": (lambda rows: rows, {"right": "said<=1"}, "not a number that can be compared"),
    "a measure without a column": (lambda rows: rows, {"lower": ("wer",)}, "is no score"),
    "a measure of nothing": (lambda rows: rows, {"lower": ("wer=words/edits",)}, "the sum of edits in result is 0"),
    "a measure over nothing": (lambda rows: rows, {"lower": ("wer=edits/0",)}, "the sum of 0 in result is 0"),
    "a measure of a text": (lambda rows: rows, {"lower": ("wer=said/1",)}, "not a number that can be compared"),
    "a measure left out": (lambda rows: rows, {"without": ("wer",)}, "--without says nothing"),
    "no items": (lambda _: [], {}, "result has no items"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_way_to_a_better_count_is_refused(root: Path, name: str) -> None:
    change, asked, reason = BROKEN[name]
    with pytest.raises(BadInput) as refused:
        made(root, lines(change(answered([4]))), **{**RULE, "format": "jsonl", **asked})
    assert reason in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b'{"id": 1, "id": 2}\n', "jsonl"), (b"[1, 2]", "jsonl"), (b'"x"\n', "jsonl"), (b"\xff\xfe", "jsonl"),
        (b"id,said,said\n1,a,a\n", "csv"), (b"id,,said\n1,a,a\n", "csv"), (b"id,said\n1\n", "csv"),
        (b"id,said\n1,a,b\n", "csv"), (b'id,said\n"1,a\n', "csv"), (b"", "csv"), (b"id\n", "csv"), (b"{}", "hf"),
        (b"[]", "sklearn"), (b"{}", "sklearn"), (b"{}", "lm-eval"), (b'{"results": {"a": 1}}', "lm-eval"),
        (b"junk", "lm-eval"), (b"junk", None), (b'{"schema": "spine.eval/1"}', None),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(root: Path, raw: bytes, form: Any) -> None:
    with pytest.raises(BadInput):
        made(root, raw, format=form, right="said=label" if form in ("jsonl", "csv") else None)


def test_the_eval_set_has_to_be_the_one_that_was_evaluated(root: Path) -> None:
    raw = lines(answered([]))
    assert made(root, raw, "data/eval.jsonl", **RULE).notes == ()
    assert "were not counted" in made(root, raw, "data/eval.bin", **RULE).notes[0]
    unnamed = root / "data" / "unnamed.csv"
    unnamed.write_text("text\n" + "x\n" * 60)
    (note,) = made(root, raw, "data/unnamed.csv", **RULE).notes
    assert note == "only the number of items was compared with data/unnamed.csv, which has no column “id” in each row"
    for eval_set, reason in ((None, "nothing says which they are"), ("nosuch.csv", "cannot be read")):
        with pytest.raises(BadInput, match=reason):
            made(root, raw, eval_set, **RULE)
    outside = root.parent / "outside.csv"
    outside.write_bytes((root / "data" / "eval.csv").read_bytes())
    with pytest.raises(BadInput, match="lies outside of the project"):
        made(root, raw, "../outside.csv", **RULE)
    nameless = root / "data" / "nameless.csv"
    nameless.write_text("text\n" + "x\n" * 59)
    with pytest.raises(BadInput, match=r"counts 60 items, but data/nameless\.csv has 59"):
        made(root, raw, "data/nameless.csv", **RULE)


def test_a_set_that_dvc_2_tracks_is_named_by_its_hash(root: Path) -> None:
    file = root / "data" / "eval.csv"
    file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    by_dvc_2 = hashlib.md5(file.read_bytes().replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()
    by_dvc_3 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    for tracked, expected in ((by_dvc_2, by_dvc_2), (by_dvc_3, by_dvc_3), ("0" * 32, by_dvc_3)):
        (root / "data" / "eval.csv.dvc").write_text(f"outs:\n- md5: {tracked}\n  path: eval.csv\n")
        assert made(root, lines(answered([])), **RULE).report["eval_set"]["dvc_hash"] == expected


# measures alone -------------------------------------------------------------------------------------


def sklearn() -> dict[str, Any]:
    """What scikit-learn says of 100 items: 40 of 50 a, 45 of 50 b."""
    return {
        "a": {"precision": 40 / 45, "recall": 0.8, "f1-score": 80 / 95, "support": 50},
        "b": {"precision": 45 / 55, "recall": 0.9, "f1-score": 90 / 105, "support": 50.0},
        "accuracy": 0.85,
        "macro avg": {"precision": 0.8535, "recall": 0.85, "f1-score": 0.8496240601503759, "support": 100},
        "weighted avg": {"precision": 0.8535, "recall": 0.85, "f1-score": 0.8496240601503759, "support": 100},
    }


def test_a_classification_report_gives_exact_counts_and_precisions(root: Path) -> None:
    found = made(root, json.dumps(sklearn()).encode(), "data/eval.bin").report
    assert found["total"] == {"k": 85, "n": 100}
    assert found["buckets"] == {"class/a": {"k": 40, "n": 50}, "class/b": {"k": 45, "n": 50}}
    assert found["scores"]["precision/a"] == {"num": 40, "den": 45, "better": "higher", "scale": "rate"}
    assert found["scores"]["precision/b"]["den"] == 55
    assert found["scores"]["f1/macro avg"]["num"] / found["scores"]["f1/macro avg"]["den"] == pytest.approx(
        0.8496240601
    )


@pytest.mark.parametrize("change", [{"accuracy": 0.86}, {"accuracy": None}, {"a": {"recall": 0.8}},
                                    {"a": {"recall": 0.801, "precision": 1, "support": 50}},
                                    {"a": {"recall": 1.8, "precision": 1, "support": 50}}])  # fmt: skip
def test_a_classification_report_that_does_not_add_up_is_refused(root: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        made(root, json.dumps({**sklearn(), **change}).encode(), "data/eval.bin")


def harness(**more: Any) -> dict[str, Any]:
    return {
        "results": {
            "toy": {"alias": "toy", "acc,none": 0.95, "acc_stderr,none": "N/A", "f1,none": 0.7131},
            "sums": {"exact_match,strict": 0.5, "exact_match_stderr,strict": 0.1, "exact_match,loose": 0.75},
        },
        "n-samples": {"toy": {"original": 200, "effective": 100}, "sums": {"original": 40, "effective": 40}},
        "versions": {"toy": 1.0, "sums": 3.0},
        "n-shot": {"toy": 0, "sums": 5},
        "config": {"model": "hf", "batch_size": 8, "gen_kwargs": {"temperature": 0}},
        **more,
    }


def test_a_harness_result_is_counted_task_by_task(root: Path) -> None:
    found = made(root, json.dumps(harness()).encode(), None)
    report = found.report
    assert report["total"] == {"k": 115, "n": 140}
    assert report["buckets"] == {
        "task/toy": {"k": 95, "n": 100}, "task/sums": {"k": 20, "n": 40},
        "exact_match,loose/sums": {"k": 30, "n": 40},
    }  # fmt: skip
    assert report["scores"] == {"f1/toy": {"num": 7131, "den": 10000, "better": "higher", "scale": "rate"}}
    assert report["decoding"]["right"] == {"toy": "acc", "sums": "exact_match,strict"}
    assert report["decoding"]["n-shot"] == {"toy": 0, "sums": 5}
    assert "batch_size" not in report["decoding"], "it does not change what is answered"
    assert report["eval_set"]["path"] == "lm-eval:sums,toy"
    assert "not by a file" in found.notes[0]
    other = made(root, json.dumps(harness(versions={"toy": 2.0, "sums": 3.0})).encode(), None).report
    assert other["eval_set"]["sha256"] != report["eval_set"]["sha256"]
    loose = made(root, json.dumps(harness()).encode(), None, right="exact_match,loose").report
    assert loose["total"] == {"k": 30, "n": 40}


def test_directions_come_from_the_harness_the_reader_or_the_name(root: Path) -> None:
    results = {"toy": {"acc,none": 0.5, "oddness,none": 3.5, "word_perplexity,none": 12.25, "bits_per_byte,none": 0.5}}
    sizes = {"toy": {"effective": 4}}

    def scores(stated: Any = None, **asked: Any) -> dict[str, str]:
        raw = json.dumps({"results": results, "n-samples": sizes, "versions": {}, "higher_is_better": stated}).encode()
        report = made(root, raw, None, **asked).report
        return {name: f"{score['better']} {score['scale']}" for name, score in report["scores"].items()}

    with pytest.raises(BadInput, match="nothing says whether more or less of “oddness” is better") as refused:
        scores()
    assert "--lower oddness" in refused.value.hint
    known = {"word_perplexity/toy": "lower value", "bits_per_byte/toy": "lower value"}
    assert scores(without=("oddness",)) == known
    assert scores(lower=("oddness",)) == {"oddness/toy": "lower value", **known}
    assert scores({"toy": {"oddness": True}}) == {"oddness/toy": "higher value", **known}
    assert scores({"toy": {"oddness": True}}, lower=("oddness",)) == {"oddness/toy": "lower value", **known}


def test_a_harness_result_without_a_share_is_refused(root: Path) -> None:
    for change in ({"n-samples": {}}, {"n-samples": None}, {"results": {"toy": {}}}):
        with pytest.raises(BadInput, match="does not say of any task how many of its items were right"):
            made(root, json.dumps(harness(**change)).encode(), None)
    with pytest.raises(BadInput, match="no whole number of items"):
        made(root, json.dumps(harness(results={"toy": {"acc,none": 0.8555}})).encode(), None)
    nan = json.dumps(harness(results={"toy": {"acc,none": 0.5, "f1,none": float("nan")}})).encode()
    with pytest.raises(BadInput, match="not a number that can be compared"):
        made(root, nan, None)


def samples(filters: Sequence[str]) -> bytes:
    return lines(
        [
            {"doc_id": n, "doc": {"topic": "x"}, "filter": name, "metrics": ["exact_match"],
             "exact_match": float(n % 4 > 0 or name == "loose")}
            for n in range(60)
            for name in filters
        ]
    )  # fmt: skip


def test_samples_of_the_harness_are_items(root: Path) -> None:
    found = made(root, samples(["strict"]), "data/eval.bin", buckets=("doc.topic",))
    assert (found.format, found.report["total"]) == ("lm-eval", {"k": 45, "n": 60})
    assert found.report["buckets"] == {"doc.topic/x": {"k": 45, "n": 60}}
    assert len(found.report["failed"]) == 15
    with pytest.raises(BadInput, match="once for each of 2 filters") as refused:
        made(root, samples(["strict", "loose"]), "data/eval.bin")
    assert "--right exact_match,strict" in refused.value.hint
    (note,) = made(root, samples(["strict"])).notes
    assert note.startswith("only the number of items was compared"), "the set's own ids are others"
    loose = made(root, samples(["strict", "loose"]), "data/eval.bin", right="exact_match,loose")
    assert loose.report["total"] == {"k": 60, "n": 60}


def test_a_file_of_hugging_face_measures(root: Path) -> None:
    trainer = {"epoch": 3.0, "eval_accuracy": 0.95, "eval_f1": 0.71, "eval_loss": 0.25, "eval_runtime": 1.5,
               "eval_samples": 100, "eval_samples_per_second": 66.7, "train_loss": 0.1,
               "train_samples": 900}  # fmt: skip
    report = made(root, json.dumps(trainer).encode(), "data/eval.bin").report
    assert (report["total"], report["buckets"]) == ({"k": 95, "n": 100}, {"all": {"k": 95, "n": 100}})
    assert {name: score["better"] for name, score in report["scores"].items()} == {"f1": "higher", "loss": "lower"}
    saved = {"accuracy": 0.9, "wer": 0.125, "PER": {"f1": 0.5, "number": 7}, "_timestamp": "now", "precisions": [0.5]}
    report = made(root, json.dumps(saved).encode()).report
    assert report["total"] == {"k": 54, "n": 60}
    assert report["scores"] == {
        "wer": {"num": 1, "den": 8, "better": "lower", "scale": "rate"},
        "PER/f1": {"num": 1, "den": 2, "better": "higher", "scale": "rate"},
    }
    for data, eval_set, reason in (
        ({"accuracy": 0.9}, "data/eval.bin", "does not say of how many items"),
        ({"epoch": 3.0, "note": "x"}, "data/eval.csv", "no such share of right items; its measures: none"),
        ({"accuracy": 90.0}, "data/eval.csv", "no share between 0 and 1"),
        ({"accuracy": 0.9, "eval_samples": 100}, "data/eval.csv", "counts 100 items, but data/eval.csv has 60"),
    ):
        with pytest.raises(BadInput, match=reason):
            made(root, json.dumps(data).encode(), eval_set, format="hf")


@pytest.mark.parametrize(
    ("data", "asked", "name"),
    [
        ({"wer": 0.125}, {}, "wer"),
        (harness(results={"toy": {"word_perplexity,none": 9.5}}), {"eval_set": None}, "word_perplexity/toy"),
        (answered([], 30), {"lower": ("wer=edits/words",), "eval_set": "data/eval.jsonl"}, "wer"),
    ],
    ids=["hf", "lm-eval", "jsonl"],
)
def test_a_result_may_have_scores_alone(root: Path, data: Any, asked: dict[str, Any], name: str) -> None:
    """A speech recogniser has a word-error rate, and no sentence of it has to be right as a whole."""
    found = made(root, json.dumps(data).encode(), **asked).report
    report = convert_report(found)
    assert (report.total, report.buckets, report.failed, list(report.scores)) == (None, {}, (), [name])
    assert report.eval_set.n == (100 if "results" in data else 60)
    base = baseline_of(report, reason="first", approved_in="", entry_sha="a" * 64)
    assert judge(report_bytes(found), baseline=baseline_bytes(base), stable=report_bytes(found)).result == "pass"
    with pytest.raises(BadInput):
        made(root, json.dumps(data).encode(), **{**asked, "right": "acc"})


def test_items_are_asked_only_of_a_file_that_has_them(root: Path) -> None:
    for asked in ({"buckets": ("topic",)}, {"id_column": "id"}):
        with pytest.raises(BadInput, match="has measures and no items"):
            made(root, json.dumps(harness()).encode(), None, **asked)
