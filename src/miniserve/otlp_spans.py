"""Reads OpenTelemetry's export requests (OTLP, protobuf or JSON) into spans as values, within limits.

What comes in is hostile: the number of spans, attributes and values, their length, their depth and their times are
limited. A span that is over a limit which matters is rejected and counted, with a sentence; an attribute that is too
large is left out, and the span names it. This module knows nothing of models, HTTP or storage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from miniserve.otlp_json import groups_of_json, span_of_json
from miniserve.span_values import (
    AHEAD_NS,
    BEHIND_NS,
    FAILED,
    HEX,
    LONGEST_NS,
    MOST_EVENTS,
    MOST_KEY,
    MOST_SPANS,
    BadExport,
    Budget,
    Event,
    Span,
    attributes_of,
    parent_id,
    text_of_bytes,
)  # fmt: skip

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """The spans of one export request, and how many were rejected, with the first reason."""

    spans: tuple[Span, ...]
    rejected: int = 0
    reason: str = ""


def read_export(body: bytes, kind: str, now_ns: int) -> Export:
    """Read an export request of the media type ``kind``.

    Raises:
        BadExport: the body is not one.
    """
    groups, read = (_of_protobuf(body), _protobuf_span) if kind == PROTOBUF else (groups_of_json(body), span_of_json)
    spans: list[Span] = []
    left, rejected, reason = MOST_SPANS, 0, ""
    for number, group in enumerate(groups):
        if number >= MOST_SPANS:
            raise BadExport(f"the export has more than {MOST_SPANS:,} resources and scopes")
        for span in islice(group, left):
            try:
                spans.append(_checked(read(span), now_ns))
            except _Reject as error:
                rejected, reason = rejected + 1, reason or str(error)
            except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError):
                rejected, reason = rejected + 1, reason or "a field of a span has another type than OTLP says"
        # The others are counted and not looked at: an export may hold millions that are empty.
        over = max(0, len(group) - left)
        rejected, left = rejected + over, max(0, left - len(group))
        reason = reason or (f"more than {MOST_SPANS:,} spans in one export" if over else "")
    return Export(spans=tuple(spans), rejected=rejected, reason=reason)


def response(kind: str, rejected: int, message: str) -> bytes:
    """Return the body of the reply to an export: empty, or with the number of rejected spans or a warning."""
    if kind == JSON:
        outcome = {"rejectedSpans": str(rejected), "errorMessage": message} if rejected or message else None
        return msgspec.json.encode({"partialSuccess": outcome} if outcome else {})
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    reply = ExportTraceServiceResponse()
    if rejected or message:
        reply.partial_success.rejected_spans = rejected
        reply.partial_success.error_message = message
    return bytes(reply.SerializeToString())


class _Reject(Exception):
    """Why one span is not taken."""


def _checked(span: Span, now_ns: int) -> Span:
    """Return a span with valid ids and times; an end that cannot be true is replaced by the start.

    Raises:
        _Reject: it has none.
    """
    for value, digits in ((span.trace_id, 32), (span.span_id, 16)):
        if len(value) != digits or not set(value) <= HEX or set(value) == {"0"}:
            raise _Reject("a trace or span id is not valid")
    if span.parent_id and (len(span.parent_id) != 16 or not set(span.parent_id) <= HEX):
        raise _Reject("a parent's span id is not valid")
    if not now_ns - BEHIND_NS <= span.start_ns <= now_ns + AHEAD_NS:
        raise _Reject("a span starts over 31 days ago or over a day ahead of this clock")
    if not span.start_ns <= span.end_ns <= min(span.start_ns + LONGEST_NS, now_ns + AHEAD_NS):
        return msgspec.structs.replace(span, end_ns=span.start_ns, timed=False)
    return span


# Protobuf


def _of_protobuf(body: bytes) -> Iterator[Sequence[Any]]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except (DecodeError, RecursionError) as error:
        raise BadExport("the body is not an ExportTraceServiceRequest in protobuf") from error
    return _groups(request)


def _groups(request: Any) -> Iterator[Sequence[Any]]:
    for resource in request.resource_spans:
        yield ()  # also counts a resource without a scope
        for scope in resource.scope_spans:
            yield scope.spans


def _protobuf_span(span: Any) -> Span:
    budget, left = Budget(), list[str]()

    def attributes(given: Any) -> dict[str, Any]:
        return attributes_of(((each.key, each.value) for each in given), _protobuf_value, budget, left)

    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=parent_id(span.parent_span_id.hex()),
        name=span.name[:MOST_KEY],
        kind=int(span.kind),
        start_ns=int(span.start_time_unix_nano),
        end_ns=int(span.end_time_unix_nano),
        attributes=attributes(span.attributes),
        events=[Event(each.name[:MOST_KEY], attributes(each.attributes)) for each in span.events[:MOST_EVENTS]],
        failed=span.status.code == FAILED,
        error=span.status.message[:MOST_KEY],
        left_out=left,
        unfinite=budget.unfinite,
        unread=budget.files.unread,
        held=tuple(budget.files.held),
    )


def _protobuf_value(value: Any, budget: Budget, depth: int) -> Any:
    which = value.WhichOneof("value")
    if which == "string_value":
        return budget.take_text(value.string_value)
    budget.take()
    if which in ("array_value", "kvlist_value"):
        if depth <= 1:
            raise OverflowError
        if which == "array_value":
            return [_protobuf_value(each, budget, depth - 1) for each in value.array_value.values]
        return {each.key: _protobuf_value(each.value, budget, depth - 1) for each in value.kvlist_value.values}
    if which == "bytes_value":
        return text_of_bytes(value.bytes_value, budget)
    found = None if which is None else getattr(value, which)
    return budget.finite(found) if isinstance(found, float) else found
