"""Export requests of one span, in both encodings."""

from __future__ import annotations

import json
import time
from typing import Any

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NOW = time.time_ns()
TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


def given(attributes: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": PARENT, "name": "chat", "kind": 3,
        "startTimeUnixNano": str(NOW), "endTimeUnixNano": str(NOW + 5), "attributes": attributes or [], **more,
    }  # fmt: skip


def as_json(*spans: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}).encode()


def as_protobuf(*spans: dict[str, Any]) -> bytes:
    request = Parse(as_json(*spans), ExportTraceServiceRequest())
    for made, own in zip(request.resource_spans[0].scope_spans[0].spans, spans, strict=True):
        made.trace_id, made.span_id = bytes.fromhex(own["traceId"]), bytes.fromhex(own["spanId"])
        made.parent_span_id = bytes.fromhex(own["parentSpanId"])
    return bytes(request.SerializeToString())


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
