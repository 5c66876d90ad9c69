"""The Mini-GPT in PyTorch, used only for training; ``engine`` serves without it.

Its tensors have the bundle's names (see ``model_shape``). It does not know sentences or files.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from minitutor.model_shape import Shape


def rotary(shape: Shape) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines of every position, each [context, d_head / 2]."""
    half = shape.d_head // 2
    rates = shape.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(shape.context, dtype=torch.float64)[:, None] * rates
    return angles.cos().float(), angles.sin().float()


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the two halves of each head's vector by its position; x is [batch, head, time, d_head]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.d_model
        self.n_heads = shape.n_heads
        self.q = nn.Linear(d, d, bias=False)
        self.k = nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, d, bias=False)
        self.o = nn.Linear(d, d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Attend over x [batch, time, d]; ``mask`` [time, time] is added to the scores."""
        batch, time, d = x.shape

        def heads(y: Tensor) -> Tensor:
            return y.view(batch, time, self.n_heads, -1).transpose(1, 2)

        q, k, v = turn(heads(self.q(x)), cos, sin), turn(heads(self.k(x)), cos, sin), heads(self.v(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask
        mixed = scores.softmax(-1) @ v
        out: Tensor = self.o(mixed.transpose(1, 2).reshape(batch, time, d))
        return out


class Mlp(nn.Module):
    """The position-wise feed-forward layer of a block."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.fc = nn.Linear(shape.d_model, shape.d_ff, bias=False)
        self.proj = nn.Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply two linear layers with a GELU between them."""
        out: Tensor = self.proj(functional.gelu(self.fc(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """Attention and MLP, each preceded by its norm (pre-LN)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attn_norm = nn.LayerNorm(shape.d_model, eps=shape.norm_eps, bias=False)
        self.attn = Attention(shape)
        self.mlp_norm = nn.LayerNorm(shape.d_model, eps=shape.norm_eps, bias=False)
        self.mlp = Mlp(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Add attention and MLP to the residual stream."""
        x = x + self.attn(self.attn_norm(x), cos, sin, mask)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class MiniGpt(nn.Module):
    """Maps token ids to hidden states; ``logits`` computes scores for selected states with the tied embedding."""

    def __init__(self, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab_size, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = nn.LayerNorm(shape.d_model, eps=shape.norm_eps, bias=False)
        cos, sin = rotary(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        mask = torch.full((shape.context, shape.context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            for name, tensor in self.named_parameters():
                if tensor.dim() < 2:
                    continue
                last = name.endswith(("attn.o.weight", "mlp.proj.weight"))
                scale = 0.02 if name == "embed.weight" else tensor.shape[1] ** -0.5
                tensor.normal_(0.0, scale / (math.sqrt(2 * shape.n_layers) if last else 1.0), generator=generator)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Return the hidden states [batch, time, d] of ids at positions, both [batch, time]."""
        time = ids.shape[1]
        cos, sin = self.get_buffer("cos")[positions][:, None], self.get_buffer("sin")[positions][:, None]
        mask = self.get_buffer("mask")[:time, :time]
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the scores over the vocabulary of states [..., d]."""
        return hidden @ self.embed.weight.T
