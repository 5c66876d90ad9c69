"""A LoRA adapter: its ``config.json``, and how it is merged into its parent's tensors.

An adapter bundle holds ``….lora_a`` [rank, in] and ``….lora_b`` [out, rank] for each matrix it changes. It contains
none of its parent's tensors, but names the parent by a digest of its content. This module does not read files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from minitutor.model_shape import WORKLOAD

ARCHITECTURE: Final = "minitutor.lora/1"
VARIANT: Final = "lora"
A: Final = ".lora_a"
B: Final = ".lora_b"
_LARGEST_RANK: Final = 1024


class Adapter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``config.json`` of an adapter."""

    architecture: str = ARCHITECTURE
    workload: str = WORKLOAD
    variant: str = VARIANT
    rank: int
    alpha: int
    parent_digest: str
    """``digest`` of the parent it was trained on; with any other weights its answers would be meaningless."""

    def __post_init__(self) -> None:
        if self.architecture != ARCHITECTURE:
            raise ValueError(f"architecture {self.architecture!r} is not {ARCHITECTURE!r}")
        if not 1 <= self.rank <= _LARGEST_RANK:
            raise ValueError(f"rank {self.rank} is not between 1 and {_LARGEST_RANK}")

    @property
    def scale(self) -> float:
        """The factor of B·A."""
        return self.alpha / self.rank


def digest(config: bytes, tokenizer: bytes, tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a bundle's config, tokenizer and tensors, independent of their file layout."""
    found = hashlib.sha256()
    for text in (config, tokenizer):
        found.update(msgspec.json.encode(msgspec.json.decode(text), order="sorted") + b"\n")
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        found.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        found.update(tensor.tobytes())
    return found.hexdigest()


def merge(
    adapter: Adapter, parent: Mapping[str, NDArray[np.float32]], tensors: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]]:
    """Return the parent's tensors with B·A·alpha/rank added to each changed one; ValueError for a misfit."""
    found = dict(parent)
    left = dict(tensors)
    for name in sorted(name for name in tensors if name.endswith(A)):
        a, b = left.pop(name), left.pop(name.removesuffix(A) + B, None)
        target = name.removesuffix(A) + ".weight"
        weight = found.get(target)
        if weight is None or b is None:
            raise ValueError(f"{name} has no {B} beside it, or its parent no {target}")
        if a.dtype != np.float32 or b.dtype != np.float32:
            raise ValueError(f"{name} and its {B} are not float32")
        out, inside = weight.shape
        if a.shape != (adapter.rank, inside) or b.shape != (out, adapter.rank):
            raise ValueError(f"{name} {a.shape} and {B} {b.shape} do not fit {target} {weight.shape}")
        found[target] = weight + np.float32(adapter.scale) * (b @ a)
    if left:
        raise ValueError(f"tensor {min(left)} does not belong in an adapter")
    return found
