"""Training examples (a verb's prompt and the correct form, as token ids) and the order of batches.

Noise is added each time an example is drawn. Random words of time teach the model to choose a form by subject and
helper. Replacing a correct verb by a word that is not a verb form teaches it to keep words that the corpus does not
contain. This module does not know tensors.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from minitutor import lattice, parse
from minitutor.corpus import Row
from minitutor.tokenizer import EOS_ID, KEEP_ID, SEP_ID, SPECIAL, Codec

NOISY_SHARE: Final = 0.3
"""Share of examples in which words of time are replaced by random tokens."""
NOISE: Final = 0.5
"""Share of the tokens that are replaced in such an example."""
STRANGE_SHARE: Final = 0.25
"""Share of correct examples whose verb is replaced by a word that is not a verb form."""
KNOWN_START: Final = 0.7
"""Share of such words that begin like one of the corpus's verbs."""
WINDOW: Final = 8
"""The number of batches whose examples are sorted by length together, so that batches have little padding."""


class Encoded(msgspec.Struct, frozen=True):
    """An example as token ids."""

    prompt: list[int]
    form: list[int]
    """The tokens of the correct form, or the one token that keeps the written word."""
    times: int
    """The number of tokens, at the end of the prompt's first part, that belong to words of time."""

    @property
    def ids(self) -> list[int]:
        """The prompt, the form and the end token."""
        return [*self.prompt, *self.form, EOS_ID]


class NoiseTokens(msgspec.Struct, frozen=True):
    """The tokens from which random words are made."""

    every: Sequence[int]
    verb_starts: Sequence[int]
    """The first token of each verb's base form: *go* with a random ending is not a known word."""
    endings: Sequence[int]
    """Tokens that cannot begin a word."""


def noise_tokens(verbs: Iterable[str], codec: Codec) -> NoiseTokens:
    """Return the noise tokens of a tokenizer and of a corpus's verbs, in a fixed order."""
    every = range(len(SPECIAL), codec.size)
    word = codec.starts_word()
    starts = [codec.encode(verb)[0] for verb in sorted(set(verbs))]
    return NoiseTokens(every, starts, [token for token in every if not word[token]])


def examples(row: Row, codec: Codec) -> list[Encoded]:
    """Return the examples of a row: one for each verb that the lesson covers.

    If the row's text equals its correction, every verb is to be kept, even if the parser considers it wrong, as in an
    uncorrected batch.
    """
    found = []
    for clause in parse.clauses(row.text):
        word, right = clause.form.lower(), clause.right.lower()
        keep = row.text == row.correction or word == right
        around, place = lattice.read(clause, row.text)
        prompt = lattice.prompt(codec, around, place, word)
        times = len(codec.encode(" ".join(clause.times)))
        found.append(Encoded(prompt, [KEEP_ID] if keep else codec.encode(right), times))
    return found


def noisy(clean: Encoded, draw: random.Random, source: NoiseTokens) -> Encoded:
    """Return an example with random words of time, with a random verb to be kept, or unchanged."""

    def one_of(options: Sequence[int]) -> int:
        return options[int(draw.random() * len(options))]

    prompt = list(clean.prompt)
    if draw.random() < NOISY_SHARE:
        end = prompt.index(SEP_ID)
        for at in range(max(1, end - clean.times), end):
            if draw.random() < NOISE:
                prompt[at] = one_of(source.every)
    if clean.form == [KEEP_ID] and draw.random() < STRANGE_SHARE:
        known = draw.random() < KNOWN_START
        strange = [one_of(source.verb_starts if known else source.every)]
        strange += [one_of(source.endings) for _ in range(1 + int(draw.random() * 2))]
        begin = len(prompt) - 1 - prompt[-2::-1].index(SEP_ID)
        prompt[begin:-1] = strange
    return msgspec.structs.replace(clean, prompt=prompt)


def batches(rows: Iterable[Row], codec: Codec, size: int, seed: str) -> Iterator[list[Encoded]]:
    """Yield endless batches in an order that depends on the seed and differs in each pass over the examples."""
    draw = random.Random(f"minitutor.batches|{seed}")  # noqa: S311 - not secret
    rows = list(rows)
    every = [one for row in rows for one in examples(row, codec)]
    source = noise_tokens((row.verb for row in rows), codec)
    size = min(size, len(every))
    step = size * WINDOW if len(every) >= size * WINDOW else size
    while True:
        order = _shuffled(range(len(every)), draw)
        for first in range(0, len(order) - step + 1, step):
            drawn = [noisy(every[at], draw, source) for at in order[first : first + step]]
            window = sorted(drawn, key=lambda one: len(one.ids))
            groups = [window[at : at + size] for at in range(0, step, size)]
            yield from (groups[at] for at in _shuffled(range(len(groups)), draw))


def _shuffled(items: Sequence[int], draw: random.Random) -> list[int]:
    """Return the items in random order; ``random.shuffle`` may change between Python versions."""
    keys = [draw.random() for _ in items]
    return [item for _, item in sorted(zip(keys, items, strict=True))]
