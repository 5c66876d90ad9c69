"""Greedy decoding: step by step, and the same result in two or three passes.

A correction mostly repeats its sentence, so the rest of the sentence is put forward as a draft, one pass
scores all of it, and the longest part the model agrees with is kept, with the model's own next token. What
comes out is what one step at a time gives: where the best two scores lie within ``NEAR`` of each other,
rounding might decide, and that item is decoded again step by step. It does not know texts.
"""

from __future__ import annotations

from collections import defaultdict
from time import perf_counter
from typing import Final

import msgspec
import numpy as np

from minitutor.engine import Cache, Engine, Floats, Ints
from minitutor.shape import SLACK
from minitutor.tokenizer import BOS_ID, EOS_ID, SEP_ID

NEAR: Final = 1e-4
STEP: Final = 8
"""Times are padded to a multiple of this, so that few shapes occur."""


class Decoded(msgspec.Struct, frozen=True):
    """The tokens of one correction, without its end, and the item's share of the seconds spent."""

    ids: list[int]
    prefill: float
    decode: float


class _Item:
    """A sentence on its way: what is decided, and where in the sentence the next draft starts."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.out: list[int] = []
        self.at = 0
        self.prefill = 0.0
        self.decode = 0.0
        self.near = False

    @property
    def done(self) -> bool:
        return self.near or self.out[-1:] == [EOS_ID] or len(self.out) > len(self.ids) + SLACK

    def draft(self) -> list[int]:
        return self.ids[self.at :]


class Decoder:
    """Greedy decoding with one engine; ``word_starts`` says for each id whether a word may begin with it."""

    def __init__(self, engine: Engine, word_starts: list[bool]) -> None:
        self.engine = engine
        self._starts = word_starts

    def decode(self, sentences: list[list[int]]) -> list[Decoded]:
        """Correct each sentence of at most ``shape.longest`` tokens; none depends on its neighbours."""
        items = [_Item(ids) for ids in sentences]
        groups: dict[int, list[_Item]] = defaultdict(list)
        for item in items:
            groups[_padded(2 * len(item.ids) + 2)].append(item)
        for time, group in groups.items():
            self._decode_group(group, time)
        return [Decoded([token for token in item.out if token != EOS_ID], item.prefill, item.decode) for item in items]

    def plain(self, ids: list[int]) -> tuple[list[int], Floats]:
        """Decode one sentence one token at a time; also the scores each token was chosen by [token, vocab]."""
        engine, start = self.engine, len(ids) + 1
        slots = start + len(ids) + SLACK + 2
        cache = Cache(engine.shape, 1, slots)
        prompt = np.array([[BOS_ID, *ids]], np.int64)
        line = np.arange(start)[None]
        engine.hidden(prompt, line, line, cache, slots)
        token, out, scores = SEP_ID, [], []
        for step in range(len(ids) + SLACK + 1):
            place = np.array([[engine.shape.target_start + step]])
            state = engine.hidden(np.array([[token]]), place, np.array([[start + step]]), cache, slots)
            scores.append(engine.logits(state)[0, 0])
            token = int(scores[-1].argmax())
            if token == EOS_ID:
                break
            out.append(token)
        return out, np.stack(scores)

    def _decode_group(self, group: list[_Item], time: int) -> None:
        began = perf_counter()
        cache = self._first_pass(group, time)
        share = (perf_counter() - began) / len(group)
        for item in group:
            item.prefill = share
        while open_items := [n for n, item in enumerate(group) if not item.done]:
            sizes: dict[int, list[int]] = defaultdict(list)
            for n in open_items:
                sizes[_padded(1 + len(group[n].draft()))].append(n)
            for size, members in sizes.items():
                began = perf_counter()
                self._next_pass(group, members, size, cache)
                share = (perf_counter() - began) / len(members)
                for n in members:
                    group[n].decode += share
        for item in group:
            if item.near:
                began = perf_counter()
                item.out, _ = self.plain(item.ids)
                item.decode += perf_counter() - began

    def _first_pass(self, group: list[_Item], time: int) -> Cache:
        """Read sentence and draft at once; the slots of a token are its place in the sequence."""
        engine = self.engine
        cache = Cache(engine.shape, len(group), time + SLACK + 2)
        ids: Ints = np.full((len(group), time), EOS_ID, np.int64)
        positions: Ints = np.zeros((len(group), time), np.int64)
        ends = np.array([len(item.ids) + 1 for item in group])
        line = np.arange(time)
        for n, item in enumerate(group):
            known = [BOS_ID, *item.ids, SEP_ID, *item.ids]
            ids[n, : len(known)] = known
            positions[n] = np.where(line < ends[n], line, line - ends[n] + engine.shape.target_start)
        slots = np.broadcast_to(line, ids.shape)
        states = engine.hidden(ids, positions, slots, cache, time)
        wanted = np.minimum(ends[:, None] + np.arange(time // 2), time - 1)
        scores = engine.logits(np.take_along_axis(states, wanted[:, :, None], axis=1))
        self._accept(group, scores)
        return cache

    def _next_pass(self, group: list[_Item], members: list[int], size: int, cache: Cache) -> None:
        """Read the model's own last token and a new draft, writing over what the old draft left."""
        engine = self.engine
        items = [group[n] for n in members]
        part = cache.of(members)
        ids: Ints = np.full((len(items), size), EOS_ID, np.int64)
        starts = np.array([len(item.out) for item in items])[:, None] + np.arange(size)
        for n, item in enumerate(items):
            known = [item.out[-1], *item.draft()]
            ids[n, : len(known)] = known
        slots = np.minimum(np.array([len(item.ids) + 1 for item in items])[:, None] + starts, part.trash)
        positions = np.minimum(starts + engine.shape.target_start, engine.shape.context - 1)
        states = engine.hidden(ids, positions, slots, part, part.trash)
        self._accept(items, engine.logits(states))
        cache.keys[:, members], cache.values[:, members] = part.keys, part.values

    def _accept(self, items: list[_Item], scores: Floats) -> None:
        """Keep what agrees of each item's draft and the model's next token; move the draft on."""
        best = scores.argmax(axis=-1)
        top = np.take_along_axis(scores, best[:, :, None], axis=-1)[:, :, 0]
        # The second best is the best once the best is taken out; one token's column cannot hide another's.
        np.put_along_axis(scores, best[:, :, None], np.float32(-np.inf), axis=-1)
        near = top - scores.max(axis=-1) < NEAR
        for n, item in enumerate(items):
            draft = item.draft()
            kept = 0
            while kept < len(draft) and best[n, kept] == draft[kept]:
                kept += 1
            item.near = bool(near[n, : kept + 1].any())
            item.out += [int(token) for token in best[n, : kept + 1]]
            item.at = self._resume(item, item.at + kept)

    def _resume(self, item: _Item, at: int) -> int:
        """Where copying goes on after the token at ``at`` was replaced: the next word of the sentence.

        Where the model added a token instead (*work|s*), the sentence goes on where it was.
        """
        if at >= len(item.ids):
            return at
        added = item.out[-1]
        if not self._starts[added] and self._starts[item.ids[at]]:
            return at
        at += 1
        while at < len(item.ids) and not self._starts[item.ids[at]]:
            at += 1
        # After a deletion (*go|es*) the model's token is already the next word's first.
        return at + 1 if item.ids[at : at + 1] == [added] else at


def _padded(time: int) -> int:
    return -(-time // STEP) * STEP
