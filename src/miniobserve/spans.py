"""Converts traces to OpenTelemetry spans and sends them to a collector over OTLP.

The span ``http.handler`` contains ``tokenize.input → llm.prefill → llm.decode → format.output``. Texts, learner ids
and hashes of either are never sent. A background thread sends from a bounded queue; traces that do not fit or that
the collector rejects are dropped and counted, and requests are never delayed. OpenTelemetry is imported by the first
``SpanExporter``.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from miniobserve.ids import Span
from miniobserve.traces import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's standard endpoint variables; the exporter library reads the others (headers, timeout …) itself."""

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
_BATCH = 128

Counted = Callable[[str, int], None]
"""Called with ``exported`` or ``dropped``, and the number of traces."""


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


def pieces(trace: Trace, span: Span) -> Iterator[Piece]:
    """Yield the spans of one trace, the handler's first.

    Only the stages' durations are known, so they are placed one after another after the time in the queue.
    """
    known = _known_fields(trace)
    failed = trace.status >= 500
    end = trace.started_ns + _ns(trace.seconds)
    root = {ATTRIBUTES[name]: value for name, value in known.items()}
    yield Piece("http.handler", trace.trace_id, trace.span_id, span.parent_id, trace.started_ns, end, root, failed)
    at = trace.started_ns + _ns(trace.stages.get("queue", 0.0))
    for stage, name in _STAGES:
        if stage not in trace.stages:
            continue
        after = min(at + _ns(trace.stages[stage]), end)
        own = {ATTRIBUTES[field]: known[field] for field in _MORE.get(name, ()) if field in known}
        yield Piece(
            name, trace.trace_id, _child_id(trace.span_id, name), trace.span_id, min(at, end), after, own, False
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


class SpanExporter:
    """Sends traces in the background; ``submit`` never blocks and never raises."""

    def __init__(
        self,
        endpoint: str | None,
        *,
        count: Counted,
        on_state_change: Callable[[str | None], None] = lambda _reason: None,
        queue: int = 2048,
    ) -> None:
        """Load OpenTelemetry and start the thread.

        Args:
            endpoint: the collector's base URL, such as ``http://127.0.0.1:4318``; None for OpenTelemetry's variables.
            count: called with the number of traces exported or dropped.
            on_state_change: called with the reason when exporting begins to fail, and with None when it works again.
            queue: the most traces that may wait; further ones are dropped.

        """
        import logging

        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource

        # OpenTelemetry logs every failed attempt; ``on_state_change`` reports the first one only.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        self._otlp = OTLPSpanExporter(endpoint=url)
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "miniserve"}
        self._resource = Resource.create(named)
        self._count = count
        self._on_state_change = on_state_change
        self._limit = queue
        self._waiting: deque[tuple[Trace, Span]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._refused = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def submit(self, trace: Trace, span: Span) -> None:
        """Queue one trace, unless its caller marked it as not sampled."""
        if not int(span.flags, 16) & 1:
            return
        with self._changed:
            if not self._closed and len(self._waiting) < self._limit:
                self._waiting.append((trace, span))
                self._changed.notify()
                return
        self._count("dropped", 1)

    def close(self, seconds: float = 2.0) -> None:
        """Send the queued traces for at most this long, then drop the rest."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._otlp.shutdown()  # type: ignore[no-untyped-call]  # interrupts its wait between retries
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            self._count("dropped", left)

    def _run(self) -> None:
        while group := self._take():
            try:
                reason = self._send(group)
            except Exception as error:  # noqa: BLE001 -- neither a collector nor an odd value may end the thread
                reason = type(error).__name__
            self._count("dropped" if reason else "exported", len(group))
            if bool(reason) != self._refused:
                self._refused = bool(reason)
                self._on_state_change(reason)

    def _take(self) -> list[tuple[Trace, Span]]:
        """Wait for traces and return a batch of them; empty once closed and drained."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]

    def _send(self, group: list[tuple[Trace, Span]]) -> str | None:
        """Send a group; returns why it failed, or None."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        spans = [self._readable(piece) for trace, span in group for piece in pieces(trace, span)]
        taken = self._otlp.export(spans) is SpanExportResult.SUCCESS
        return None if taken else "the collector did not accept them"

    def _readable(self, piece: Piece) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(span_id: str, *, remote: bool) -> SpanContext:
            return SpanContext(int(piece.trace_id, 16), int(span_id, 16), remote, TraceFlags(1))

        server = piece.name == "http.handler"
        return ReadableSpan(
            piece.name,
            context=context(piece.span_id, remote=False),
            parent=context(piece.parent_id, remote=server) if piece.parent_id else None,
            resource=self._resource,
            attributes=piece.attributes,
            kind=SpanKind.SERVER if server else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if piece.failed else StatusCode.UNSET),
            start_time=piece.start_ns,
            end_time=piece.end_ns,
            instrumentation_scope=InstrumentationScope("miniobserve"),
        )


def _child_id(span_id: str, name: str) -> str:
    """Derive a stage's span id from its parent's, so that it need not be stored."""
    return hashlib.sha256(f"{span_id}|{name}".encode()).hexdigest()[:16]


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def is_configured(endpoint: str, environ: Mapping[str, Any]) -> bool:
    """Whether an endpoint is set, in the settings or by one of OpenTelemetry's variables."""
    return bool(endpoint) or any(environ.get(name) for name in ENDPOINTS)
