"""Only verbs can change: whatever the model says, everything else comes back as it was written."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minitutor import conjugation, corpus, lattice, parse, sets
from minitutor.conjugation import VERBS
from minitutor.corpus import Row
from minitutor.homographs import verb_of
from minitutor.lattice import Edit
from minitutor.tutor import Tutor

SENTENCES = 20_000 if os.environ.get("SPINE_FAULTS") == "long" else 1_000
WORDS = sorted({word for verb in VERBS for word in conjugation.forms(verb)}, key=len, reverse=True)
VERB = re.compile(rf"(?<!\w)(?:{'|'.join(WORDS)})(?=n['’]t(?!\w)|(?!\w))", re.IGNORECASE)
MARKS = [
    "{}",
    "“{}”",
    "({})",
    "{}…",
    "\t{}\n",
    "<p>{}</p>",
    "{} 🙂",
    "\u202e{}",
    "¿{}?",
    "{}\x00\x1b[31m",
    "1) {}",
    "«{}»",
]
CLAUSES = ["he goed", "Did they went", "my brother have ate", "We was"]
SALAD = (
    *("he", "they", "i", "Anna", "my", "brother", "the", "children", "both", "so", "what", "where", "and", "but"),
    *(
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "will",
        "is",
        "are",
        "was",
        "not",
        "n't",
        "'s",
        "'ve",
        "to",
        "because",
    ),
    *("go", "goes", "went", "goed", "eaten", "eat", "want", "wants", "like", "recently", "quickly", "never"),
    *("?", ",", ".", "8", "_", "/", "go.com"),
)
PLACES = [
    "the museum",
    "Kraków",
    "gate C-12",
    "Zoë’s café",
    "8:30",
    "£20",
    "東京",
    "<eos>",
    "naïve",
    "e\u0301tape",
    "the_x",
]


def masked(text: str) -> str:
    """The text with every word of the twenty verbs blanked: what no answer may change."""
    return VERB.sub("#", text)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [*corpus.rows(corpus.EVAL), *sets.held_out_rows()]


def generated(rows: list[Row]) -> list[str]:
    """Sentences of both generators with marks, places and alphabets that no corpus has, some of 500 characters."""
    draw = random.Random("lattice")
    found = []
    for _ in range(SENTENCES):
        first, second = (rows[int(draw.random() * len(rows))].text for _ in range(2))
        place = PLACES[int(draw.random() * len(PLACES))]
        mark = MARKS[int(draw.random() * len(MARKS))]
        cut = first.rstrip(".")
        long = "".join(chr(33 + int(draw.random() * 900)) for _ in range(300)) if draw.random() < 0.1 else ""
        found.append(f"{mark.format(f'{cut} near {place}.')} {second if draw.random() < 0.5 else ''}{long}"[:500])
    return found


def test_only_verbs_change_whatever_the_model_says(random_tutor: Tutor, tiny: dict[str, Any], rows: list[Row]) -> None:
    texts = generated(rows)
    for tutor in (random_tutor, Tutor.load(Path(tiny["bundle"]))):
        answers = tutor.answer(texts)
        changed = [n for n, answer in enumerate(answers) if answer.output != texts[n]]
        assert len(changed) > SENTENCES / 20, "a model that changes nothing proves nothing"
        for text, answer in zip(texts, answers, strict=True):
            assert masked(answer.output) == masked(text)
            assert answer.in_scope or answer.output == text
            assert (answer.output == text) == (not answer.fields["edits"])


def salad(n: int) -> Iterator[str]:
    """Grammar words in no order at all."""
    draw = random.Random("salad")
    for _ in range(n):
        drawn = [SALAD[int(draw.random() * len(SALAD))] for _ in range(3 + int(draw.random() * 12))]
        yield " ".join(drawn).replace(" n't", "n't")


def test_no_two_verbs_share_a_place_whatever_the_order_of_words(random_tutor: Tutor) -> None:
    found = list(salad(5 * SENTENCES))
    for text in found:
        places = [(clause.at, clause.end) for clause in parse.clauses(text)]
        assert all(one[1] <= other[0] for one, other in pairwise(places)), text
    for text, answer in zip(found, random_tutor.answer(found[:SENTENCES]), strict=False):
        assert masked(answer.output) == masked(text)


def test_edits_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        lattice.applied("She have gone", [Edit(4, 8, "have", "has"), Edit(4, 8, "have", "has")])


def test_every_eval_item_keeps_all_but_its_verbs(random_tutor: Tutor, rows: list[Row]) -> None:
    texts = [row.text for row in rows]
    for text, answer in zip(texts, random_tutor.answer(texts), strict=True):
        assert masked(answer.output) == masked(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=200),
    st.sampled_from(CLAUSES),
    st.text(max_size=200),
)
def test_any_characters_around_a_verb_come_back(random_tutor: Tutor, before: str, clause: str, after: str) -> None:
    text = f"{before} {clause} {after}"
    assert masked(random_tutor.answer([text])[0].output) == masked(text)


def test_the_edits_are_the_difference(random_tutor: Tutor, rows: list[Row]) -> None:
    texts = [f"  {row.text}" for row in rows[::13]]
    for text, answer in zip(texts, random_tutor.answer(texts), strict=True):
        made = [Edit(**edit) for edit in answer.fields["edits"]]
        assert lattice.applied(text, made) == answer.output
        assert all(text[edit.begin : edit.end] == edit.before != edit.after for edit in made)
        assert all(edit.after.lower() in conjugation.forms(verb_of()[edit.before.lower()]) for edit in made)
        assert answer.features.get("answer_edits", "") == "; ".join(f"{edit.before} → {edit.after}" for edit in made)


def test_wrong_forms_stand_beside_right_ones() -> None:
    (clause,) = parse.clauses("Yesterday he went to school.")
    found = lattice.candidates(clause, "Yesterday he went to school.")
    assert found[0] == "went"
    assert {"go", "goes", "gone", "goed", "gos"} <= set(found)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("He don't go home.", {"do", "does", "did"}),
        ("They wasn't here.", {"is", "are", "was", "were"}),
    ],
)
def test_nothing_is_offered_that_not_cannot_follow(text: str, allowed: set[str]) -> None:
    assert set(lattice.candidates(parse.clauses(text)[0], text)) == allowed


def test_a_capital_stays_where_a_question_begins_with_the_verb() -> None:
    assert parse.cased("were", "Was") == "Were"
    assert parse.cased("were", "was") == "were"
