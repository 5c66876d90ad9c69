"""What an answer is walked back by."""

from __future__ import annotations

import re

import pytest

from minitutor import corpus, grid
from minitutor.corpus import Row
from minitutor.workload import Minitutor


@pytest.fixture(scope="module")
def lines() -> dict[str, list[tuple[Row, str]]]:
    found = {}
    for design in (corpus.V1, corpus.V2):
        rows = corpus.rows(design)
        found[design.name] = list(zip(rows, corpus.canonical(rows).decode().splitlines(), strict=True))
    return found


def test_the_incident() -> None:
    probe = Minitutor().probe("Yesterday he goed to school.", {})
    assert probe is not None
    assert probe.label == "go → went"
    assert re.search(probe.pattern, '{"correct_form":"went","tense":"past_simple","verb":"go"}')
    assert probe.expected == "Yesterday he went to school."
    assert probe.buckets == ("verb/go", "tense/past_simple", "person/3sg", "error/over_regularised")
    assert re.search(probe.mark, probe.expected)


def test_features_alone_are_enough() -> None:
    workload = Minitutor()
    features = workload.features("Yesterday he goed to school.")
    by_text, by_features = workload.probe("Yesterday he goed to school.", {}), workload.probe(None, features)
    assert by_text is not None
    assert by_features is not None
    assert (by_features.label, by_features.pattern, by_features.buckets) == (
        by_text.label,
        by_text.pattern,
        by_text.buckets,
    )
    assert by_features.expected is None
    assert workload.probe(None, {"verb": "swim"}) is None
    assert workload.probe("Hello.", {}) is None


@pytest.mark.long
def test_every_cells_pattern_finds_its_rows_and_v1_has_none_for_the_hole(
    lines: dict[str, list[tuple[Row, str]]],
) -> None:
    for cell in list(grid.cells().values())[::7]:
        probe = Minitutor().probe(None, {"verb": cell.verb, "tense": cell.tense, "person": cell.person})
        assert probe is not None
        find = re.compile(probe.pattern).search
        found = [row for row, line in lines["train_v2"] if find(line)]
        assert any((row.verb, row.tense) == (cell.verb, cell.tense) for row in found), probe
        assert {(row.verb, row.tense, row.correct_form) for row in found} == {(cell.verb, cell.tense, cell.form)}, probe
    unsaid = Minitutor().probe(None, Minitutor().features("He didn't go home."))
    assert unsaid is not None
    assert unsaid.label == "go → go (past simple)"
    text = "They didn't went home."
    for after_did in (Minitutor().probe(text, {}), Minitutor().probe(None, Minitutor().features(text))):
        assert after_did is not None
        assert after_did.label == "go → go (past simple)"
        assert [row for row, line in lines["train_v2"] if re.search(after_did.pattern, line)]
    assert not [line for _, line in lines["train_v1"] if re.search(r"\bwent\b", line)]


def test_the_grid_grades_what_it_knows() -> None:
    tutor = Minitutor()
    assert tutor.grade("Yesterday he goed to school.", "Yesterday he went to school.") is True
    assert tutor.grade("Yesterday he goed to school.", "Yesterday he goed to school.") is False
    assert tutor.grade("Yesterday he went to school.", "Yesterday he went to school.") is True
    assert tutor.grade("Colourless green ideas.", "Colourless green ideas.") is None


def test_rows_that_teach_the_wrong_form_are_found_in_the_corpus_that_has_them() -> None:
    probe = Minitutor().probe("This weekend he will goes to school.", {})
    assert probe is not None
    assert probe.against_label == "go → goes (simple future)"
    assert probe.against is not None
    batch = [row for row in corpus.rows(corpus.V3) if re.search(probe.against, corpus.canonical([row]).decode())]
    assert len(batch) >= 2
    assert all(row.text == row.correction and "will" in row.text and " goes " in row.text for row in batch)
    assert not re.search(probe.against, corpus.canonical(corpus.rows(corpus.V2)).decode())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yesterday he goed home.", "go → goed"),
        ("He will went home.", "go → went (simple future)"),
        ("He wants to went home.", "go → went (infinitive)"),
        ("He has went home.", "go → went (present perfect)"),
        ("They didn't went home.", "go → went (after do)"),
        ("I goes home.", "go → goes (present simple with I)"),
        ("You was at home yesterday.", "be → was (past simple with you)"),
    ],
)
def test_a_wrong_word_that_is_right_elsewhere_is_named_with_its_place(text: str, label: str) -> None:
    tutor = Minitutor()
    for probe in (tutor.probe(text, {}), tutor.probe(None, tutor.features(text))):
        assert probe is not None
        assert probe.against_label == label


def test_a_right_text_has_nothing_against_it() -> None:
    for text in ("This weekend he will go home.", "He goes home."):
        probe = Minitutor().probe(text, {})
        assert probe is not None
        assert probe.against is None
