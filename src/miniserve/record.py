"""The trace of a request: which texts and ids it may keep, and how it is built from an answer.

This module does not know where traces are stored or how answers are produced.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from miniobserve.cost import QUEUE, CostMeter, TokenPrice, Usage
from miniobserve.ids import Span, fresh_request_id
from miniobserve.traces import GONE, Assignment, Trace
from miniserve.pending import Answered
from miniserve.testers import Tester
from modelspine.described.records import EMBEDDING
from modelspine.ledger.route import SHADOW, Arm, shadow_assignment
from modelspine.recording.redaction import Redaction, kept_fields, kept_vector, sha256


def _stays() -> bool:
    return False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A text to answer, with the ids and times of its request."""

    text: str
    learner_id: str | None
    request_id: str
    span: Span
    started_ns: int
    """UTC nanoseconds since 1970; simulated for replayed traffic."""
    arrived: float
    """``time.perf_counter()`` at arrival."""
    source: str = "live"
    retry_of: str | None = None
    """The first request with the caller's id, if this one repeats it."""
    tester: Tester | None = None
    gone: Callable[[], bool] = _stays
    """Whether the client has closed the connection."""

    @property
    def unit(self) -> str:
        """The unit of randomisation: the learner, or the (first) request if no learner is given."""
        return self.learner_id or self.retry_of or self.request_id

    @property
    def sticky(self) -> bool:
        """Whether the unit is a learner."""
        return self.learner_id is not None


class TracePolicy(NamedTuple):
    """How one server prices and redacts the requests it traces."""

    meter: CostMeter
    redaction: Redaction


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that answers a request, and the one the ledger's route intends (``intended_sha``)."""

    assignment: Assignment
    sha: str
    semver: str
    intended_sha: str
    copy_to: Arm | None = None
    """The shadow arm that gets a copy of this request, if any."""
    by_shadow: bool = False
    """Whether a tester chose the shadow arm, whose model runs in a process of its own."""


class Copy(NamedTuple):
    """An answered request, to be answered again by the shadow arm, whose answers no learner sees."""

    ask: Ask
    assignment: Assignment
    """The assignment of the answered request."""
    arm: Arm

    @property
    def text(self) -> str:
        """The text to answer."""
        return self.ask.text


def shadow_trace(copy: Copy, answered: Answered | None, began: float, error: str, policy: TracePolicy) -> Trace:
    """Build the trace of a shadow answer: it has its own id and names the answered request in ``shadow_of``.

    Args:
        copy: the answered request.
        answered: the shadow's answer, or None if it failed.
        began: when its batch was sent (``time.perf_counter()``).
        error: why there is no answer; empty if there is one.
        policy: how the server traces requests.
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
    stages = {name: seconds for name, seconds in answered.stages.items() if name != QUEUE} if answered else {}
    return make_trace(ask, served, answered, stages, error, policy, shadow_of=copy.ask.request_id)


def make_trace(
    ask: Ask, served: Served, answered: Answered | None, stages: Mapping[str, float], error: str, policy: TracePolicy,
    *, failed: int = 500, shadow_of: str | None = None,
) -> Trace:  # fmt: skip
    """Build the trace of an answered request, or of a failed one (``answered`` is None) with status ``failed``."""
    answer = answered.answer if answered else None
    meter, redaction = policy.meter, policy.redaction
    full = redaction.text == "full"
    tokens = (answer.input_tokens, answer.output_tokens) if answer else None
    charge = meter.charge(
        Usage(served.sha, served.semver, stages, tokens, copy=shadow_of is not None or served.assignment.arm == SHADOW)
    )
    gone = answer is not None and shadow_of is None and ask.gone()
    token_price = charge.token_price or TokenPrice(None, None)
    return Trace(
        request_id=ask.request_id,
        trace_id=ask.span.trace_id,
        span_id=ask.span.span_id,
        started_ns=ask.started_ns,
        entry_sha=served.sha,
        intended_sha=served.intended_sha,
        semver=served.semver,
        assignment=redaction.assignment(served.assignment),
        unit_hash=redaction.unit_hash(ask.learner_id),
        input=ask.text if full else None,
        input_sha256=sha256(ask.text) if redaction.text == "hash" else None,
        output=answer.output if answer and full else None,
        accepted=answer.accepted if answer else None,
        in_scope=answer.in_scope if answer else True,
        features=answer.features if answer else {},
        values=dict(answered.values) if answered else {},
        values_by=answered.values_by if answered else "",
        embedding=kept_vector(answer.fields.get(EMBEDDING), texts=full) if answer else None,
        fields=kept_fields(answer.fields, texts=full) if answer else {},
        graded=answered.graded if answered else None,
        stages=dict(stages),
        seconds=time.perf_counter() - ask.arrived,
        input_tokens=answer.input_tokens if answer else 0,
        output_tokens=answer.output_tokens if answer else 0,
        cost=charge.amount,
        currency=meter.currency,
        rate_per_hour=charge.rate_per_hour,
        workers=charge.workers,
        price_version=meter.price_version,
        priced_by=charge.priced_by,
        input_price=token_price.input,
        output_price=token_price.output,
        unpriced=charge.unpriced,
        status=failed if answer is None else GONE if gone else 200,
        error=error or ("the client closed the connection before the answer" if gone else ""),
        source=ask.source,
        shadow_of=shadow_of,
        retry_of=ask.retry_of,
    )
