"""Training examples: what noise may touch, and what the order follows from."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from minitutor import corpus, examples
from minitutor.corpus import Row
from minitutor.tokenizer import BOS_ID, EOS_ID, SEP_ID, Codec, learn

ROWS = corpus.rows(corpus.V1)[::40]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.of(learn([text for row in ROWS for text in (row.text, row.correction)], 512))


@pytest.fixture(scope="module")
def source(codec: Codec) -> examples.Tokens:
    return examples.tokens((row.verb for row in ROWS), codec)


def test_an_example_is_prompt_and_correction(codec: Codec) -> None:
    row = next(row for row in ROWS if row.label == "mis_conjugated")
    found = examples.example(row, codec)
    assert found.ids == [BOS_ID, *codec.encode(row.text), SEP_ID, *codec.encode(row.correction), EOS_ID]
    assert codec.decode(found.ids[found.start :]) == row.correction
    assert len(found.weights) == len(found.ids) - found.start
    assert found.verb is None


def test_the_verb_and_the_complement_are_found(codec: Codec) -> None:
    for row in ROWS:
        found = examples.example(row, codec)
        assert codec.decode(found.sentence[len(found.sentence) - found.tail :]).startswith(row.complement)
        if found.verb is not None:
            assert codec.decode(found.sentence[slice(*found.verb)]) == row.correct_form


def changed(row: Row, codec: Codec, source: examples.Tokens) -> list[tuple[examples.Example, examples.Example]]:
    clean, draw = examples.example(row, codec), random.Random(1)
    found = (examples.noisy(clean, draw, source) for _ in range(200))
    return [(clean, noisy) for noisy in found if noisy.sentence != clean.sentence]


def test_noise_leaves_what_is_corrected_alone(codec: Codec, source: examples.Tokens) -> None:
    row = next(row for row in ROWS if row.label == "mis_conjugated")
    pairs = changed(row, codec, source)
    assert len(pairs) > 20
    for clean, noisy in pairs:
        head = len(clean.sentence) - clean.tail
        assert noisy.sentence[:head] == clean.sentence[:head]
        assert noisy.correction[: len(clean.correction) - clean.tail] == clean.correction[: -clean.tail]
        assert noisy.sentence[head:] == noisy.correction[-clean.tail :]
        assert len(noisy.weights) == len(noisy.correction) + 1


def test_a_right_sentence_stays_right_under_noise(codec: Codec, source: examples.Tokens) -> None:
    row = next(row for row in ROWS if row.label == "correct")
    pairs = changed(row, codec, source)
    assert len(pairs) > 20
    assert any(len(noisy.sentence) > len(clean.sentence) for clean, noisy in pairs)
    assert all(noisy.sentence == noisy.correction for _, noisy in pairs)
    assert all(len(noisy.weights) == len(noisy.correction) + 1 for _, noisy in pairs)
    assert all(min(noisy.sentence) > EOS_ID for _, noisy in pairs)


def test_batches_follow_from_the_seed(codec: Codec, source: examples.Tokens) -> None:
    every = [examples.example(row, codec) for row in ROWS]

    def first(seed: str) -> list[list[list[int]]]:
        return [[item.ids for item in batch] for batch in islice(examples.batches(every, 8, seed, source), 60)]

    assert first("1") == first("1")
    assert first("1") != first("2")
    assert all(len(batch) == 8 for batch in first("1"))


def test_learning_a_tokenizer_repeats_and_loses_nothing(codec: Codec) -> None:
    texts = [row.text for row in ROWS]
    assert learn(texts, 400) == learn(texts, 400)
    for text in [*texts[:50], "naïve café 日本 \u202e\x00 🙂", "<sep"]:
        assert codec.decode(codec.encode(text)) == text
