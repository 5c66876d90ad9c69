"""Training examples: a row as token ids, the weight of each token, and the order of batches.

Some examples have random tokens in their complement, or in the place of a right verb, the same in sentence
and correction: so the model learns to repeat what it has nothing to say about, words it never saw among
them, instead of learning the corpus' phrases by heart. It does not know tensors.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from minitutor import parse
from minitutor.corpus import Row
from minitutor.tokenizer import BOS_ID, EOS_ID, SEP_ID, SPECIAL, Codec

NOISY_SHARE: Final = 0.3
"""Share of examples that get random tokens in their complement."""
NOISE: Final = 0.4
"""Share of a noisy example's complement that is replaced."""
NOISE_WEIGHT: Final = 0.3
"""What a random token counts in the loss: copying it is a means, not the aim."""
STRANGE_SHARE: Final = 0.25
"""Share of right examples whose verb is replaced by a word that is none."""
KNOWN_START: Final = 0.7
"""Share of such words that begin as one of the corpus' verbs does."""
WINDOW: Final = 8
"""Batches that are sorted by length together, so that a batch holds little padding."""


class Example(msgspec.Struct, frozen=True):
    """A sentence and its correction."""

    sentence: list[int]
    correction: list[int]
    weights: list[float]
    """What each token of the correction, and its end, counts in the loss."""
    tail: int
    """How many tokens at the end of both are complement."""
    verb: tuple[int, int] | None
    """Where the verb's tokens begin and end, in a right sentence."""

    @property
    def start(self) -> int:
        """Index in ``ids`` of the correction's first token."""
        return len(self.sentence) + 2

    @property
    def ids(self) -> list[int]:
        """``<bos> sentence <sep> correction <eos>``."""
        return [BOS_ID, *self.sentence, SEP_ID, *self.correction, EOS_ID]


class Tokens(msgspec.Struct, frozen=True):
    """What random words are made of."""

    every: Sequence[int]
    verb_starts: Sequence[int]
    """First tokens of the verbs as they stand in a dictionary: *go* with a strange ending is no known word."""
    endings: Sequence[int]
    """Tokens that begin no word."""


def tokens(verbs: Iterable[str], codec: Codec) -> Tokens:
    """The tokens of a tokenizer and of a corpus' verbs, in a fixed order."""
    every = range(len(SPECIAL), codec.size)
    word = codec.starts_word()
    starts = [codec.encode(verb)[0] for verb in sorted(set(verbs))]
    return Tokens(every, starts, [token for token in every if not word[token]])


def example(row: Row, codec: Codec) -> Example:
    """The example a row gives."""
    sentence, correction = codec.encode(row.text), codec.encode(row.correction)
    parsed, tail, verb = parse.parse(row.text), 0, None
    if parsed is not None:
        # A BPE of words that begin with their space: a prefix that ends at one has the tokens of the whole.
        head, end = row.text[: parsed.at - 1], parsed.at + len(parsed.form)
        begin = row.text.find(f" {row.complement}", end)
        tail = len(sentence) - len(codec.encode(row.text[:begin])) if begin >= 0 else 0
        if row.text == row.correction:
            verb = (len(codec.encode(head)), len(codec.encode(row.text[:end])))
    return Example(sentence, correction, [1.0] * (len(correction) + 1), tail, verb)


def noisy(clean: Example, draw: random.Random, source: Tokens, share: float = NOISY_SHARE) -> Example:
    """The example, or, for a share of them, one with random tokens in its complement; right ones in their verb too."""

    def one_of(options: Sequence[int]) -> int:
        return options[int(draw.random() * len(options))]

    sentence, correction, weights = list(clean.sentence), list(clean.correction), list(clean.weights)
    if draw.random() < share:
        for back in range(1, clean.tail + 1):
            if draw.random() < NOISE:
                sentence[-back] = correction[-back] = one_of(source.every)
                weights[-back - 1] = NOISE_WEIGHT
    if clean.verb is not None and draw.random() < STRANGE_SHARE:
        begin, end = clean.verb
        known = draw.random() < KNOWN_START
        strange = [one_of(source.verb_starts if known else source.every)]
        strange += [one_of(source.endings) for _ in range(1 + int(draw.random() * 2))]
        sentence[begin:end] = correction[begin:end] = strange
        weights[begin:end] = [1.0] * len(strange)
    return Example(sentence, correction, weights, clean.tail, None)


def batches(
    examples: Sequence[Example], size: int, seed: str, source: Tokens, *, noisy_share: float = NOISY_SHARE
) -> Iterator[list[Example]]:
    """Endless batches in an order that follows from the seed; each pass over the rows has its own."""
    draw = random.Random(f"minitutor.batches|{seed}")  # noqa: S311 - not secret
    size = min(size, len(examples))
    while True:
        order = _shuffled(range(len(examples)), draw)
        step = size * WINDOW if len(order) >= size * WINDOW else size
        for first in range(0, len(order) - step + 1, step):
            window = sorted(order[first : first + step], key=lambda at: len(examples[at].ids))
            groups = [window[at : at + size] for at in range(0, step, size)]
            for at in _shuffled(range(len(groups)), draw):
                yield [noisy(examples[member], draw, source, noisy_share) for member in groups[at]]


def _shuffled(items: Sequence[int], draw: random.Random) -> list[int]:
    """A drawn order; ``random.shuffle`` is not promised to stay the same between Pythons."""
    keys = [draw.random() for _ in items]
    return [item for _, item in sorted(zip(keys, items, strict=True))]
