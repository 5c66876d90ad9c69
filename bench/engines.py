"""What the peers serve: the tutor's weights in eager PyTorch, or in this project's own engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

PATH = "/v1/grammar/correct"
BATCH = 8
"""The most texts a peer that batches answers together; what ``spine serve`` does where it is told nothing."""


def engine(name: str, bundle: Path) -> Callable[[Sequence[str]], list[str]]:
    """``eager`` or ``own``, loaded and asked once."""
    if name == "eager":
        from eager import Eager

        correct = Eager(bundle).correct
    else:
        from minitutor.workload import Minitutor

        tutor = Minitutor().load(bundle, None)

        def correct(texts: Sequence[str]) -> list[str]:
            return [answer.output for answer in tutor.answer(texts)]

    correct(["She play football every day."])
    return correct
