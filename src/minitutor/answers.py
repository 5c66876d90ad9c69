"""The values the tutor returns.

Their fields are those of Spine's workload protocol, which is met by structure: nothing of Spine is imported here.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one text; ``stages`` maps each stage to this text's share of its seconds."""

    output: str
    accepted: bool
    """True if the model left the text unchanged as correct; False if it is out of scope."""
    in_scope: bool
    input_tokens: int
    output_tokens: int
    fields: dict[str, Any]
    features: dict[str, str]
    stages: dict[str, float]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How to find evidence about one text: ``pattern`` matches corpus rows, ``mark`` matches a correct output.

    ``against`` matches rows that teach the text's wrong form as correct.
    """

    label: str
    pattern: str
    expected: str | None
    buckets: tuple[str, ...]
    mark: str
    against: str | None = None
    against_label: str = ""
