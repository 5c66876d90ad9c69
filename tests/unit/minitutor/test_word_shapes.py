"""What the model reads: grammar as written, every open word by its shape."""

from __future__ import annotations

import pytest

from minitutor.word_shapes import shaped


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Yesterday he goed to the museum at 8:30.", "yesterday he goed to the x at 2 ."),
        ("Why do Zoë’s friends from Kraków", "why do Xx 's xs from Xx"),
        ("The children and two policemen", "the xs and two xs"),
        ("She has lived here slowly, talking", "she has xed here xly , xing"),
        ("“£20” 日本 \u202e", "~ ~ 2 ~ x ~"),
        ("They didn’t", "they did n't"),
        ("", ""),
    ],
)
def test_a_text_is_read_as(text: str, read: str) -> None:
    assert shaped(text) == read


def test_words_that_no_corpus_holds_read_as_words_that_it_holds() -> None:
    assert shaped("Every day Łukasz and my shy nephews") == shaped("Every day Anna and my old friends")
    assert shaped("Does the pilot") == shaped("Does the teacher")
    assert shaped("my sister") != shaped("my sisters")
