"""Tokens and sentences: every character is in its place, contractions come apart, marks end sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitutor.word_tokens import sentence_spans, word_tokens


def words(text: str) -> list[str]:
    return [token.raw for token in word_tokens(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He didn't go.", ["He", "did", "n't", "go", "."]),
        ("They’ll go, won’t they?", ["They", "’ll", "go", ",", "wo", "n’t", "they", "?"]),
        ("O'Neill's dog", ["O'Neill", "'s", "dog"]),
        (
            "a well-known e\u0301tape at 8:30, £20.",
            ["a", "well-known", "e\u0301tape", "at", "8:30", ",", "£", "20", "."],
        ),
    ],
)
def test_a_text_comes_apart(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He go. She go!", ["He go.", "She go!"]),
        ("“Did he go?” Yes… No", ["“Did he go?”", "Yes…", "No"]),
        ("Mr. Smith is here at 8.30.", ["Mr. Smith is here at 8.30."]),
        ("one\n two", ["one", "two"]),
        ("Hello!\nMr. Smith is here.", ["Hello!", "Mr. Smith is here."]),
        ("“Dr. Who?” No. Yes.", ["“Dr. Who?”", "No.", "Yes."]),
        ("  ", []),
    ],
)
def test_marks_and_lines_end_sentences(text: str, expected: list[str]) -> None:
    assert [text[begin:end].strip() for begin, end in sentence_spans(text)] == expected


@given(st.text(max_size=300))
def test_no_character_is_lost(text: str) -> None:
    found = [token for begin, end in sentence_spans(text) for token in word_tokens(text, begin, end)]
    assert all(text[token.begin : token.end] == token.raw for token in found)
    places = {at for token in found for at in range(token.begin, token.end)}
    assert all(text[at].isspace() or at in places for at in range(len(text)) if text[at] != "\u0301")
