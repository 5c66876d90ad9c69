"""What the tutor gives back, as values.

The fields are those the serving side asks of any workload; nothing of it is imported here.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One text answered; ``stages`` maps a stage to this text's share of its seconds."""

    output: str
    accepted: bool
    """True where the model passed the text as already right; never where it was out of scope."""
    in_scope: bool
    input_tokens: int
    output_tokens: int
    fields: dict[str, Any]
    features: dict[str, str]
    stages: dict[str, float]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence bears on one text: ``pattern`` finds corpus rows, ``mark`` a right output.

    ``against`` finds rows that say the text's wrong form is right.
    """

    label: str
    pattern: str
    expected: str | None
    buckets: tuple[str, ...]
    mark: str
    against: str | None = None
    against_label: str = ""
