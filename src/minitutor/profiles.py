"""Hyper-parameters of trainings, and the seed of the base model.

It imports no tensor library, so that the command line starts quickly.
"""

from __future__ import annotations

from typing import Final

import msgspec

BASE_SEED: Final = 1
"""The seed of the base model; ``just bench seeds`` compares seeds 1 to 5."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The hyper-parameters of a training."""

    steps: int = 2800
    batch: int = 48
    vocab_size: int = 768
    d_model: int = 64
    n_layers: int = 2
    learning_rate: float = 5e-3
    warmup: int = 60
    weight_decay: float = 0.2
    clip: float = 1.0


FULL: Final = Profile()
TINY: Final = Profile(steps=300, batch=32, vocab_size=512, d_model=32, n_layers=2, learning_rate=5e-3, warmup=10)
"""Trains in seconds and answers badly: for tests of everything around the model."""
PROFILES: Final = {"full": FULL, "tiny": TINY}


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """The hyper-parameters of an adapter's training."""

    steps: int = 1000
    batch: int = 48
    rank: int = 8
    alpha: int = 16
    controls: float = 1.0
    """Control rows: the share of each cell's rows, among those the parent was trained on, to train on again."""
    repeats: int = 16
    """How often each new row is repeated."""
    learning_rate: float = 4e-3
    warmup: int = 20
    weight_decay: float = 0.0
    clip: float = 1.0


TINY_TUNING: Final = Tuning(steps=40, batch=12, controls=0.05, repeats=2)
TUNINGS: Final = {"full": Tuning(), "tiny": TINY_TUNING}
