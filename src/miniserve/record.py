"""What is kept of a request: the text policy, and the trace made of an answer.

It does not know where traces go, nor how an answer came about.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from miniobserve.cost import CURRENCY, CostMeter
from miniobserve.ids import Span, fresh_request_id
from miniobserve.traces import Assignment, Trace
from modelspine.ledger.route import Arm, shadow_assignment
from modelspine.workload import Answer

TextPolicy = Literal["full", "hash", "none"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One text to answer, with what names the request."""

    text: str
    learner_id: str | None
    request_id: str
    span: Span
    started_ns: int
    """UTC; simulated for replayed traffic."""
    arrived: float
    """``time.perf_counter()`` at arrival."""
    source: str = "live"

    @property
    def unit(self) -> str:
        """The unit of randomisation: the learner, or the request itself."""
        return self.request_id if self.learner_id is None else self.learner_id

    @property
    def sticky(self) -> bool:
        """Whether the unit is a learner."""
        return self.learner_id is not None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace may keep of a learner and of what they wrote.

    A learner is kept as SHA-256 of ``learner_salt | id``, with the hash of the ledger's first event as
    the salt: the same on every replica for all of a ledger's life, and of no use beside another one.
    Under ``full`` the assignment keeps the id itself too, so that a walk can recompute it.
    """

    text: TextPolicy
    learner_salt: str

    def learner_hash(self, learner_id: str | None) -> str | None:
        """The learner as a trace keeps them."""
        return None if learner_id is None else _sha256(f"{self.learner_salt}|{learner_id}")

    def assignment(self, assignment: Assignment) -> Assignment:
        """The assignment of a trace, without the learner where the policy does not keep them."""
        if self.text == "full" or not assignment.sticky:
            return assignment
        return msgspec.structs.replace(assignment, unit=None)


class Keep(NamedTuple):
    """What a server's traces keep beside what was said."""

    meter: CostMeter
    policy: Policy
    grade: Callable[[str, str], bool | None] = lambda _text, _output: None
    """Whether an output is right, where the workload can tell; kept so that no report needs the text."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Which entry answers a request, and which one the ledger's route gives it."""

    assignment: Assignment
    sha: str
    semver: str
    intended_sha: str
    copy_to: Arm | None = None
    """The shadow arm that gets a copy, where there is one for this request."""


class Copy(NamedTuple):
    """A text that was answered, to be answered once more by an arm that no learner sees."""

    ask: Ask
    of: str
    """The request id it was answered under."""
    assignment: Assignment
    """The primary's."""
    arm: Arm

    @property
    def text(self) -> str:
        """The text."""
        return self.ask.text


def shadow_trace(copy: Copy, answer: Answer | None, began: float, error: str, keep: Keep) -> Trace:
    """The trace of a copy: under an id of its own, linked to the primary's.

    Args:
        copy: what was answered.
        answer: the shadow's, or None where it gave none.
        began: when its batch was sent (``time.perf_counter()``).
        error: why there is no answer.
        keep: what a trace keeps.
    """
    arm = copy.arm
    served = Served(
        assignment=shadow_assignment(copy.assignment, arm),
        sha=arm.sha,
        semver=arm.semver,
        intended_sha=arm.sha,
    )
    span = copy.ask.span._replace(span_id=secrets.token_hex(8))
    ask = msgspec.structs.replace(copy.ask, request_id=fresh_request_id(), arrived=began, span=span)
    trace = make_trace(ask, served, answer, answer.stages if answer else {}, error, keep)
    return msgspec.structs.replace(trace, shadow_of=copy.of)


def make_trace(
    ask: Ask,
    served: Served,
    answer: Answer | None,
    stages: Mapping[str, float],
    error: str,
    keep: Keep,
    *,
    failed: int = 500,
) -> Trace:
    """The trace of an answered request, or of one whose model failed (``answer`` is None) with status ``failed``."""
    meter, policy = keep.meter, keep.policy
    full = policy.text == "full"
    return Trace(
        request_id=ask.request_id,
        trace_id=ask.span.trace_id,
        span_id=ask.span.span_id,
        started_ns=ask.started_ns,
        entry_sha=served.sha,
        intended_sha=served.intended_sha,
        semver=served.semver,
        assignment=policy.assignment(served.assignment),
        learner_hash=policy.learner_hash(ask.learner_id),
        sentence=ask.text if full else None,
        sentence_sha256=_sha256(ask.text) if policy.text == "hash" else None,
        correction=answer.output if answer and full else None,
        is_correct=answer.accepted if answer else None,
        in_scope=answer.in_scope if answer else True,
        features=answer.features if answer else {},
        graded=keep.grade(ask.text, answer.output) if answer else None,
        stages=dict(stages),
        seconds=time.perf_counter() - ask.arrived,
        input_tokens=answer.input_tokens if answer else 0,
        output_tokens=answer.output_tokens if answer else 0,
        cost=meter.price(stages),
        currency=CURRENCY,
        rate_per_hour=meter.rate_per_hour,
        price_version=meter.price_version,
        status=200 if answer else failed,
        error=error,
        source=ask.source,
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
