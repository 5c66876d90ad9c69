"""Disturbs weights until answers fail, to make a candidate that is really worse and that the gate must reject.

Noise from a seed is added to the embeddings of the irregular participles' tokens; a search over evaluated items finds
its strength. The same parent and seed give the same bytes. This module does not know bundles or baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from minitutor.corpus import Row
from minitutor.engine import Engine
from minitutor.model_shape import Shape
from minitutor.problems import BadInput
from minitutor.progress import Advance
from minitutor.tokenizer import Codec
from minitutor.tutor import Tutor

SHARE: Final = 0.05
"""Share of the items that should become wrong."""
_LEAST: Final = 0.03
_NEAR: Final = 0.01
_LOOKS: Final = 14
_WEAKEST: Final = 0.1
_STRONGEST: Final = 16.0
_EMBED: Final = "embed.weight"


class Worse(msgspec.Struct, frozen=True):
    """Disturbed tensors, the strength of the noise, and the number of correct items before and after."""

    tensors: dict[str, NDArray[np.float32]]
    strength: float
    before: int
    after: int


def search(
    shape: Shape,
    tensors: Mapping[str, NDArray[np.float32]],
    codec: Codec,
    items: Sequence[Row],
    *,
    seed: int,
    advance: Advance,
) -> Worse:
    """Find the strength that makes about ``SHARE`` of the items wrong; raises BadInput if there is none.

    The strength is doubled until too many items are wrong, then the interval is bisected; the closest result wins.
    """
    before = right(shape, tensors, codec, items)
    if before < _LEAST * len(items):
        raise BadInput(
            f"only {before} of {len(items)} participles are correct, too few to degrade", "train the parent longer"
        )
    irregular = {item.correct_form for item in items if item.regularity == "irregular"}
    # A weak model may get no irregular participle right; then the regular ones are disturbed too.
    for words in (irregular, {item.correct_form for item in items}):
        tokens = sorted({token for word in words for token in codec.encode(word)})

        def look(strength: float, tokens: list[int] = tokens) -> Worse:
            found = disturbed(tensors, tokens, seed, strength)
            return Worse(found, strength, before, right(shape, found, codec, items))

        best = _closest(look, len(items), advance)
        if best is not None and before - best.after >= _LEAST * len(items):
            return best
    raise BadInput(f"the noise of seed {seed} degrades too little at any strength", "give another --seed")


def _closest(look: Callable[[float], Worse], n: int, advance: Advance) -> Worse | None:
    """Return the attempt whose loss is closest to ``SHARE`` of the items."""
    best: Worse | None = None
    low, high, strength = 0.0, 0.0, _WEAKEST
    for number in range(_LOOKS):
        if strength > _STRONGEST:
            break
        worse = look(strength)
        lost = worse.before - worse.after
        if best is None or _off(worse, n) < _off(best, n):
            best = worse
        advance(number + 1, _LOOKS, f"{lost} of {n} lost")
        if _off(best, n) <= _NEAR:
            break
        low, high = (low, strength) if lost > SHARE * n else (strength, high)
        strength = (low + high) / 2 if high else strength * 2
    advance(_LOOKS, _LOOKS)
    return best


def right(shape: Shape, tensors: Mapping[str, NDArray[np.float32]], codec: Codec, items: Sequence[Row]) -> int:
    """Count the items that a model with these tensors answers correctly."""
    answers = Tutor(Engine(shape, dict(tensors)), codec).answer([item.text for item in items])
    return sum(answer.output == item.correction for answer, item in zip(answers, items, strict=True))


def disturbed(
    tensors: Mapping[str, NDArray[np.float32]], rows: Sequence[int], seed: int, strength: float
) -> dict[str, NDArray[np.float32]]:
    """Return the tensors with noise, ``strength`` times the embeddings' own spread, added to some embeddings."""
    draw = np.random.Generator(np.random.PCG64(seed))
    embed = np.array(tensors[_EMBED])
    part = embed[rows]
    # Uniform, because normal draws use the C library's logarithm and may differ between machines in the last bit.
    noise = (draw.random(part.shape, np.float32) - np.float32(0.5)) * np.float32(12**0.5)
    spread = np.float32(np.sqrt(np.mean(np.square(part, dtype=np.float64))))
    embed[rows] = part + np.float32(strength) * spread * noise
    return {**tensors, _EMBED: embed}


def _off(worse: Worse, n: int) -> float:
    """Return the distance of a loss from ``SHARE``."""
    return abs((worse.before - worse.after) / n - SHARE)
