"""The rows of a comparison: aligned, the largest change first, and what is the same only on request."""

from __future__ import annotations

from typing import Any

import pytest

from modelspine.gate.eval_report import Count
from modelspine.identity.bundle import File
from modelspine.identity.tensors import Tensor
from modelspine.registry.diff import Comparison, Content, Delta, config_values
from modelspine.registry.diff_rows import Section, cut_rows, heading, sections, shown, unchanged


def tensor(name: str, size: int = 4, *, dtype: str = "F32", digest: str = "a") -> Tensor:
    return Tensor(name, dtype, (size // 4,), size, digest, f"{dtype}{size}{digest}")


def comparison(**more: Any) -> Comparison:
    content = {"settings": (), "tensors": (), "assets": (), "parents": (None, None)}
    content |= {name: more.pop(name) for name in [*more] if name in content}
    fields = {"tokenizer_changed": False, "corpora": (), "deltas": ()} | more
    return Comparison(a="a" * 64, b="b" * 64, content=Content(**content), **fields)


def section(found: Comparison, title: str, *, everything: bool = False) -> Section:
    return next(each for each in sections(found, everything=everything) if each.title == title)


def rows(found: Comparison, title: str, *, everything: bool = False) -> list[tuple[str, str, str, str]]:
    return [(row.name, row.a, row.b, row.change) for row in section(found, title, everything=everything).rows]


def delta(name: str, a: tuple[int, int] | None, b: tuple[int, int] | None) -> Delta:
    return Delta(name=name, a=Count(*a) if a else None, b=Count(*b) if b else None)


SCORES = comparison(
    deltas=(
        delta("total", (90, 100), (95, 100)), delta("false_accept", (4, 50), (2, 50)),
        delta("verb/be", (9, 10), (8, 10)), delta("verb/go", (5, 10), (9, 10)), delta("verb/do", (9, 10), (9, 10)),
        delta("verb/have", None, (3, 4)), delta("verb/see", (0, 0), (3, 4)), delta("verb/eat", (1, 2), (2, 4)),
    )
)  # fmt: skip


def test_buckets_are_sorted_by_how_far_they_moved() -> None:
    assert rows(SCORES, "buckets") == [
        ("verb/go", "5/10  50.0 %", "9/10  90.0 %", "+40.00"),
        ("verb/be", "9/10  90.0 %", "8/10  80.0 %", "−10.00"),
        ("verb/eat", "1/2  50.0 %", "2/4  50.0 %", "+0.00"),
        ("verb/have", "–", "3/4  75.0 %", "added"),
        ("verb/see", "0/0", "3/4  75.0 %", "changed"),
    ]
    assert rows(SCORES, "buckets", everything=True)[-1] == ("verb/do", "9/10  90.0 %", "9/10  90.0 %", "")
    assert heading(section(SCORES, "buckets")) == "buckets: 5 changes, 1 unchanged"


def test_more_false_accepts_are_worse_and_more_of_anything_else_is_better() -> None:
    better = {row.name: row.better for each in sections(SCORES) for row in each.rows}
    assert (better["total"], better["false_accept"]) == (True, True)
    assert (better["verb/be"], better["verb/go"], better["verb/eat"], better["verb/have"]) == (False, True, None, None)


def test_settings_are_sorted_by_ratio_and_then_by_name() -> None:
    a = {"d": 64, "r": 8, "gone": 1, "kind": "x", "same": [1, {}], "rate": 0.1, "flag": False}
    b = {"d": 128, "r": 1, "kind": "y", "same": [1.0, {}], "rate": 0.1, "flag": True}
    found = comparison(settings=tuple(config_values(a, b)))
    assert rows(found, "config") == [
        ("$.r", "8", "1", "changed"),
        ("$.flag", "false", "true", "changed"),
        ("$.kind", '"x"', '"y"', "changed"),
        ("$.d", "64", "128", "changed"),
        ("$.gone", "1", "–", "removed"),
    ]
    assert [row[0] for row in rows(found, "config", everything=True)][5:] == ["$.rate", "$.same[0]", "$.same[1]"]
    assert found.content.config == tuple(each for each in found.content.settings if each[1] != each[2])


def test_tensors_say_what_changed_and_the_largest_comes_first() -> None:
    pairs = (
        (tensor("small"), tensor("small", digest="b")),
        (tensor("type", 8), tensor("type", 4, dtype="I8")),
        (tensor("large", 400), tensor("large", 400, digest="b")),
        (tensor("shape"), tensor("shape", 40)),
        (tensor("same", 800), tensor("same", 800)),
        (None, tensor("new")),
        (tensor("old"), None),
    )
    assert [(row[0], row[3]) for row in rows(comparison(tensors=pairs), "tensors")] == [
        ("large", "values"), ("shape", "shape"), ("type", "type"), ("small", "values"), ("new", "added"),
        ("old", "removed"),
    ]  # fmt: skip
    assert rows(comparison(tensors=pairs), "tensors")[1][1:3] == ("F32 1", "F32 10")


def test_another_version_of_a_corpus_stands_beside_the_one_it_replaces() -> None:
    one, two, other = (
        {"path": path, "dvc_hash": digit * 32, "rows": 1200} for path, digit in (("t", "1"), ("t", "2"), ("u", "3"))
    )
    found = comparison(corpora=((one, None), (other, other), (None, two)))
    assert rows(found, "corpora") == [("t", "md5 111111111111 1,200 rows", "md5 222222222222 1,200 rows", "changed")]
    assert [row[0] for row in rows(found, "corpora", everything=True)] == ["t", "u"]
    assert rows(comparison(corpora=((one, None),)), "corpora")[0][3] == "removed"


def test_files_and_parents() -> None:
    found = comparison(
        assets=((File("vocab.txt", 10, "a" * 64), File("vocab.txt", 11, "b" * 64)),), parents=(None, "c" * 64)
    )
    assert rows(found, "other files") == [("vocab.txt", "aaaaaaaaaaaa 10 B", "bbbbbbbbbbbb 11 B", "changed")]
    assert rows(found, "parent") == [("parent", "–", "cccccccccccc", "added")]


def test_what_is_the_same_is_one_sentence_and_what_is_unknown_is_said() -> None:
    pairs = tuple((tensor(name), tensor(name)) for name in "ab")
    found = sections(comparison(tensors=pairs))
    assert unchanged(found) == "unchanged: tokenizer, parent, tensors (2)"
    assert [each.note for each in shown(found)] == ["neither entry was ever evaluated"]
    unclear = sections(comparison(tokenizer_changed=None, deltas=SCORES.deltas))
    assert [each.note for each in shown(unclear) if each.note] == [
        "tokenizer: unknown; it is not recorded separately from the config"
    ]
    assert "tokenizer" not in unchanged(unclear)


@pytest.mark.parametrize(("most", "kept", "more"), [(2, 2, "and 3 more"), (5, 5, ""), (9, 5, "")])
def test_long_sections_are_cut_and_say_so(most: int, kept: int, more: str) -> None:
    listed, left_out = cut_rows(section(SCORES, "buckets").rows, most)
    assert len(listed) == kept
    assert left_out.startswith(more)
    assert bool(left_out) == bool(more)
