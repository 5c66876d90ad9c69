"""Divides traces into OpenTelemetry's spans, as values.

The span ``http.handler`` contains ``tokenize.input → llm.prefill → llm.decode → format.output``. Texts, learner ids
and hashes of either are in none. It sends nothing; ``otlp`` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from miniobserve.ids import Span
from miniobserve.traces import Trace

ATTRIBUTES: Mapping[str, str] = {
    "request_id": "gen_ai.response.id",
    "semver": "gen_ai.request.model",
    "entry_sha": "gen_ai.response.model",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "status": "http.response.status_code",
    "error": "error.type",
    "arm": "spine.arm",
    "strategy": "spine.strategy",
    "epoch": "spine.epoch",
    "bucket": "spine.bucket",
    "intended_sha": "spine.intended_sha",
    "cost": "spine.cost",
    "currency": "spine.currency",
    "rate_per_hour": "spine.rate_per_hour",
    "workers": "spine.workers",
    "price_version": "spine.price_version",
    "priced_by": "spine.priced_by",
    "source": "spine.source",
    "shadow_of": "spine.shadow_of",
}
"""Field of a trace → attribute name, all in one place: the semantic conventions for generative AI are not stable."""

_STAGES = (
    ("tokenize", "tokenize.input"), ("prefill", "llm.prefill"), ("decode", "llm.decode"), ("format", "format.output"),
)  # fmt: skip
_LLM = ("operation", "provider", "semver", "entry_sha")
_MORE = {"llm.prefill": (*_LLM, "input_tokens"), "llm.decode": (*_LLM, "output_tokens")}


class Piece(NamedTuple):
    """One span: ids in hexadecimal, times in UTC nanoseconds, attributes by the names they are sent under."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start_ns: int
    end_ns: int
    attributes: dict[str, str | int | float]
    failed: bool
    state: str = ""
    """The caller's ``tracestate``."""


def pieces(trace: Trace, span: Span) -> Iterator[Piece]:
    """Yield the spans of one trace, the handler's first.

    Only the stages' durations are known, so they are placed one after another after the time in the queue.
    """
    known = _known_fields(trace)
    failed = trace.status >= 500
    end = trace.started_ns + _ns(trace.seconds)
    root = {ATTRIBUTES[name]: value for name, value in known.items()}
    ids = (trace.trace_id, trace.span_id, span.parent_id)
    yield Piece("http.handler", *ids, trace.started_ns, end, root, failed, span.state)
    at = trace.started_ns + _ns(trace.stages.get("queue", 0.0))
    for stage, name in _STAGES:
        if stage not in trace.stages:
            continue
        after = min(at + _ns(trace.stages[stage]), end)
        own = {ATTRIBUTES[field]: known[field] for field in _MORE.get(name, ()) if field in known}
        yield Piece(
            name,
            trace.trace_id,
            _child_id(trace.span_id, name),
            trace.span_id,
            min(at, end),
            after,
            own,
            False,
            span.state,
        )
        at = after


def _known_fields(trace: Trace) -> dict[str, str | int | float]:
    """Return the fields of a trace that are sent, by their names in ``ATTRIBUTES``, without unknown values."""
    given = trace.assignment
    fields = {
        **{name: getattr(trace, name) for name in ATTRIBUTES if hasattr(trace, name)},
        **{name: getattr(given, name) for name in ("arm", "strategy", "epoch", "bucket")},
        "operation": "text_completion",
        "provider": "spine",
        # Never the error message: it may quote the learner's text.
        "error": "model_failed" if trace.status >= 500 else None,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _child_id(span_id: str, name: str) -> str:
    """Derive a stage's span id from its parent's, so that it need not be stored."""
    return hashlib.sha256(f"{span_id}|{name}".encode()).hexdigest()[:16]


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
