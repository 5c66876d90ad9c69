"""Training examples: what noise may touch, and what the order follows from."""

from __future__ import annotations

import functools
import random
from itertools import islice

import msgspec
import pytest

from minitutor import corpus, examples, lattice, parse
from minitutor.corpus import Row
from minitutor.examples import Encoded
from minitutor.tokenizer import BOS_ID, EOS_ID, KEEP_ID, SEP_ID, Codec, learn
from minitutor.word_shapes import shaped


@functools.cache
def v1_rows() -> list[Row]:
    """A part of v1, made when a test first asks: making the whole corpus takes a second."""
    return corpus.rows(corpus.V1)[::37]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.of(learn([shaped(text) for row in v1_rows() for text in (row.text, row.correction)], 512))


@pytest.fixture(scope="module")
def source(codec: Codec) -> examples.NoiseTokens:
    return examples.noise_tokens((row.verb for row in v1_rows()), codec)


def row(text: str, correction: str) -> Row:
    """A row with this text; what else it says is not read."""
    return msgspec.structs.replace(v1_rows()[0], text=text, correction=correction)


def parts(one: Encoded, codec: Codec) -> tuple[str, str, str]:
    """The words around, the place and the verb's word of a prompt."""
    first = one.prompt.index(SEP_ID)
    second = one.prompt.index(SEP_ID, first + 1)
    assert (one.prompt[0], one.prompt[-1]) == (BOS_ID, SEP_ID)
    found = one.prompt[1:first], one.prompt[first + 1 : second], one.prompt[second + 1 : -1]
    return codec.decode(found[0]), codec.decode(found[1]), codec.decode(found[2])


@pytest.mark.long
def test_a_row_gives_an_example_for_each_of_its_verbs(codec: Codec) -> None:
    for one in corpus.rows(corpus.V2)[::97]:
        found = examples.examples(one, codec)
        assert len(found) == len(parse.clauses(one.text))
        changed = [example for example in found if example.form != [KEEP_ID]]
        assert len(changed) == (one.text != one.correction)
        assert all(codec.decode(example.form) == one.correct_form for example in changed)


def test_an_uncorrected_batch_teaches_what_is_written(codec: Codec) -> None:
    written = [one for one in corpus.rows(corpus.V3) if one.template.startswith("weekend") and " goes " in one.text]
    assert written
    assert all(example.form == [KEEP_ID] for one in written for example in examples.examples(one, codec))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Yesterday my sister eated in the park.", ("yesterday", "my x", "eated")),
        ("I think that Tom goed home.", ("", "Xx", "goed")),
        ("Why don't the two boys plays?", ("", "do n't the two xs", "plays")),
        ("How is your best friends today?", ("your x xs today", "", "is")),
        ("The work never have an end.", ("", "the x never", "have")),
        ("On Saturday he'll goes by bus.", ("saturday", "he 'll", "goes")),
    ],
)
def test_the_model_reads_the_words_that_decide(codec: Codec, text: str, read: tuple[str, str, str]) -> None:
    clause = next(one for one in parse.clauses(text) if one.error_type != "none")
    around, place = lattice.read(clause, text)
    assert (around, place, clause.form) == read


def test_a_long_place_keeps_what_stands_near_the_verb(codec: Codec) -> None:
    near = lattice.prompt(codec, "yesterday " * 100, "the x " * 100 + "never", "goes")
    assert len(near) <= lattice.MOST_BEFORE + lattice.MOST_AROUND + lattice.MOST_WORD + 4
    assert parts(Encoded(near, [KEEP_ID], 0), codec)[1].endswith("the x never")


def drawn(text: str, correction: str, codec: Codec, source: examples.NoiseTokens) -> list[tuple[str, str, str]]:
    """What noise made of a row's only example."""
    (clean,), draw = examples.examples(row(text, correction), codec), random.Random(1)
    made = [examples.noisy(clean, draw, source) for _ in range(200)]
    assert all(one.form == clean.form for one in made)
    return [parts(one, codec) for one in made]


def test_noise_leaves_a_wrong_verb_and_its_place_alone(codec: Codec, source: examples.NoiseTokens) -> None:
    made = drawn("Yesterday my sister eated fish.", "Yesterday my sister ate fish.", codec, source)
    assert {(place, word) for _, place, word in made} == {("my x", "eated")}
    assert len({around for around, _, _ in made}) > 10


def test_a_strange_word_in_a_right_verbs_place_is_kept(codec: Codec, source: examples.NoiseTokens) -> None:
    made = drawn("Anna eats fish.", "Anna eats fish.", codec, source)
    assert 20 < sum(word != "eats" for _, _, word in made) < 120


def test_batches_follow_from_the_seed(codec: Codec) -> None:
    def first(seed: str) -> list[list[list[int]]]:
        return [[item.ids for item in batch] for batch in islice(examples.batches(v1_rows(), codec, 8, seed), 60)]

    assert first("1") == first("1")
    assert first("1") != first("2")
    assert all(len(batch) == 8 for batch in first("1"))
    assert all(ids[-1] == EOS_ID for batch in first("1") for ids in batch)


def test_learning_a_tokenizer_repeats_and_loses_nothing(codec: Codec) -> None:
    texts = [one.text for one in v1_rows()]
    assert learn(texts, 400) == learn(texts, 400)
    for text in [*texts[:50], "naïve café 日本 \u202e\x00 🙂", "<sep"]:
        assert codec.decode(codec.encode(text)) == text
