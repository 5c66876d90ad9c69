"""The trace of one request, as a value.

The server stores a trace before it sends the reply and never changes it afterwards; feedback is stored separately
and joined when the trace is read. This module does not know where traces are stored.
"""

from __future__ import annotations

from typing import Any

import msgspec

GONE = 499
"""The status of a request whose client closed the connection before the answer, which is kept all the same."""


Value = str | float | list[str]


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """The arm assigned to a request, with the inputs of that decision, so that it can be recomputed later."""

    strategy: str
    epoch: int
    """Ledger seq of the event that started this split of traffic."""
    salt: str
    arm: str
    bucket: int
    """0–9999; together with the weights it determines the arm."""
    sticky: bool
    """True if the unit is a learner, False if it is the request itself."""
    u: str
    """The unit's hash: the first 16 hex digits of SHA-256(salt | unit)."""
    unit: str | None = None
    """The learner or request id itself; None if the text policy does not keep it."""
    tester: str | None = None
    """The name in the token of a tester, who may choose an arm and whose requests are in no comparison; else None."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One request, from arrival to reply."""

    request_id: str
    trace_id: str
    span_id: str
    started_ns: int
    """UTC nanoseconds since 1970."""
    entry_sha: str
    """The entry whose model answered (64 hex digits); empty if none did."""
    intended_sha: str
    semver: str
    assignment: Assignment
    unit_hash: str | None = None
    """The salted hash of the unit's id (of a learner, a customer, a device); None without one."""
    input: str | None = None
    """The text that was asked; None if the text policy does not keep it."""
    input_sha256: str | None = None
    output: str | None = None
    accepted: bool | None = None
    """True if the model accepted the input as it was."""
    in_scope: bool = True
    graded: bool | None = None
    """Whether the workload's oracle grades the output as correct; None if it cannot tell. Graded when the trace is
    built, because the text policy may not keep the text."""
    features: dict[str, str] = {}
    values: dict[str, Value] = {}
    """What drift is measured on, by name: a category, a number, or a list of tokens. Made when the trace is built, so
    that no report needs the text; tokens only where the text policy keeps the text."""
    values_by: str = ""
    """Which code made ``values``: the first 16 hex digits of its SHA-256. Other code may count differently."""
    embedding: list[float] | None = None
    """The vector that was sent with the request, for drift; only where the text policy keeps the text."""
    fields: dict[str, Any] = {}
    """What the workload added to its answer, such as a score or the probabilities of classes."""
    stages: dict[str, float] = {}
    """Seconds per stage: queue, tokenize, prefill, decode, format, other. All but those in the queue are this request's
    share of the seconds in which its batch kept the worker busy."""
    seconds: float = 0.0
    """From arrival until the trace was passed to the store."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    """The price at the terms of that time; None, never 0, if it is unknown, and then ``unpriced`` says why."""
    currency: str = "USD"
    rate_per_hour: float | None = None
    """The rent of the whole machine."""
    workers: int | None = None
    """Among how many workers the rent was divided; None on traces older than this field and where no rent was known.
    A report takes None as 1."""
    price_version: str = ""
    priced_by: str = ""
    """``busy/1``: the share of busy seconds at the rent; ``tokens/1``: tokens at a price table; empty on traces older
    than this field, whose price includes the time in the queue."""
    input_price: float | None = None
    """Per million tokens, as is ``output_price``; None for a model that is not billed by token."""
    output_price: float | None = None
    unpriced: str = ""
    """Why there is no price."""
    status: int = 200
    error: str = ""
    shadow_of: str | None = None
    retry_of: str | None = None
    """The caller's own id, if an earlier request with that id asked the same for the same learner."""
    source: str = "live"
    """``live`` or ``replay``; the times of replayed traffic are simulated."""
    feedback: str | None = None
    """The learner's later feedback: accepted, dismissed or revised."""
    label: str | None = None
    """The right answer, if somebody said it later; then ``graded`` is the grade by it. It is stored apart, as are
    ``score`` and ``said_text``."""
    score: float | None = None
    said_text: str | None = None

    @property
    def is_evidence(self) -> bool:
        """Whether it may enter figures about models and arms.

        A tester's requests may not, nor answers that nobody got.
        """
        return self.assignment.tester is None and self.status != GONE

    @property
    def model_sha(self) -> str:
        """The canonical SHA of the entry that answered."""
        return self.entry_sha

    @property
    def traffic_assignment(self) -> Assignment:
        """The arm assigned to this request, with the inputs of that decision."""
        return self.assignment


ALSO_NAMED = {
    "model_sha": "entry_sha",
    "traffic_assignment": "assignment",
    "sentence": "input",
    "sentence_sha256": "input_sha256",
    "correction": "output",
    "is_correct": "accepted",
    "learner_hash": "unit_hash",
}
"""Further names of a trace's fields for programs. The last five are those of earlier versions, kept for one more."""


def set_apart(trace: Trace) -> list[tuple[str, str]]:
    """What sets a request apart from a learner's ordinary one, as name and text; empty if nothing does."""
    tester = trace.assignment.tester
    found = [("tester", f"{tester}; in no comparison" if tester else ""), ("retry of", trace.retry_of or "")]
    return [(name, text) for name, text in (*found, ("shadow of", trace.shadow_of or "")) if text]


def trace_object(trace: Trace) -> dict[str, Any]:
    """A trace as programs read it: its fields, some of them also under the names that earlier versions gave them."""
    fields: dict[str, Any] = msgspec.to_builtins(trace)
    return fields | {old: fields[name] for old, name in ALSO_NAMED.items()}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of traces, newest first, and the total number of matches (None if it is too large to count)."""

    traces: tuple[Trace, ...]
    matched: int | None


Row = dict[str, Any]
