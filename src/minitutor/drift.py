"""The values that are monitored for drift: tense and person, verb, words, length, and the model's verdicts.

It computes the values of one text and counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from minitutor.word_shapes import shaped

Value = str | float | tuple[str, ...]


def values(text: str | None, features: Mapping[str, str], accepted: bool | None) -> dict[str, Value]:
    """Return the values of one text in the grid; words and length only if the text is known.

    Words are taken as models read them, with open words replaced by their shape, so that a new name is not drift. A
    feature that the parser did not name has no value, which counts as missing and leaves the others alone.
    """
    if not features:
        return {}
    found: dict[str, Value] = {}
    if "tense" in features and "person" in features:
        found["tense_person"] = f"{features['tense']} {features['person']}"
    if "verb" in features:
        found["verb"] = features["verb"]
    if text is not None:
        found["token"] = tuple(shaped(text).split())
        found["length"] = float(len(text.split()))
    if accepted is not None:
        found["label"] = "passed as right" if accepted else "corrected"
    return found
