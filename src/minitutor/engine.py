"""The Mini-GPT in NumPy: a bundle's weights and the forward pass.

Every matrix product is computed per item, with a shape that depends only on the item (``np.matmul`` over a stack runs
one GEMM per item), so an answer has the same bits alone and in any batch. BLAS must run on one thread, which
``Tutor.load`` ensures. This module does not know texts or how a form is chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from minitutor.model_shape import Shape
from minitutor.problems import BadInput
from minitutor.weights import Weights

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Layer(msgspec.Struct, frozen=True):
    """One block's matrices as [in, out], with each norm's gain multiplied into the matrix that follows it."""

    qkv: Floats
    o: Floats
    fc: Floats
    proj: Floats


class Engine:
    """A loaded model."""

    def __init__(self, shape: Shape, tensors: dict[str, Any]) -> None:
        self.shape = shape
        take = _Taker(tensors)
        d, ff, vocab = shape.d_model, shape.d_ff, shape.vocab_size
        self.embed = take("embed.weight", (vocab, d))
        self.layers: list[Layer] = []
        for n in range(shape.n_layers):
            block = f"blocks.{n}."
            gain = take(f"{block}attn_norm.weight", (d,))[:, None]
            qkv = [take(f"{block}attn.{name}.weight", (d, d)).T for name in "qkv"]
            # The attention scale 1/√d_head is multiplied into the query matrix once, instead of into every score.
            qkv[0] = np.multiply(qkv[0], np.float32(shape.d_head**-0.5), dtype=np.float32)
            mlp_gain = take(f"{block}mlp_norm.weight", (d,))[:, None]
            self.layers.append(
                Layer(
                    np.ascontiguousarray(np.concatenate(qkv, axis=1) * gain),
                    np.ascontiguousarray(take(f"{block}attn.o.weight", (d, d)).T),
                    np.ascontiguousarray(take(f"{block}mlp.fc.weight", (ff, d)).T * mlp_gain),
                    np.ascontiguousarray(take(f"{block}mlp.proj.weight", (d, ff)).T),
                )
            )
        self.head = np.ascontiguousarray(self.embed.T * take("norm.weight", (d,))[:, None])
        take.all_taken()
        half = shape.d_head // 2
        rates = shape.rope_base ** (-np.arange(half, dtype=np.float64) / half)
        angles = np.arange(shape.context, dtype=np.float64)[:, None] * rates
        self._cos: Floats = np.cos(angles).astype(np.float32)
        self._sin: Floats = np.sin(angles).astype(np.float32)

    @classmethod
    def of(cls, weights: Weights, bundle: Path) -> Engine:
        """Build an engine from a bundle's weights; raises BadInput if a tensor does not fit the shape."""
        try:
            return cls(weights.shape, dict(weights.tensors))
        except ValueError as error:
            raise BadInput(
                f"{bundle} cannot be loaded as a minitutor bundle: {error}",
                "give a directory written by `python -m minitutor train`",
            ) from error

    def hidden(self, ids: Ints, positions: Ints, sees: Bools) -> Floats:
        """Run token ids [item, time] through the blocks; returns the states [item, time, d].

        ``sees`` [item, time, time] is the attention mask; RoPE rotates by ``positions`` [item, time].
        """
        items, time = ids.shape
        d, heads = self.shape.d_model, self.shape.n_heads
        cos, sin = self._cos[positions][:, :, None, None], self._sin[positions][:, :, None, None]
        mask = np.where(sees, np.float32(0), np.float32(-np.inf))[:, None]
        x: Floats = self.embed[ids]
        for layer in self.layers:
            qkv = (_normed(x, self.shape.norm_eps) @ layer.qkv).reshape(items, time, 3, heads, -1)
            qk = _turned(qkv[:, :, :2], cos, sin)
            scores = qk[:, :, 0].transpose(0, 2, 1, 3) @ qk[:, :, 1].transpose(0, 2, 3, 1)
            scores += mask
            mixed = _softmax(scores) @ qkv[:, :, 2].transpose(0, 2, 1, 3)
            x += mixed.transpose(0, 2, 1, 3).reshape(items, time, d) @ layer.o
            x += _gelu(_normed(x, self.shape.norm_eps) @ layer.fc) @ layer.proj
        return x

    def logits(self, hidden: Floats) -> Floats:
        """Return the scores over the vocabulary [item, time, vocab] of states [item, time, d]."""
        scores: Floats = _normed(hidden, self.shape.norm_eps) @ self.head
        return scores


class _Taker:
    """Returns tensors by name, each once, and raises ValueError for those that do not fit the shape."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self._left = dict(tensors)

    def __call__(self, name: str, size: tuple[int, ...]) -> Floats:
        tensor = self._left.pop(name, None)
        if tensor is None:
            raise ValueError(f"tensor {name} is missing")
        if tensor.dtype != np.float32 or tensor.shape != size:
            raise ValueError(f"tensor {name} is {tensor.dtype} {tensor.shape}, not float32 {size}")
        if not np.isfinite(tensor).all():
            raise ValueError(f"tensor {name} contains values that are not finite")
        found: Floats = tensor
        return found

    def all_taken(self) -> None:
        if self._left:
            raise ValueError(f"unknown tensor {min(self._left)}")


def _normed(x: Floats, eps: float) -> Floats:
    """Apply layer norm without its gain, which is part of the next matrix."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.square(centred).mean(axis=-1, keepdims=True)
    normed: Floats = centred / np.sqrt(spread + np.float32(eps))
    return normed


def _turned(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate the two halves of each head's vector by its position (RoPE)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    turned: Floats = np.empty_like(x)
    turned[..., :half] = a * cos - b * sin
    turned[..., half:] = b * cos + a * sin
    return turned


def _softmax(scores: Floats) -> Floats:
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _gelu(x: Floats) -> Floats:
    """Apply GELU in its tanh form: x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))."""
    inner = x * x
    inner *= np.float32(0.044715 * 0.7978845608028654)
    inner += np.float32(0.7978845608028654)
    inner *= x
    np.tanh(inner, out=inner)
    inner += np.float32(1.0)
    inner *= x
    inner *= np.float32(0.5)
    return inner
