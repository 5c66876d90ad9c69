"""The Mini-GPT's shape: the sizes in ``config.json``, which both the trainer and the engine read.

It imports no tensor library.
"""

from __future__ import annotations

from typing import Final

import msgspec

ARCHITECTURE: Final = "minitutor.gpt/2"
WORKLOAD: Final = "minitutor"


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sizes of a pre-LN decoder with rotary positions, tanh-GELU and an output layer tied to the embedding.

    Linear layers have no bias and norms no shift. Tensor names: ``embed.weight`` [vocab, d],
    ``blocks.N.{attn_norm,mlp_norm}.weight`` [d], ``blocks.N.attn.{q,k,v,o}.weight`` [d, d],
    ``blocks.N.mlp.fc.weight`` [ff, d], ``blocks.N.mlp.proj.weight`` [d, ff], ``norm.weight`` [d];
    linear weights are [out, in].
    """

    architecture: str = ARCHITECTURE
    workload: str = WORKLOAD
    variant: str = "fp32"
    vocab_size: int
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    d_ff: int = 512
    context: int = 128
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        sizes = (self.vocab_size, self.d_model, self.n_layers, self.n_heads, self.d_ff, self.context)
        if min(sizes) < 1 or max(sizes) > 65_536:
            raise ValueError("a size is not between 1 and 65536")
        if self.architecture != ARCHITECTURE:
            raise ValueError(f"architecture {self.architecture!r} is not {ARCHITECTURE!r}")
        if self.d_model % (2 * self.n_heads):
            raise ValueError("d_model is not an even multiple of n_heads")

    @property
    def d_head(self) -> int:
        """The width of one attention head."""
        return self.d_model // self.n_heads
