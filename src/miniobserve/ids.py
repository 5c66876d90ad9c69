"""Names of a request: its id, and its place in a distributed trace (W3C Trace Context).

An id that a caller chose is kept only where it is well formed; it travels into headers, logs and
file names. It does not know whether an id was used before.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import NamedTuple

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Span(NamedTuple):
    """One step of a distributed trace; ``flags`` says whether it is sampled."""

    trace_id: str
    span_id: str
    flags: str
    parent_id: str | None = None
    """The caller's span; None where this one begins a trace."""

    @property
    def traceparent(self) -> str:
        """The header that hands this span on as a parent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def is_request_id(text: str) -> bool:
    """Whether a caller's request id may be kept."""
    return _REQUEST_ID.fullmatch(text) is not None


def fresh_request_id() -> str:
    """A request id nobody has used: 12 hex digits of time, so that ids sort by age, and 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def fresh_span() -> Span:
    """The first span of a trace of its own."""
    return Span(secrets.token_hex(16), secrets.token_hex(8), "01")


def child_span(traceparent: str | None) -> Span:
    """A span below the caller's; of a trace of its own where the header is absent or not well formed."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return fresh_span()
    version, trace_id, parent, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent, 16):
        return fresh_span()
    return Span(trace_id, secrets.token_hex(8), flags, parent)
