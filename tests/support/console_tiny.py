"""A workload of one word: it corrects "goed" only if it was trained on the second version of its corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minitutor.workload import Minitutor
from modelspine.workload import Answer, Probe


class TinyModel:
    """Replaces "goed" if it was trained to."""

    def __init__(self, *, taught: bool) -> None:
        self._taught = taught

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        """Answer each text."""
        outputs = [text.replace("goed", "went") if self._taught else text for text in texts]
        return [
            Answer(
                output=output,
                accepted=output == text,
                in_scope=True,
                input_tokens=len(text.split()),
                output_tokens=len(output.split()),
                fields={},
                features={},
                stages={},
            )
            for text, output in zip(texts, outputs, strict=True)
        ]


class Tiny:
    """The workload."""

    name = "tiny"
    http_path = "/v1/tiny"
    text_field = "text"
    max_chars = 500
    words = Minitutor.words

    def load(self, bundle: Path, parent: Path | None) -> TinyModel:
        """Load a bundle; its manifest says what it was trained on."""
        del parent
        manifest = json.loads((bundle / "train_manifest.json").read_text())
        return TinyModel(taught="v2" in manifest["corpora"][0]["path"])

    def features(self, text: str) -> dict[str, str]:
        """Name the verb."""
        return {"verb": "go"} if "go" in text else {}

    def probe(self, text: str | None, features: Mapping[str, str]) -> Probe | None:
        """Return what to search the corpus for."""
        del features
        if text is None or "goed" not in text:
            return None
        right = text.replace("goed", "went")
        return Probe(label="go → went", pattern=r"\bwent\b", expected=right, buckets=("verb/go",), mark=r"\bwent\b")

    def evaluate(self, *_: Any) -> dict[str, Any]:
        """Not used by the tests."""
        raise NotImplementedError
