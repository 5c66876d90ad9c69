"""Constrained decoding: chooses the verb form that the model considers most likely in its place.

All forms of a verb are scored in one forward pass: each is a branch that attends to the prompt and to itself, so the
prompt's keys and values are computed once. A form's score is the probability of its tokens followed by the end token.
An item's result depends only on the item, not on the rest of the batch. This module does not know texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter
from typing import Final

import msgspec
import numpy as np

from minitutor.engine import Bools, Engine, Floats, Ints
from minitutor.tokenizer import EOS_ID

STEP: Final = 8
"""Lengths are padded to a multiple of this, so that more items have the same shape and share a batch."""


class Item(msgspec.Struct, frozen=True):
    """A prompt and the forms that may follow it, as token ids; the written form first."""

    prompt: list[int]
    forms: list[list[int]]

    @property
    def size(self) -> int:
        """The number of tokens in the forward pass."""
        return len(self.prompt) + sum(len(form) for form in self.forms)


class Chosen(msgspec.Struct, frozen=True):
    """The index of the best form, the log probability of every form, and the item's share of the seconds spent."""

    at: int
    scores: list[float]
    prefill: float
    decode: float


class Decoder:
    """Chooses forms with one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def choose(self, items: Sequence[Item]) -> list[Chosen]:
        """Choose a form for each item."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for n, item in enumerate(items):
            groups[_padded(item.size), _padded(item.size - len(item.prompt) + 1)].append(n)
        done: dict[int, Chosen] = {}
        for (time, scored), members in groups.items():
            found = self._group([items[n] for n in members], time, scored)
            done.update(zip(members, found, strict=True))
        return [done[n] for n in range(len(items))]

    def _group(self, items: Sequence[Item], time: int, scored: int) -> list[Chosen]:
        """Choose forms for items of one shape: ``time`` tokens, of which ``scored`` are needed for scores."""
        began = perf_counter()
        ids: Ints = np.full((len(items), time), EOS_ID, np.int64)
        positions: Ints = np.zeros((len(items), time), np.int64)
        sees = np.zeros((len(items), time, time), np.bool_)
        for n, item in enumerate(items):
            _lay_out(item, ids[n], positions[n], sees[n])
        states = self.engine.hidden(ids, positions, sees)
        read = perf_counter()
        ends = np.array([len(item.prompt) - 1 for item in items])
        wanted = np.minimum(ends[:, None] + np.arange(scored), time - 1)
        logits = self.engine.logits(np.take_along_axis(states, wanted[:, :, None], axis=1))
        top = logits.max(axis=-1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))
        found = [_scores(item, logs[n]) for n, item in enumerate(items)]
        prefill, decode = (read - began) / len(items), (perf_counter() - read) / len(items)
        return [Chosen(int(np.argmax(scores)), scores, prefill, decode) for scores in found]


def _lay_out(item: Item, ids: Ints, positions: Ints, sees: Bools) -> None:
    """Fill in one item's tokens [time], positions [time] and attention mask [time, time]: prompt, then branches."""
    start = len(item.prompt)
    ids[:start], positions[:start] = item.prompt, np.arange(start)
    sees[:start, :start] = np.tri(start, dtype=np.bool_)
    at = start
    for form in item.forms:
        end = at + len(form)
        ids[at:end], positions[at:end] = form, np.arange(start, start + len(form))
        sees[at:end, :start] = True
        sees[at:end, at:end] = np.tri(len(form), dtype=np.bool_)
        at = end
    # A padding token attends to itself: with an empty row the softmax would divide by zero.
    rest = np.arange(at, len(ids))
    sees[rest, rest] = True


def _scores(item: Item, logs: Floats) -> list[float]:
    """Return the log probability of each form with its end token; ``logs`` [scored, vocab] begin after the prompt."""
    scores, at = [], 1
    for form in item.forms:
        score = float(logs[0, form[0]])
        for row, token in enumerate([*form[1:], EOS_ID], at):
            score += float(logs[row, token])
        scores.append(score)
        at += len(form)
    return scores


def _padded(time: int) -> int:
    return -(-time // STEP) * STEP
