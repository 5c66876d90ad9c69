"""The tutor as a workload of Spine's entry-point group ``spine.workloads``.

It is cheap to import and create: NumPy is imported with the first bundle, torch never. It implements the protocol by
structure, without importing anything of Spine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from minitutor import drift, explain, parse, pins
from minitutor.answers import Probe
from minitutor.problems import BadInput

if TYPE_CHECKING:
    from minitutor.tutor import Tutor


class Minitutor:
    """A grammar tutor for 20 English verbs."""

    name = "minitutor"
    http_path = "/v1/grammar/correct"
    text_field = "sentence"
    max_chars = 500
    example = "Yesterday he goed home."
    words: ClassVar[dict[str, str]] = {
        "unit": "learner",
        "input": "sentence",
        "output": "correction",
        "accepted": "accepted as correct",
        "answered": "corrected",
        "right": "correct form",
    }
    """What Spine calls these in texts for people."""

    def load(self, bundle: Path, parent: Path | None) -> Tutor:
        """Load a bundle directory for answering; an adapter is merged into its parent, other bundles need none."""
        # BLAS reads its thread count when NumPy is first imported, which in a serving process happens below.
        pins.pin(pins.SERVING)
        from minitutor.tutor import Tutor

        return Tutor.load(bundle, parent)

    def features(self, text: str) -> dict[str, str]:
        """Return verb, tense, person, regularity, error type, form and length; empty if out of scope."""
        return explain.features(parse.parse(text), text)

    def grade(self, text: str, output: str) -> bool | None:
        """Whether an output is the correct form of the text; None if the text is out of scope."""
        right = parse.oracle(text)
        return None if right is None else output == right

    def drift_values(
        self, text: str | None, features: Mapping[str, str], accepted: bool | None
    ) -> dict[str, str | float | tuple[str, ...]]:
        """Return the values whose drift is monitored; empty if out of scope."""
        return drift.values(text, features, accepted)

    def drift_row(self, row: Mapping[str, Any]) -> dict[str, str | float | tuple[str, ...]]:
        """Return the drift values of a corpus row."""
        text = str(row.get("text", ""))
        return drift.values(text, self.features(text), row.get("correction") == text)

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """Return the probe of a text's cell, or of the cell that the features name."""
        parsed = parse.parse(text) if text is not None else None
        if parsed is not None and text is not None:
            return explain.probe(parsed, parse.oracle(text))
        return explain.probe_of_features(features)

    def evaluate(
        self, bundle: Path, parent: Path | None, eval_set: Path, progress: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Evaluate a bundle over an eval set: a ``spine.eval/1`` report without ``entry_sha``."""
        return self.evaluate_model(self.load(bundle, parent), eval_set, progress)

    def evaluate_model(self, model: Any, eval_set: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Evaluate a loaded model, whose texts may be answered by several processes, over an eval set."""
        from minitutor.evaluate import evaluate

        if not eval_set.is_file():
            raise BadInput(f"there is no eval set at {eval_set}", "create it: `python -m minitutor corpus`")
        return evaluate(model, eval_set, progress)
