"""The tutor's weights in a straightforward eager PyTorch implementation: every form after its prompt, padded batches.

``python bench/eager.py BUNDLE`` answers the sentences on stdin, one by one and in batches, and prints both times.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from minitutor import pins

pins.pin(pins.SERVING)

import torch  # noqa: E402 -- after its threads are pinned

from minitutor import lattice, weights  # noqa: E402
from minitutor.model import MiniGpt  # noqa: E402
from minitutor.tokenizer import EOS_ID, Codec  # noqa: E402


class Eager:
    """A bundle's model in PyTorch, on one thread."""

    def __init__(self, bundle: Path) -> None:
        torch.set_num_threads(1)
        read = weights.read(bundle)
        self.codec = Codec.read(bundle / "tokenizer.json")
        self.model = MiniGpt(read.shape, torch.Generator().manual_seed(0))
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                tensor.copy_(torch.from_numpy(read.tensors[name]))

    def correct(self, sentences: Sequence[str], batch: int = 64) -> list[str]:
        """Correct sentences; every form of every verb is its own sequence, batched by size."""
        arcs = [lattice.arcs(text, self.codec) for text in sentences]
        asked = [(arc.prompt, form) for found in arcs for arc in found for form in arc.forms]
        order = sorted(range(len(asked)), key=lambda at: len(asked[at][0]) + len(asked[at][1]))
        scores = [0.0] * len(asked)
        for first in range(0, len(order), batch):
            part = order[first : first + batch]
            for at, score in zip(part, self.score([asked[at] for at in part]), strict=True):
                scores[at] = score
        left, said = iter(scores), []
        for text, found in zip(sentences, arcs, strict=True):
            own = [[next(left) for _ in arc.forms] for arc in found]
            chosen = [several.index(max(several)) for several in own]
            said.append(lattice.applied(text, lattice.edits(found, chosen)))
        return said

    @torch.inference_mode()
    def score(self, batch: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        """Return the log probability of each form with its end token after its prompt."""
        time = max(len(prompt) + len(form) for prompt, form in batch)
        ids = torch.full((len(batch), time), EOS_ID)
        for n, (prompt, form) in enumerate(batch):
            ids[n, : len(prompt) + len(form)] = torch.tensor([*prompt, *form])
        states = self.model(ids, torch.arange(time).expand_as(ids))
        logs = self.model.logits(states).log_softmax(-1)
        found = []
        for n, (prompt, form) in enumerate(batch):
            places = torch.arange(len(prompt) - 1, len(prompt) + len(form))
            found.append(float(logs[n, places, torch.tensor([*form, EOS_ID])].sum()))
        return found


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
