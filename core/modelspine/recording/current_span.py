"""The span of the request that a program answers now, where it uses OpenTelemetry.

It imports no part of OpenTelemetry: a program that uses it has done so. It does not know what the span is for.
"""

from __future__ import annotations

import sys

from miniobserve.ids import Span, fresh_span


def current_span() -> Span:
    """OpenTelemetry's span of this request where the program uses it, else the first span of a new trace."""
    api = sys.modules.get("opentelemetry.trace")
    try:
        context = api.get_current_span().get_span_context() if api is not None else None
    except Exception:  # noqa: BLE001 -- a tracer of the program's own
        context = None
    if context is None or not context.is_valid:
        return fresh_span()
    return Span(f"{context.trace_id:032x}", f"{context.span_id:016x}", "01")
