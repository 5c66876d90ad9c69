"""What one request left behind, as a value.

A trace is written by the server before its reply goes out and is never changed afterwards; feedback is
kept beside it and joined when it is read. It does not know where traces are stored.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Which arm a request was given and what that was decided from (recomputed later by the walk)."""

    strategy: str
    epoch: int
    """Ledger seq of the event that opened this division of traffic."""
    salt: str
    arm: str
    bucket: int
    """0–9999; the arm follows from it and the weights."""
    sticky: bool
    """True where the unit is a learner, False where it is the request itself."""
    u: str
    """The unit's place on the line: 16 hex digits of SHA-256(salt | unit)."""
    unit: str | None = None
    """The learner or request id itself; None where the text policy does not keep it."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One request, from arrival to reply."""

    request_id: str
    trace_id: str
    span_id: str
    started_ns: int
    """UTC nanoseconds since 1970."""
    entry_sha: str
    """The entry whose bytes answered (64 hex digits); empty where none did."""
    intended_sha: str
    semver: str
    assignment: Assignment
    learner_hash: str | None = None
    sentence: str | None = None
    """The text, unless the text policy keeps only its hash."""
    sentence_sha256: str | None = None
    correction: str | None = None
    is_correct: bool | None = None
    """True where the model passed the sentence as right."""
    in_scope: bool = True
    graded: bool | None = None
    """Whether the workload's oracle says the output is right; None where it cannot tell. Told when the trace is
    made, so that it survives a text policy that keeps no text."""
    features: dict[str, str] = {}
    stages: dict[str, float] = {}
    """Seconds a stage: queue, tokenize, prefill, decode, format."""
    seconds: float = 0.0
    """Arrival to the moment the trace was handed to the store."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    """Frozen when it was spent; None where no rate was configured, never 0."""
    currency: str = "USD"
    rate_per_hour: float | None = None
    price_version: str = ""
    status: int = 200
    error: str = ""
    shadow_of: str | None = None
    source: str = "live"
    """``live`` or ``replay``; replayed traffic carries simulated time and says so."""
    feedback: str | None = None
    """accepted | dismissed | revised, as the learner said later."""

    @property
    def model_sha(self) -> str:
        """The canonical SHA of the entry that answered."""
        return self.entry_sha

    @property
    def traffic_assignment(self) -> Assignment:
        """The arm this request was given, and the numbers it was decided from."""
        return self.assignment


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of traces, newest first, and how many matched in all (``None``: more than were counted)."""

    traces: tuple[Trace, ...]
    matched: int | None


Row = dict[str, Any]
