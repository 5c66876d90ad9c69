"""What the tutor's inputs and outputs drift in: tense and person, verb, words, length, and its own verdicts.

It names values and counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from minitutor.shapes import shaped

Value = str | float | tuple[str, ...]


def values(text: str | None, features: Mapping[str, str], accepted: bool | None) -> dict[str, Value]:
    """The values of one text in the grid; words and length only where the text was kept.

    Tokens are what every bundle's model reads, before its own tokenizer: open words by their shape, so that a new name
    is no drift.
    """
    if "verb" not in features:
        return {}
    found: dict[str, Value] = {
        "tense_person": f"{features.get('tense', '?')} {features.get('person', '?')}",
        "verb": features["verb"],
    }
    if text is not None:
        found["token"] = tuple(shaped(text).split())
        found["length"] = float(len(text.split()))
    if accepted is not None:
        found["label"] = "passed as right" if accepted else "corrected"
    return found
