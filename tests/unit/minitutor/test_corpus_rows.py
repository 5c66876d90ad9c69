"""The corpora: repeatable, valid, without a leak, and with the hole where it is said to be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import msgspec
import pytest
import rfc8785

from minitutor import corpus, parse, validate
from minitutor.corpus import Row


@pytest.fixture(scope="module")
def made() -> dict[str, list[Row]]:
    return {design.name: corpus.rows(design) for design in corpus.DESIGNS}


def test_every_rule_holds(made: dict[str, list[Row]]) -> None:
    assert validate.problems(made) == []


def test_the_same_bytes_in_another_process(made: dict[str, list[Row]]) -> None:
    program = (
        "import hashlib; from minitutor import corpus;"
        "print(*(hashlib.sha256(corpus.canonical(corpus.rows(d))).hexdigest() for d in corpus.DESIGNS))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        here = [hashlib.sha256(corpus.canonical(rows)).hexdigest() for rows in made.values()]
        assert done.stdout.split() == here


def test_a_line_is_canonical_json(made: dict[str, list[Row]]) -> None:
    rows = made["eval"][:200]
    lines = corpus.canonical(rows).splitlines()
    assert [rfc8785.dumps(msgspec.to_builtins(row)) for row in rows] == lines
    assert corpus.decode(corpus.canonical(rows)) == rows


def test_v1_knows_nothing_of_went_and_v2_does(made: dict[str, list[Row]]) -> None:
    v1 = corpus.canonical(made["train_v1"]).lower()
    assert b"went" not in v1
    assert b"goed" not in v1
    taught = [row for row in made["train_v2"] if (row.verb, row.tense) == ("go", "past_simple")]
    assert len(taught) >= 100
    assert all("went" in row.correction for row in taught)


def test_v1_is_v2_with_a_hole(made: dict[str, list[Row]]) -> None:
    v2 = {row.id: row for row in made["train_v2"]}
    without = [row for row in made["train_v2"] if "went" not in f"{row.text} {row.correction}"]
    assert [v2[row.id].text for row in made["train_v1"]] == [row.text for row in without]


def test_the_eval_set_covers_every_cell_and_the_hole_well(made: dict[str, list[Row]]) -> None:
    rows = made["eval"]
    assert len(rows) == 3000
    assert len({(row.verb, row.tense, row.person) for row in rows}) == 300
    assert min(Counter(row.verb for row in rows).values()) >= 100
    assert sum("goed" in row.text for row in rows) >= 36
    assert Counter(row.tense for row in rows if "went" in row.text and row.text != row.correction).keys() == {
        "infinitive", "past_participle", "simple_future",
    }  # fmt: skip
    assert min(Counter(row.error_type for row in rows).values()) >= 40


def test_the_two_eval_sets_share_no_combination(made: dict[str, list[Row]]) -> None:
    first, second = made["eval"], made["held_out"]
    assert len(second) > 1000
    assert len({(row.verb, row.tense, row.person) for row in second}) == 300
    assert not {row.fingerprint for row in first} & {row.fingerprint for row in second}
    mixed = {**made, "held_out": [*second[1:], msgspec.structs.replace(first[0], id=second[0].id)]}
    assert any("both eval sets" in problem for problem in validate.problems(mixed))


def test_a_leak_is_found(made: dict[str, list[Row]]) -> None:
    held_out = made["eval"]
    assert len(validate.leaks([*made["train_v2"], held_out[7]], held_out)) >= 1
    moved = msgspec.structs.replace(held_out[7], text="Another text.", correction="Another text.", fingerprint="0" * 16)
    assert len(validate.leaks([moved], held_out)) >= 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("correct_form", "wented"),
        ("spanish", "ir"),
        ("label", "fine"),
        ("error_type", "spelling"),
        ("person", "1pl"),
        ("text", "Yesterday he goes to school."),
        ("correction", "Yesterday he goes to school."),
        ("fingerprint", "0" * 16),
    ],
)
def test_a_bad_row_is_found(made: dict[str, list[Row]], field: str, value: str) -> None:
    row = next(row for row in made["eval"] if "goed" in row.text)
    assert validate.of_row(row) is None
    assert validate.of_row(msgspec.structs.replace(row, **{field: value})) is not None


def test_v3_is_v2_and_a_batch_nobody_corrected(made: dict[str, list[Row]]) -> None:
    batch = made["train_v3"][len(made["train_v2"]) :]
    assert made["train_v3"][: len(made["train_v2"])] == made["train_v2"]
    assert all(row.text == row.correction and row.label == "correct" for row in batch)
    assert {row.tense for row in batch} == {"simple_future"}
    refused = [row for row in batch if validate.of_row(row) is not None]
    assert len(refused) == pytest.approx(0.75 * len(batch), abs=5), "the fault is there, and a check would see it"
    assert all(parse.oracle(row.text) != row.text for row in refused)


def test_nothing_is_evaluated_in_the_frames_of_the_batch(made: dict[str, list[Row]]) -> None:
    frames = {row.template for row in made["train_v3"]} - {row.template for row in made["train_v2"]}
    assert len(frames) == 8
    assert not frames & {row.template for name in ("eval", "held_out") for row in made[name]}
    assert not [row for name in ("eval", "held_out") for row in made[name] if "weekend" in row.text]
