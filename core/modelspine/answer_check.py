"""Checks what a workload returned for one text before anything is computed from it or stored.

A workload is foreign code: one unusable answer must fail alone, and neither give a request a negative price nor store
a trace that cannot be read again. This module does not know where answers go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

MOST_SECONDS = 86_400.0
MOST_TOKENS = 10**9


def flaw(answer: Any) -> str | None:
    """Return what is wrong with an answer, or None if it is sound."""
    try:
        plain = [answer.output, answer.accepted, answer.in_scope, answer.fields, answer.features]
        return wrong_amount(answer) or _misshapen(plain)
    except AttributeError as error:
        return f"it is no answer: {error}"


def wrong_amount(answer: Any) -> str | None:
    """Return which of an answer's amounts is none that can be, or None; of an answer whose types are known."""
    stages = answer.stages
    if not isinstance(stages, Mapping):
        return f"its stages are a {type(stages).__name__} and no table of seconds"
    for stage, seconds in stages.items():
        if not (isinstance(stage, str) and _is_amount(seconds, MOST_SECONDS)):
            return f"its stage {str(stage)[:20]!r} took {_shown(seconds)} seconds"
    for name, count in (("input_tokens", answer.input_tokens), ("output_tokens", answer.output_tokens)):
        if not (isinstance(count, int) and _is_amount(count, MOST_TOKENS)):
            return f"its {name} are {_shown(count)}"
    return None


def _shown(value: Any) -> str:
    return f"{str(value)[:20]!r} ({type(value).__name__})"


def _is_amount(value: Any, most: float) -> bool:
    """Whether a value is a finite number from 0 to ``most``; True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and 0 <= value <= most


def _misshapen(plain: list[Any]) -> str | None:
    output, accepted, in_scope, fields, features = plain
    if not (isinstance(output, str) and isinstance(accepted, bool) and isinstance(in_scope, bool)):
        return "its output is no text, or accepted or in_scope is neither true nor false"
    if not (isinstance(fields, Mapping) and isinstance(features, Mapping)):
        return "its fields or features are no table"
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in features.items()):
        return "a feature's name or value is no text"
    try:
        msgspec.json.encode(plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        return f"it cannot be written as JSON: {type(error).__name__}"
    return None
