"""What the tutor's inputs and outputs drift in: tense and person, verb, words, length, and its own verdicts.

It names values and counts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

Value = str | float | tuple[str, ...]


def values(text: str | None, features: Mapping[str, str], accepted: bool | None) -> dict[str, Value]:
    """The values of one text in the grid; words and length only where the text was kept.

    Words stand for tokens: each bundle learned a tokenizer of its own, and days must stay comparable.
    """
    if "verb" not in features:
        return {}
    found: dict[str, Value] = {
        "tense_person": f"{features.get('tense', '?')} {features.get('person', '?')}",
        "verb": features["verb"],
    }
    if text is not None:
        found["token"] = tuple(_WORD.findall(text.lower()))
        found["length"] = float(len(text.split()))
    if accepted is not None:
        found["label"] = "passed as right" if accepted else "corrected"
    return found
