"""The oracle: exact on the grid, silent elsewhere, unmoved by hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitutor import parse
from minitutor.workload import Minitutor


@pytest.mark.parametrize(
    ("text", "cell", "error", "right"),
    [
        ("Yesterday he goed to school.", "go past_simple 3sg", "over_regularised", "Yesterday he went to school."),
        ("I goes home.", "go present_simple 1sg", "extra_s", "I go home."),
        ("She never do the dishes.", "do present_simple 3sg", "missing_s", "She never does the dishes."),
        ("You have ate.", "eat past_participle 2sg", "past_for_participle", "You have eaten."),
        ("He'll saw it later.", "see simple_future 3sg", "inflected_after_will_to", "He'll see it later."),
        ("I would like to wrote it.", "write infinitive 1sg", "inflected_after_will_to", "I would like to write it."),
        ("You was late.", "be past_simple 2sg", "wrong_be_form", "You were late."),
        ("I have breakfast.", "have present_simple 1sg", "none", "I have breakfast."),
        ("Well. He go. She go!", "go present_simple 3sg", "missing_s", "Well. He goes. She goes!"),
    ],
)
def test_reads_a_cell(text: str, cell: str, error: str, right: str) -> None:
    parsed = parse.parse(text)
    assert parsed is not None
    assert f"{parsed.cell.verb} {parsed.cell.tense} {parsed.cell.person}" == cell
    assert parsed.error_type == error
    assert parse.oracle(text) == right


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The weather is nice.",
        "Yesterday he go home.",
        "He does not go.",
        "He gone home.",
        "They goes home.",
        "he",
        "He swims every day.",
        "Tomorrow he goed home.",
        "HE GOED HOME",
        "Did he went to school?",
        "doesn't she goes home?",
    ],
)
def test_leaves_alone_what_is_no_frame(text: str) -> None:
    assert parse.parse(text) is None
    assert parse.oracle(text) is None
    assert Minitutor().features(text) == {}


def test_features_name_the_cell() -> None:
    found = Minitutor().features("Yesterday he goed to school.")
    assert found == {
        "verb": "go",
        "tense": "past_simple",
        "person": "3sg",
        "regularity": "irregular",
        "error_type": "over_regularised",
        "form": "goed",
        "length": "up to 5 words",
    }


@given(
    st.text(max_size=500) | st.lists(st.sampled_from(["he ", "I ", "have ", "to ", "goed", "\u202e", "."])).map("".join)
)
def test_hostile_text_is_read_without_harm(text: str) -> None:
    parsed = parse.parse(text)
    if parsed is not None:
        assert text[parsed.at : parsed.at + len(parsed.form)] == parsed.form
