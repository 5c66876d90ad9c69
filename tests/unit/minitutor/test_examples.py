"""Training examples: what noise may touch, and what the order follows from."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from minitutor import corpus, examples, lattice
from minitutor.examples import Encoded, Example
from minitutor.tokenizer import BOS_ID, EOS_ID, KEEP_ID, SEP_ID, Codec, learn

ROWS = corpus.rows(corpus.V1)[::40]
WRONG = Example("Yesterday my sister ", "eated", " in the park.", "ate")
RIGHT = Example("Every day Anna ", "eats", " an apple.", None)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.of(learn([text for row in ROWS for text in (row.text, row.correction)], 512))


@pytest.fixture(scope="module")
def source(codec: Codec) -> examples.Tokens:
    return examples.tokens((row.verb for row in ROWS), codec)


def test_a_row_gives_an_example_for_each_of_its_verbs() -> None:
    rows = {row.id: row for row in corpus.rows(corpus.V2)}
    for row in list(rows.values())[::97]:
        found = examples.examples(row)
        forms = {one.form for one in found}
        assert (row.correct_form in forms) == (row.text != row.correction)
        for one in found:
            assert f"{one.before}{one.word}{one.after}".lower() in row.text.lower()
        assert sum(one.form is not None for one in found) == (row.text != row.correction)


def test_a_batch_that_nobody_corrected_teaches_what_is_written() -> None:
    written = [row for row in corpus.rows(corpus.V3) if row.template.startswith("weekend") and " goes " in row.text]
    assert written
    assert all(one.form is None for row in written for one in examples.examples(row))


def test_a_prompt_ends_with_the_words_that_decide(codec: Codec) -> None:
    found = examples.encoded(WRONG, codec)
    after, before, word = [*(codec.encode(part) for part in ("in the x .", "yesterday my x", "eated"))]
    assert found.prompt == [BOS_ID, *after, SEP_ID, *before, SEP_ID, *word, SEP_ID]
    assert found.form == codec.encode("ate")
    assert found.ids[-1] == EOS_ID
    assert examples.encoded(RIGHT, codec).form == [KEEP_ID]


def test_a_long_sentence_keeps_what_stands_near_the_verb(codec: Codec) -> None:
    near = lattice.prompt(codec, "word " * 100 + "he will", "goes", " to school" + " word" * 100)
    assert len(near) < lattice.MOST_BEFORE + lattice.MOST_AFTER + lattice.MOST_WORD + 5
    cut = near.index(SEP_ID)
    assert codec.decode(near[1:cut]).startswith("to x x")
    assert codec.decode(near[cut + 1 : near.index(SEP_ID, cut + 1)]).endswith("he will")


def drawn(one: Example, codec: Codec, source: examples.Tokens) -> list[tuple[str, str, str]]:
    """What noise made of an example: before, word and after as the model reads them."""
    draw, found = random.Random(1), []
    for _ in range(200):
        made: Encoded = examples.noisy(examples.encoded(one, codec), draw, source)
        first = made.prompt.index(SEP_ID)
        second = made.prompt.index(SEP_ID, first + 1)
        assert made.form == examples.encoded(one, codec).form
        parts = (made.prompt[first + 1 : second], made.prompt[second + 1 : -1], made.prompt[1:first])
        found.append(tuple(codec.decode(part) for part in parts))
    return found  # type: ignore[return-value]


def test_noise_leaves_a_wrong_verb_and_the_grammar_before_it_alone(codec: Codec, source: examples.Tokens) -> None:
    made = drawn(WRONG, codec, source)
    assert {word for _, word, _ in made} == {"eated"}
    assert {before for before, _, _ in made} == {"yesterday my x"}
    assert len({after for _, _, after in made}) > 20


def test_a_strange_word_in_a_right_verbs_place_is_kept(codec: Codec, source: examples.Tokens) -> None:
    strange = [word for _, word, _ in drawn(RIGHT, codec, source) if word != "eats"]
    assert 20 < len(strange) < 120


def test_batches_follow_from_the_seed(codec: Codec) -> None:
    def first(seed: str) -> list[list[list[int]]]:
        return [[item.ids for item in batch] for batch in islice(examples.batches(ROWS, codec, 8, seed), 60)]

    assert first("1") == first("1")
    assert first("1") != first("2")
    assert all(len(batch) == 8 for batch in first("1"))


def test_learning_a_tokenizer_repeats_and_loses_nothing(codec: Codec) -> None:
    texts = [row.text for row in ROWS]
    assert learn(texts, 400) == learn(texts, 400)
    for text in [*texts[:50], "naïve café 日本 \u202e\x00 🙂", "<sep"]:
        assert codec.decode(codec.encode(text)) == text
