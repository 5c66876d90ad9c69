"""The models that peer servers serve: the tutor's weights in eager PyTorch, or in this project's engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

PATH = "/v1/grammar/correct"
BATCH = 8
"""Most texts per batch of a batching peer; the default of ``spine serve``."""


def engine(name: str, bundle: Path) -> Callable[[Sequence[str]], list[str]]:
    """Load the engine ``eager`` or ``own`` and warm it up with one text."""
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
