"""Trains an adapter: low-rank changes to a frozen model's matrices (Hu et al. 2021, "LoRA").

``pins.pin(pins.TRAINING)`` must run before this module is imported, because it imports torch. This module does not
know files, runs or bundles.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from minitutor.adapter import A, B
from minitutor.corpus import Row
from minitutor.examples import batches
from minitutor.model import MiniGpt
from minitutor.model_shape import Shape
from minitutor.optimiser import AdamW
from minitutor.profiles import Tuning
from minitutor.progress import Advance
from minitutor.tokenizer import Codec
from minitutor.train import deterministic, fit, number


class Tuned(msgspec.Struct, frozen=True):
    """The result of finetuning: the adapter's tensors by name, and (step, loss, learning rate) of every step."""

    tensors: dict[str, NDArray[np.float32]]
    curve: list[tuple[int, float, float]]


class Adapted(nn.Module):
    """A frozen linear layer with a trainable low-rank change."""

    def __init__(self, linear: nn.Linear, tuning: Tuning, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = linear.weight
        out, inside = linear.weight.shape
        self.scale = tuning.alpha / tuning.rank
        # B starts at zero, so that training starts from exactly the parent's outputs.
        self.a = nn.Parameter(torch.empty(tuning.rank, inside).normal_(0.0, inside**-0.5, generator=generator))
        self.b = nn.Parameter(torch.zeros(out, tuning.rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return x·Wᵀ + (alpha/rank)·x·Aᵀ·Bᵀ for x [..., in]."""
        change = functional.linear(functional.linear(x, self.a), self.b)
        return functional.linear(x, self.weight) + self.scale * change


def mixture(rows: Sequence[Row], known: frozenset[str], tuning: Tuning, seed: str) -> list[Row]:
    """Return the rows to train on: those not in ``known``, repeated, and control rows that the parent was trained on.

    Control rows keep the adapter from changing what the parent can do: every cell contributes in proportion to its
    size.
    """
    draw = random.Random(f"minitutor.controls|{seed}")  # noqa: S311 - not secret
    news = [row for row in rows if row.text not in known]
    cells: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.text in known:
            cells.setdefault((row.verb, row.tense, row.person), []).append(row)
    controls = []
    for cell in cells.values():
        drawn = sorted(cell, key=lambda _: draw.random())
        controls += drawn[: math.ceil(len(cell) * tuning.controls)]
    return [*(row for _ in range(tuning.repeats) for row in news), *controls]


def tune(
    rows: Sequence[Row],
    codec: Codec,
    shape: Shape,
    parent: Mapping[str, NDArray[np.float32]],
    *,
    seed: str,
    tuning: Tuning,
    advance: Advance,
) -> Tuned:
    """Train an adapter on rows, reproducibly: one thread, deterministic algorithms, all randomness from the seed."""
    deterministic()
    model = MiniGpt(shape, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(np.array(parent[name])))
            tensor.requires_grad_(False)
    adapted = dict(_adapted(model, tuning, torch.Generator().manual_seed(number("adapter", seed))))
    trained = [part for layer in adapted.values() for part in (layer.a, layer.b)]
    optimiser = AdamW(trained, weight_decay=tuning.weight_decay, clip=tuning.clip)
    source = batches(rows, codec, tuning.batch, seed)
    curve = fit(model, optimiser, source, tuning, advance)
    found = {}
    for name, layer in adapted.items():
        found[name + A], found[name + B] = layer.a.detach().numpy(), layer.b.detach().numpy()
    return Tuned(found, curve)


def _adapted(model: MiniGpt, tuning: Tuning, generator: torch.Generator) -> Iterator[tuple[str, Adapted]]:
    """Replace every linear layer of the blocks by an adapted one; yields each with its name."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            layer = Adapted(module, tuning, generator)
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, layer)
            yield name, layer
