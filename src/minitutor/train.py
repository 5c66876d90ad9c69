"""Trains a model from a corpus and a seed, with the same bits each time.

``pins.pin(pins.TRAINING)`` must run before this module is imported, because it imports torch. This module does not know
files, runs or bundles.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from minitutor.corpus import Row
from minitutor.examples import Encoded, batches
from minitutor.model import MiniGpt
from minitutor.model_shape import Shape
from minitutor.optimiser import AdamW
from minitutor.profiles import Profile, Tuning
from minitutor.progress import Advance
from minitutor.tokenizer import EOS_ID, Codec

_NO_TARGET = -100


class Trained(msgspec.Struct, frozen=True):
    """The result of a training: tensors by name, the model's shape, and (step, loss, learning rate) of every step."""

    shape: Shape
    tensors: dict[str, NDArray[np.float32]]
    curve: list[tuple[int, float, float]]


def train(rows: Sequence[Row], codec: Codec, *, seed: str, profile: Profile, advance: Advance) -> Trained:
    """Train a model on a corpus, reproducibly: one thread, deterministic algorithms, all randomness from the seed."""
    deterministic()
    shape = Shape(vocab_size=codec.size, d_model=profile.d_model, n_layers=profile.n_layers, d_ff=4 * profile.d_model)
    model = MiniGpt(shape, torch.Generator().manual_seed(number("weights", seed)))
    optimiser = AdamW(
        list(model.parameters()),
        weight_decay=profile.weight_decay,
        clip=profile.clip,
        kept=[model.embed.weight],
    )
    source = batches(rows, codec, profile.batch, seed)
    curve = fit(model, optimiser, source, profile, advance)
    tensors = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    return Trained(shape, tensors, curve)


def fit(
    model: MiniGpt, optimiser: AdamW, source: Iterator[list[Encoded]], profile: Profile | Tuning, advance: Advance
) -> list[tuple[int, float, float]]:
    """Run a profile's steps; returns (step, loss, learning rate) of each."""
    curve: list[tuple[int, float, float]] = []
    for step in range(profile.steps):
        rate = learning_rate(step, profile)
        loss = _loss(model, next(source))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step(rate)
        curve.append((step + 1, loss.item(), rate))
        advance(step + 1, profile.steps, f"loss {curve[-1][1]:.3f}")
    return curve


def deterministic() -> None:
    """Make torch use one thread and deterministic algorithms."""
    torch.set_num_threads(1)
    # The effect of torch.use_deterministic_algorithms(True), which would also import torch's compiler (seconds).
    torch.set_deterministic_debug_mode("error")


def number(what: str, seed: str) -> int:
    """Return the integer seed of a tensor generator for one purpose."""
    return int.from_bytes(hashlib.sha256(f"minitutor.{what}|{seed}".encode()).digest()[:8], "big") >> 1


def learning_rate(step: int, profile: Profile | Tuning) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 2 % of the peak."""
    warm = min(1.0, (step + 1) / profile.warmup)
    fall = 0.5 * (1 + math.cos(math.pi * step / profile.steps))
    return profile.learning_rate * warm * (0.02 + 0.98 * fall)


def tensors_of(batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, each [batch, time]; targets before the form are ignored in the loss."""
    time = max(len(item.ids) for item in batch) - 1
    ids = torch.full((len(batch), time), EOS_ID)
    targets = torch.full((len(batch), time), _NO_TARGET)
    for n, item in enumerate(batch):
        known, start = item.ids, len(item.prompt)
        end = len(known) - 1
        ids[n, :end] = torch.tensor(known[:-1])
        targets[n, start - 1 : end] = torch.tensor(known[start:])
    return ids, targets


def _loss(model: MiniGpt, batch: Sequence[Encoded]) -> Tensor:
    """Return the cross-entropy over the tokens of the forms."""
    ids, targets = tensors_of(batch)
    hidden = model(ids, torch.arange(ids.shape[1]).expand_as(ids))
    wanted = (targets.reshape(-1) != _NO_TARGET).nonzero()[:, 0]
    scores = model.logits(hidden.reshape(-1, hidden.shape[-1])[wanted])
    return functional.cross_entropy(scores, targets.reshape(-1)[wanted])
