"""Training examples: a verb's prompt and the form that belongs there, as token ids, and the order of batches.

Each time an example is drawn, its words of time may be random, so that a form is learned from subject and helpers.
Some right verbs are replaced by a word that is not a verb form, which is then to be kept: what no corpus taught is left
alone. It does not know tensors.
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
"""Share of examples with random tokens among their words of time."""
NOISE: Final = 0.5
"""Share of those tokens that is replaced."""
STRANGE_SHARE: Final = 0.25
"""Share of right examples whose verb is replaced by a word that is not a verb form."""
KNOWN_START: Final = 0.7
"""Share of such words that begin as one of the corpus' verbs does."""
WINDOW: Final = 8
"""Batches that are sorted by length together, so that a batch holds little padding."""


class Encoded(msgspec.Struct, frozen=True):
    """An example as the model reads it."""

    prompt: list[int]
    form: list[int]
    """The tokens of the right form, or the one that keeps the verb's own word."""
    times: int
    """How many tokens at the end of the words around are words of time."""

    @property
    def ids(self) -> list[int]:
        """The prompt, the form and its end."""
        return [*self.prompt, *self.form, EOS_ID]


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


def examples(row: Row, codec: Codec) -> list[Encoded]:
    """The examples of a row: one for each verb that the lesson covers.

    Where the row says that its text is right, each verb's own word is its form, also in a batch left uncorrected.
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


def noisy(clean: Encoded, draw: random.Random, source: Tokens) -> Encoded:
    """An example with random words of time or a strange verb to be kept, or as it is."""

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
    """Endless batches in an order that follows from the seed; each pass over the examples has its own."""
    draw = random.Random(f"minitutor.batches|{seed}")  # noqa: S311 - not secret
    rows = list(rows)
    every = [one for row in rows for one in examples(row, codec)]
    source = tokens((row.verb for row in rows), codec)
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
    """A drawn order; ``random.shuffle`` is not promised to stay the same between Pythons."""
    keys = [draw.random() for _ in items]
    return [item for _, item in sorted(zip(keys, items, strict=True))]
