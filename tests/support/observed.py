"""Traces to write."""

from __future__ import annotations

from typing import Any

from miniobserve.cost import CostMeter
from miniobserve.traces import Assignment, Trace
from miniobserve.uptime import Uptime
from miniobserve.writer import TraceWriter

ASSIGNMENT = Assignment(
    strategy="single", epoch=3, salt="3", arm="stable", bucket=42, sticky=True, u="0" * 16, unit="learner-7"
)
DAY_NS = 86_400_000_000_000
MONDAY_NS = 1_772_409_600_000_000_000
"""2026-03-02T00:00:00Z."""


def make_trace(request_id: str, **more: Any) -> Trace:
    """Return a trace from a Monday, with some fields replaced."""
    values: dict[str, Any] = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "started_ns": MONDAY_NS,
        "entry_sha": "e" * 64,
        "intended_sha": "e" * 64,
        "semver": "v0.1.0",
        "assignment": ASSIGNMENT,
        "input": "Yesterday he goed home.",
        "output": "Yesterday he went home.",
        "accepted": False,
        "features": {"verb": "go", "tense": "past_simple"},
        "stages": {"queue": 0.001, "decode": 0.002},
        "seconds": 0.003,
        "cost": 4e-8,
        **more,
    }
    return Trace(request_id=request_id, **values)


def record_uptime(url: str, began_ns: int, seconds: int, rate: float = 0.05, version: str = "2026-01") -> None:
    """Record that a server at this rent was up for so long."""
    walls, passed = iter([began_ns]), iter([0])
    uptime = Uptime(
        CostMeter(rate, version),
        clock=lambda: next(walls, began_ns + seconds * 10**9),
        passed=lambda: next(passed, seconds * 10**9),
    )
    TraceWriter(url, uptime=uptime).close()
