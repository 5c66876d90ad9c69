"""Sends the spans of traces to a collector over OTLP.

A background thread sends from a bounded queue; traces that do not fit or that the collector rejects are dropped and
counted, and requests are never delayed. OpenTelemetry is imported by the first ``SpanExporter``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from miniobserve.ids import Span
from miniobserve.spans import Piece, pieces
from miniobserve.traces import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_PATH = "/v1/traces"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's standard endpoint variables; the exporter library reads the others (headers, timeout …) itself."""

_BATCH = 128
Counted = Callable[[str, int], None]
"""Called with ``exported`` or ``dropped``, and the number of traces."""


class _Told(logging.Handler):
    """Keeps what OpenTelemetry's exporter says of its last failed attempt: the status, or why there was none."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message, on one line."""
        self.last = " ".join(record.getMessage().split())[:300]


def address(endpoint: str | None, environ: Mapping[str, Any]) -> str | None:
    """Return the URL that traces are sent to; None where OpenTelemetry's own variables say it.

    Many pages show the address with its path and others without it, so both are accepted.
    """
    base = endpoint or ("" if environ.get(ENDPOINTS[0]) else environ.get(ENDPOINTS[1], ""))
    if not base:
        return None
    base = str(base).rstrip("/")
    return base if base.endswith(_PATH) else base + _PATH


def without_password(url: str) -> str:
    """Return a URL without the user and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


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
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        # OpenTelemetry logs every failed attempt; ``on_state_change`` reports the first one only.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._told = _Told()
        exporter_log = logging.getLogger(OTLPSpanExporter.__module__)
        exporter_log.setLevel(logging.WARNING)
        exporter_log.propagate = False
        exporter_log.addHandler(self._told)
        url = address(endpoint, os.environ)
        self._otlp = OTLPSpanExporter(endpoint=url)
        self._url = without_password(url or os.environ.get(ENDPOINTS[0], ""))
        self._sampler = TracerProvider().sampler  # OpenTelemetry's own reading of OTEL_TRACES_SAMPLER
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
        """Queue one trace, unless the sampler drops it; by default it follows the caller, who may sample it or not."""
        if not self._sampled(span):
            return
        with self._changed:
            if not self._closed and len(self._waiting) < self._limit:
                self._waiting.append((trace, span))
                self._changed.notify()
                return
        self._count("dropped", 1)

    def _sampled(self, span: Span) -> bool:
        from opentelemetry import trace as api

        flags = api.TraceFlags(int(span.flags, 16))
        parent = api.SpanContext(int(span.trace_id, 16), int(span.parent_id or "0", 16), True, flags)
        context = api.set_span_in_context(api.NonRecordingSpan(parent)) if span.parent_id else None
        decided = self._sampler.should_sample(context, int(span.trace_id, 16), "http.handler")
        return bool(decided.decision.is_sampled())  # type: ignore[no-untyped-call]

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
        return None if taken else f"{self._url}: {self._told.last or 'the collector did not accept them'}"

    def _readable(self, piece: Piece) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

        state = TraceState.from_header([piece.state])

        def context(span_id: str, *, remote: bool) -> SpanContext:
            return SpanContext(int(piece.trace_id, 16), int(span_id, 16), remote, TraceFlags(1), state)

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


def is_configured(endpoint: str, environ: Mapping[str, Any]) -> bool:
    """Whether traces are to be sent: an endpoint is set, here or by OpenTelemetry's variables, and not disabled."""
    if str(environ.get("OTEL_SDK_DISABLED", "")).strip().lower() == "true":
        return False
    return bool(endpoint) or any(environ.get(name) for name in ENDPOINTS)
