"""Reads OTLP's JSON: protobuf's mapping, but with ids in hexadecimal and enumerations as numbers.

It does not know what a span means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from miniserve.span_values import (
    FAILED,
    MOST_EVENTS,
    MOST_KEY,
    BadExport,
    Budget,
    Event,
    Span,
    attributes_of,
    parent_id,
)  # fmt: skip


def groups_of_json(body: bytes) -> Iterator[Sequence[Any]]:
    """Yield the spans of each resource and scope, as ``span_of_json`` reads them; a group may be empty.

    Raises:
        BadExport: the body is no export in JSON.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadExport("the body is not JSON in UTF-8") from error
    if not isinstance(request, dict):
        raise BadExport("the body must be a JSON object with resourceSpans")
    return _groups(request)


def _groups(request: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    for resource in _list(request, "resourceSpans"):
        yield ()  # also counts a resource without a scope
        for scope in _list(resource, "scopeSpans"):
            yield _list(scope, "spans")


def _list(parent: Any, name: str) -> Sequence[Any]:
    found = parent.get(name) if isinstance(parent, Mapping) else None
    return found if isinstance(found, list) else ()


def span_of_json(span: Mapping[str, Any]) -> Span:
    """Read one span; raises what its first wrong field raises."""
    budget, left = Budget(), list[str]()

    def attributes(parent: Mapping[str, Any]) -> dict[str, Any]:
        pairs = ((each["key"], each.get("value")) for each in _list(parent, "attributes"))
        return attributes_of(pairs, _json_value, budget, left)

    status = span.get("status") or {}
    return Span(
        trace_id=str(span.get("traceId", "")).lower(),
        span_id=str(span.get("spanId", "")).lower(),
        parent_id=parent_id(str(span.get("parentSpanId") or "").lower()),
        name=str(span.get("name", ""))[:MOST_KEY],
        kind=int(span.get("kind", 0)),
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span.get("endTimeUnixNano", 0)),
        attributes=attributes(span),
        events=[
            Event(str(each.get("name", ""))[:MOST_KEY], attributes(each))
            for each in _list(span, "events")[:MOST_EVENTS]
        ],
        failed=status.get("code") in (FAILED, "STATUS_CODE_ERROR"),
        error=str(status.get("message", ""))[:MOST_KEY],
        left_out=left,
        unfinite=budget.unfinite,
        unread=budget.files.unread,
        held=tuple(budget.files.held),
    )


def _json_value(value: Any, budget: Budget, depth: int) -> Any:
    if not isinstance(value, Mapping) or not value:
        budget.take()
        return None
    kind, found = next(iter(value.items()))
    if kind == "stringValue":
        return budget.take_text(str(found))
    if kind == "bytesValue":
        budget.take(str(found))
        return str(found)
    budget.take()
    if kind in ("arrayValue", "kvlistValue"):
        if depth <= 1:
            raise OverflowError
        members = _list(found, "values")
        if kind == "arrayValue":
            return [_json_value(each, budget, depth - 1) for each in members]
        return {str(each["key"]): _json_value(each.get("value"), budget, depth - 1) for each in members}
    if kind == "intValue":
        return int(found)
    if kind == "doubleValue":
        return budget.finite(float(found))
    return bool(found) if kind == "boolValue" else None
