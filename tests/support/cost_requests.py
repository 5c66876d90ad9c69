"""Requests with prices, entries, and the figures of both."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from miniobserve.cost import BUSY, NO_RATE, CostMeter
from miniobserve.uptime import Up
from modelspine.cost.figures import EntryCost, Priced, costs
from modelspine.cost.query import Spent, metered
from modelspine.gate.eval_report import Count

RATE = 0.05
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
START_NS = int(NOON.timestamp()) * 10**9
BUSY_SECONDS = 0.0075
"""What ``spent`` is busy for: three quarters of its 10 ms; in the rest it waits."""
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def spent(sha: str, seconds: float = 0.01, tokens: int = 10, rate: float | None = RATE, **more: Any) -> Spent:
    stages = {"queue": seconds / 4, "decode": seconds * 3 / 4}
    values: dict[str, Any] = {
        "started_ns": START_NS, "entry_sha": sha, "stages": stages, "input_tokens": tokens // 2,
        "output_tokens": tokens - tokens // 2, "cost": CostMeter(rate, "p1").price(stages), "rate_per_hour": rate,
        "price_version": "p1", "priced_by": BUSY, "features": {"verb": "go"},
        "unpriced": "" if rate is not None else NO_RATE,
    }  # fmt: skip
    return Spent(**{**values, **more})


def entry(sha: str, k: int, n: int = 1000, parent: str | None = None) -> Priced:
    return Priced(sha=sha, semver=None, variant="fp32", parent_sha=parent, total=Count(k, n) if n else None)


def figures(*pairs: tuple[Priced, list[Spent]], uptime: tuple[Up, ...] = ()) -> list[EntryCost]:
    return list(costs([e for e, _ in pairs], metered([s for _, several in pairs for s in several]), uptime)[0])


def up(hours: float, *, began: datetime = NOON, rate: float = RATE, version: str = "p1") -> Up:
    start = int(began.timestamp()) * 10**9
    return Up(began_ns=start, seen_ns=start + int(hours * 3600e9), rate_per_hour=rate, price_version=version)
