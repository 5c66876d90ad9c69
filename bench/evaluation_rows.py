"""Evaluating a model: the NumPy engine against the same weights in eager PyTorch, with and without batching.

The clone's first model answers part of the eval set. The peer decodes greedily with a key–value cache, one
sentence at a time or those of a length together; both sides on one thread, their answers compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Row

ROOT = Path(__file__).resolve().parent.parent
BASE, INT8 = (ROOT / ".spine" / "bundles" / name for name in ("base", "int8"))
ITEMS = 300
_PEER = """
import json, sys, time
from minitutor import pins
pins.pin(pins.SERVING)
import torch
from collections import defaultdict
from pathlib import Path
from minitutor import model as gpt, weights
from minitutor.model import turn
from minitutor.shape import SLACK
from minitutor.tokenizer import BOS_ID, EOS_ID, SEP_ID, Codec

torch.set_num_threads(1)
bundle, sentences = Path(sys.argv[1]), json.loads(sys.argv[2])
read = weights.read(bundle)
model = gpt.MiniGpt(read.shape, torch.Generator().manual_seed(0))
with torch.no_grad():
    for name, tensor in model.named_parameters():
        tensor.copy_(torch.from_numpy(read.tensors[name]))
codec = Codec.read(bundle / "tokenizer.json")


def run(ids, places, caches):
    x = model.embed(ids)
    cos, sin = model.cos[places][:, None], model.sin[places][:, None]
    time = ids.shape[1]
    for n, block in enumerate(model.blocks):
        y = block.attn_norm(x)
        heads = lambda z: z.view(*z.shape[:2], read.shape.n_heads, -1).transpose(1, 2)
        q, k, v = heads(block.attn.q(y)), heads(block.attn.k(y)), heads(block.attn.v(y))
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        if caches[n] is not None:
            k, v = torch.cat((caches[n][0], k), 2), torch.cat((caches[n][1], v), 2)
        caches[n] = (k, v)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=time > 1)
        x = x + block.attn.o(mixed.transpose(1, 2).reshape(x.shape))
        x = x + block.mlp(block.mlp_norm(x))
    return model.logits(model.norm(x[:, -1]))


@torch.inference_mode()
def decode(batch):
    size, length = len(batch), len(batch[0])
    caches = [None] * read.shape.n_layers
    line = torch.arange(length + 1).expand(size, -1)
    run(torch.tensor([[BOS_ID, *ids] for ids in batch]), line, caches)
    token = torch.full((size, 1), SEP_ID)
    out = [[] for _ in batch]
    open_ = set(range(size))
    for step in range(length + SLACK + 1):
        place = torch.full((size, 1), read.shape.target_start + step)
        token = run(token, place, caches).argmax(-1, keepdim=True)
        for n in list(open_):
            if token[n, 0] == EOS_ID:
                open_.discard(n)
            else:
                out[n].append(int(token[n, 0]))
        if not open_:
            break
    return out


ids = [codec.encode(text) for text in sentences]
groups = defaultdict(list)
for at, one in enumerate(ids):
    groups[len(one)].append(at)
decode([ids[0]])
started = time.perf_counter()
single = [codec.decode(decode([one])[0]) for one in ids]
alone = time.perf_counter() - started
started = time.perf_counter()
together = [None] * len(ids)
for members in groups.values():
    for first in range(0, len(members), 32):
        part = members[first : first + 32]
        for at, out in zip(part, decode([ids[at] for at in part])):
            together[at] = codec.decode(out)
print(json.dumps({"alone": alone, "batched": time.perf_counter() - started, "alone_same": single == together,
                  "answers": together}))
"""


def rows() -> Iterator[Row]:
    """Rows of this group."""
    if not BASE.is_dir():
        yield Row("evaluation, items", float("nan"), "/s", None, "make a model: ./run demo", None)
        return
    from minitutor import corpus, pins

    pins.pin(pins.SERVING)
    items = corpus.rows(corpus.EVAL)[:: 3000 // ITEMS]
    sentences = [row.text for row in items]
    peer = json.loads(
        subprocess.run(
            [sys.executable, "-c", _PEER, str(BASE), json.dumps(sentences)], check=True, capture_output=True, text=True
        ).stdout
    )
    figure, answers = _ours(BASE, sentences)
    equal = sum(own == other for own, other in zip(answers, peer["answers"], strict=True))
    what = f"evaluation of {ITEMS} items, {equal} answers as the peer's"
    yield Row(what, figure, "/s", None, "eager torch, batched by length", ITEMS / peer["batched"], "more")
    yield Row("  the same", figure, "/s", None, "eager torch, one by one", ITEMS / peer["alone"], "more")
    if INT8.is_dir():
        int8, _ = _ours(INT8, sentences)
        yield Row("  the same from INT8 weights, float32 once loaded", int8, "/s", None, "FP32", figure, "more")


def _ours(bundle: Path, sentences: list[str]) -> tuple[float, list[str]]:
    """Items per second of the engine as the evaluation uses it, and its answers."""
    from minitutor.workload import Minitutor

    tutor = Minitutor().load(bundle, None)
    tutor.answer(sentences[:8])
    order = sorted(range(len(sentences)), key=lambda at: len(sentences[at]))
    started = time.perf_counter()
    found = dict(zip(order, tutor.answer([sentences[at] for at in order]), strict=True))
    return len(sentences) / (time.perf_counter() - started), [found[at].output for at in range(len(sentences))]
