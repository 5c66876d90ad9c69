"""Spans as values, and the limits on what is kept of one that came from outside.

It does not know in which encoding spans come.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import msgspec

from miniserve.inline_files import InlineFiles
from modelspine.kept_files.keeper import Held
from modelspine.text import visible

MOST_SPANS = 10_000
"""Spans of one export that are read; those beyond are rejected."""
MOST_ATTRIBUTES = 128
MOST_EVENTS = 128
_MOST_LOOKED_AT = 1_000
"""Attributes that are looked at, to name those that are left out."""
MOST_KEY = 200
MOST_TEXT = 64 * 1024
"""Characters of one text; a longer one is left out, as half an input would be another input."""
MOST_SPAN_TEXT = 256 * 1024
"""Characters of all texts of a span."""
MOST_VALUES = 4_096
"""Values of one span, those within lists and objects included."""
MOST_DEPTH = 8
AHEAD_NS = 86_400 * 10**9
BEHIND_NS = 31 * 86_400 * 10**9
"""How far before or after the collector's clock a span may start: a wrong clock must not open days without end."""
LONGEST_NS = 86_400 * 10**9
"""How long after its start a span may end."""
SERVER, CONSUMER = 2, 5
"""The kinds of spans at which a service receives something."""
FAILED = 2
"""``STATUS_CODE_ERROR``."""
HEX = frozenset("0123456789abcdef")


class BadExport(Exception):
    """The body is no export request; the message says why, without quoting it."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened during a span, such as a message of a conversation."""

    name: str
    attributes: dict[str, Any]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span: ids in lower-case hexadecimal, times in UTC nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first span of a trace."""
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any] = {}
    events: list[Event] = []
    failed: bool = False
    error: str = ""
    left_out: list[str] = []
    """Names of attributes that were too large or too many."""
    unfinite: dict[str, str] = {}
    """Which attributes hold NaN or an infinity, which became None; each with a sentence about it."""
    unread: dict[str, str] = {}
    """Which attributes hold a file that cannot be read or is not kept; each with a sentence about it."""
    held: tuple[Held, ...] = ()
    """The bytes of the files that it carried, which are not stored with it."""
    timed: bool = True
    """Whether its end can be true; where it cannot, ``end_ns`` is ``start_ns``."""


class Budget:
    """What one span may still use."""

    def __init__(self) -> None:
        self.text = MOST_SPAN_TEXT
        self.values = MOST_VALUES
        self.key = ""
        """The attribute that is being read."""
        self.unfinite: dict[str, str] = {}
        self.files = InlineFiles(MOST_TEXT)

    def take_text(self, text: str) -> Any:
        """Take a text; a file in it becomes its digest, and counts no more than that.

        Raises:
            OverflowError: the span has too many values, or this one is too long.
        """
        found = self.files.text(self.key, text)
        self.take(found if isinstance(found, str) else "")
        return found

    def take(self, text: str = "") -> None:
        """Take one value.

        Raises:
            OverflowError: the span has too many, or this one is too long.
        """
        self.values -= 1
        if self.values < 0 or len(text) > min(MOST_TEXT, self.text):
            raise OverflowError
        self.text -= len(text)

    def finite(self, value: float) -> float | None:
        """A number as JSON can carry it; None for NaN and the infinities, which are then named."""
        if math.isfinite(value):
            return value
        self.unfinite[self.key] = f"{visible(self.key, 80)}: {value} is no JSON number"
        return None


Convert = Callable[[Any, Budget, int], Any]


def attributes_of(
    pairs: Iterable[tuple[str, Any]], convert: Convert, budget: Budget, left: list[str]
) -> dict[str, Any]:
    """Return the attributes within the limits; ``left`` gets the names of the others."""
    found: dict[str, Any] = {}
    for key, value in islice(pairs, _MOST_LOOKED_AT):
        if len(key) > MOST_KEY or not key:
            continue
        if len(found) >= MOST_ATTRIBUTES:
            _leave(left, key)
            continue
        budget.key = key
        try:
            found[key] = budget.files.value(key, convert(value, budget, MOST_DEPTH))
        except OverflowError:
            _leave(left, key)
    return found


def _leave(left: list[str], key: str) -> None:
    if len(left) < MOST_ATTRIBUTES:
        left.append(key)


def text_of_bytes(value: bytes, budget: Budget) -> str:
    """Bytes as base64.

    Raises:
        OverflowError: there are too many.
    """
    text = base64.b64encode(value).decode()
    budget.take(text)
    return text


def parent_id(digits: str) -> str:
    """The id of a parent; empty for zeros, as some exporters write none."""
    return digits if digits.strip("0") else ""
