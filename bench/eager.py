"""The same weights in eager PyTorch, as one would write it: greedy, a key–value cache, one token at a time.

``python bench/eager.py BUNDLE`` answers the sentences on its input, one by one and those of a length together,
and prints how long both took.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from minitutor import pins

pins.pin(pins.SERVING)

import torch  # noqa: E402 -- after its threads are pinned

from minitutor import weights  # noqa: E402
from minitutor.model import MiniGpt, turn  # noqa: E402
from minitutor.shape import SLACK  # noqa: E402
from minitutor.tokenizer import BOS_ID, EOS_ID, SEP_ID, Codec  # noqa: E402

Cache = list[tuple[torch.Tensor, torch.Tensor] | None]


class Eager:
    """A bundle's model on one thread."""

    def __init__(self, bundle: Path) -> None:
        torch.set_num_threads(1)
        read = weights.read(bundle)
        self.shape = read.shape
        self.codec = Codec.read(bundle / "tokenizer.json")
        self.model = MiniGpt(read.shape, torch.Generator().manual_seed(0))
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                tensor.copy_(torch.from_numpy(read.tensors[name]))

    def correct(self, sentences: Sequence[str], batch: int = 32) -> list[str]:
        """Correct sentences, those of a length together."""
        ids = [self.codec.encode(text) for text in sentences]
        groups: dict[int, list[int]] = defaultdict(list)
        for at, one in enumerate(ids):
            groups[len(one)].append(at)
        found = [""] * len(ids)
        for members in groups.values():
            for first in range(0, len(members), batch):
                part = members[first : first + batch]
                for at, out in zip(part, self.decode([ids[at] for at in part]), strict=True):
                    found[at] = self.codec.decode(out)
        return found

    @torch.inference_mode()
    def decode(self, batch: Sequence[Sequence[int]]) -> list[list[int]]:
        """Decode token lists of one length."""
        size, length = len(batch), len(batch[0])
        caches: Cache = [None] * self.shape.n_layers
        line = torch.arange(length + 1).expand(size, -1)
        self._run(torch.tensor([[BOS_ID, *ids] for ids in batch]), line, caches)
        token = torch.full((size, 1), SEP_ID)
        out: list[list[int]] = [[] for _ in batch]
        open_ = set(range(size))
        for step in range(length + SLACK + 1):
            place = torch.full((size, 1), self.shape.target_start + step)
            token = self._run(token, place, caches).argmax(-1, keepdim=True)
            for n in list(open_):
                if token[n, 0] == EOS_ID:
                    open_.discard(n)
                else:
                    out[n].append(int(token[n, 0]))
            if not open_:
                break
        return out

    def _run(self, ids: torch.Tensor, places: torch.Tensor, caches: Cache) -> torch.Tensor:
        """Scores after the last token; the caches grow by what was read."""
        model = self.model
        x = model.embed(ids)
        cos, sin = model.get_buffer("cos")[places][:, None], model.get_buffer("sin")[places][:, None]
        for n, block in enumerate(model.blocks):
            y = block.attn_norm(x)
            q, k, v = (
                part(y).view(*y.shape[:2], self.shape.n_heads, -1).transpose(1, 2)
                for part in (block.attn.q, block.attn.k, block.attn.v)
            )
            q, k = turn(q, cos, sin), turn(k, cos, sin)
            if (cache := caches[n]) is not None:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            caches[n] = (k, v)
            mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=ids.shape[1] > 1)
            x = x + block.attn.o(mixed.transpose(1, 2).reshape(x.shape))
            x = x + block.mlp(block.mlp_norm(x))
        return model.logits(model.norm(x[:, -1]))


def main(bundle: str) -> None:
    sentences = json.load(sys.stdin)
    eager = Eager(Path(bundle))
    eager.correct(sentences[:1])
    started = time.perf_counter()
    single = [eager.correct([text])[0] for text in sentences]
    alone = time.perf_counter() - started
    started = time.perf_counter()
    together = eager.correct(sentences)
    batched = time.perf_counter() - started
    print(json.dumps({"alone": alone, "batched": batched, "alone_same": single == together, "answers": together}))


if __name__ == "__main__":
    main(sys.argv[1])
