"""What the tutor says drift is looked for in: the same of a request as of the row that taught it."""

from __future__ import annotations

import msgspec

from minitutor import corpus
from minitutor.drift import values
from minitutor.workload import Minitutor


def test_a_sentence_of_the_grid_has_all_five() -> None:
    tutor = Minitutor()
    text = "Yesterday he goed to the Park."
    assert tutor.drift_values(text, tutor.features(text), accepted=True) == {
        "tense_person": "past_simple 3sg",
        "verb": "go",
        "token": ("yesterday", "he", "goed", "to", "the", "Xx", "."),
        "length": 6.0,
        "label": "passed as right",
    }


def test_without_its_text_the_features_serve() -> None:
    features = Minitutor().features("Yesterday he goed home.")
    assert set(values(None, features, accepted=False)) == {"tense_person", "verb", "label"}


def test_out_of_scope_and_unanswered() -> None:
    tutor = Minitutor()
    assert tutor.drift_values("Nice weather today.", tutor.features("Nice weather today."), accepted=False) == {}
    assert "label" not in values("He goes.", {"verb": "go"}, None)


def test_a_row_is_named_as_its_sentence_is() -> None:
    tutor = Minitutor()
    for row in corpus.rows(corpus.EVAL)[:300]:
        named = tutor.drift_row(msgspec.to_builtins(row))
        assert named == tutor.drift_values(row.text, tutor.features(row.text), accepted=row.label == "correct")
        if row.text != row.correction:
            assert (named["verb"], named["tense_person"]) == (row.verb, f"{row.tense} {row.person}")
