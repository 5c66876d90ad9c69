"""The held-out sentences: whole, labelled as the taxonomy says, and the same each time."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import pytest

from minitutor import conjugation, grid, heldout, mistakes
from minitutor.heldout import Sentence

SENTENCES: Final = heldout.heldout_sentences()
CELLS: Final = Counter((sentence.verb, sentence.tense, sentence.person) for sentence in SENTENCES)
WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\S")


def bare(word: str) -> str:
    return word.removesuffix("n't").lower()


def forms(verb: str) -> set[str]:
    """Every word a verb can be written as, right or wrong."""
    finite = {conjugation.present(verb, person) for person in conjugation.PERSONS}
    finite |= {conjugation.past(verb, person) for person in conjugation.PERSONS}
    return finite | {verb, conjugation.third_person(verb), conjugation.participle(verb), conjugation.with_ed(verb)}


def test_the_sentences_are_the_same_each_time() -> None:
    assert heldout.heldout_sentences() == SENTENCES


def test_there_are_about_two_thousand_and_none_twice() -> None:
    assert 1900 <= len(SENTENCES) <= 2200
    assert len({sentence.text for sentence in SENTENCES}) == len(SENTENCES)
    assert len({sentence.correction for sentence in SENTENCES}) == len(SENTENCES)


def test_every_cell_has_at_least_six() -> None:
    assert set(CELLS) == set(grid.cells())
    assert min(CELLS.values()) >= 6


@pytest.mark.parametrize("frame", [*heldout._STATEMENTS, *heldout._QUESTIONS])
def test_every_frame_is_used(frame: str) -> None:
    assert sum(sentence.frame == frame for sentence in SENTENCES) >= 10


def test_text_and_correction_differ_in_the_labelled_word_alone() -> None:
    for sentence in SENTENCES:
        text, correction = WORD.findall(sentence.text), WORD.findall(sentence.correction)
        changed = [(one, other) for one, other in zip(text, correction, strict=True) if one != other]
        if sentence.error_type == mistakes.NONE:
            assert sentence.text == sentence.correction
            assert sentence.written == sentence.correct_form
            assert sentence.written in text
        else:
            assert changed == [(sentence.written, sentence.correct_form)], sentence


def test_the_words_are_forms_of_the_verb() -> None:
    for sentence in SENTENCES:
        assert {bare(sentence.written), bare(sentence.correct_form)} <= forms(sentence.verb), sentence


def base_expected(sentence: Sentence) -> bool:
    return sentence.tense in {grid.INFINITIVE, grid.FUTURE} or sentence.error_type == mistakes.INFLECTED


def test_the_right_word_is_the_cells_or_the_base_form_after_a_helper() -> None:
    for sentence in SENTENCES:
        cell = grid.form(sentence.verb, sentence.tense, sentence.person)
        right = bare(sentence.correct_form)
        if base_expected(sentence):
            assert right == sentence.verb, sentence
        elif right != cell:  # a right sentence with do, does or did
            assert right == sentence.verb, sentence
            assert re.search(r"\b(do|does|did)(n't)?\b", sentence.text, re.IGNORECASE), sentence


def test_every_wrong_word_is_one_of_its_kind() -> None:
    for sentence in SENTENCES:
        if sentence.error_type == mistakes.NONE:
            continue
        cell = grid.cells()[sentence.verb, sentence.tense, sentence.person]
        known = {(kind, word) for word, kind in mistakes.wrong_forms(cell.verb, cell.tense, cell.person).items()}
        inflected = {conjugation.third_person(sentence.verb), conjugation.past(sentence.verb, sentence.person)}
        known |= (
            {(mistakes.INFLECTED, word) for word in inflected} if sentence.error_type == mistakes.INFLECTED else set()
        )
        assert (sentence.error_type, bare(sentence.written)) in known, sentence


@pytest.mark.parametrize("kind", mistakes.MISTAKES)
def test_every_mistake_is_there_often(kind: str) -> None:
    assert sum(sentence.error_type == kind for sentence in SENTENCES) >= 40


def test_the_share_of_wrong_sentences_where_a_mistake_is_possible() -> None:
    irregular = [
        sentence for sentence in SENTENCES if sentence.verb in {"be", "do", "go", "come", "see", "eat", "write"}
    ]
    wrong = sum(sentence.error_type != mistakes.NONE for sentence in irregular)
    assert 0.6 < wrong / len(irregular) < 0.72


def test_goed_has_its_sixty_plain_statements() -> None:
    cell = [sentence for sentence in SENTENCES if (sentence.verb, sentence.tense) == ("go", grid.PAST)]
    goed = [sentence for sentence in cell if sentence.written == "goed"]
    went = [sentence for sentence in cell if sentence.written == "went" and sentence.correct_form == "went"]
    assert len(goed) >= 51
    assert len(goed) + len(went) >= 60


def test_nothing_is_left_of_the_making() -> None:
    for sentence in SENTENCES:
        for text in (sentence.text, sentence.correction, sentence.complement):
            assert not re.search(r"[{}|@^]|  | [.,?!…]", text), sentence
        assert len(sentence.text) <= 320
        assert re.search(r"""[.?!…)”’"]$""", sentence.text), sentence
        assert sentence.complement in sentence.text
