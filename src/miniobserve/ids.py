"""Identifiers of a request: its id, its learner, and its span in a distributed trace (W3C Trace Context).

A caller's request id is accepted only if it is well formed, because ids are written to headers, logs and file names.
This module does not know whether an id is already in use.
"""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from typing import NamedTuple

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_FRESH = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Span(NamedTuple):
    """One span of a distributed trace; the lowest bit of ``flags`` (hexadecimal) means that it is sampled."""

    trace_id: str
    span_id: str
    flags: str
    parent_id: str | None = None
    """The caller's span; None if this span begins the trace."""
    state: str = ""
    """The caller's ``tracestate``, which is passed on as it is; empty without one."""

    @property
    def traceparent(self) -> str:
        """The ``traceparent`` header that names this span as the parent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def is_request_id(text: str) -> bool:
    """Whether a caller's request id is well formed."""
    return _REQUEST_ID.fullmatch(text) is not None


_JOINERS = "\u200c\u200d"
"""Zero-width characters that the spelling of some languages needs, so that they may stand inside an id."""
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories of characters that cannot be seen: controls, format characters, surrogates, line separators."""
_FILLERS = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Characters that Unicode counts as letters, marks or signs although nothing is drawn for them."""
_SELECTORS = re.compile("[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that only choose how the character before them is drawn."""


def learner_of(text: str) -> str | None:
    """Return the one spelling of a learner id: composed (Unicode NFC), without blanks at its ends.

    Keyboards write the same name in different ways, and clients add blanks. Every spelling would be a learner of its
    own: it would get an arm of its own and count once more. So blanks inside count as one ordinary blank, and marks
    that only choose how a character is drawn are dropped. Blanks alone are no learner, so the result is None.

    Raises:
        ValueError: the id has a character that cannot be seen, such as a control character.

    """
    kept = _SELECTORS.sub("", text)
    while kept != (trimmed := kept.strip().strip(_JOINERS)):
        kept = trimmed
    # Only ordinary blanks may be trimmed: str.strip also removes some control characters and line separators.
    if any((unicodedata.category(char) in _UNSEEN or char in _FILLERS) and char not in _JOINERS for char in text):
        raise ValueError("an id may not contain control characters or others that cannot be seen")
    return unicodedata.normalize("NFC", " ".join(kept.split())) or None


def fresh_request_id() -> str:
    """Return a new request id: 12 hex digits of milliseconds, so that ids sort by age, and 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def id_day(request_id: str) -> int | None:
    """Return the day in a request id as ``fresh_request_id`` makes it, UTC days since 1970; None in any other id."""
    return int(request_id[:12], 16) // 86_400_000 if _FRESH.fullmatch(request_id) else None


def fresh_span() -> Span:
    """Return the first span of a new trace."""
    ids = secrets.token_hex(24)  # asked for at once, because each call of the kernel takes time
    return Span(ids[:32], ids[32:], "01")


def child_span(traceparent: str | None, tracestate: str = "") -> Span:
    """Return a child span of the caller's; the first span of a new trace if the header is absent or malformed.

    White space around the header's value is no part of it. Without a valid ``traceparent`` the state is dropped.
    """
    match = _TRACEPARENT.fullmatch((traceparent or "").strip(" \t"))
    if match is None:
        return fresh_span()
    version, trace_id, parent, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent, 16):
        return fresh_span()
    return Span(trace_id, secrets.token_hex(8), flags, parent, tracestate)
