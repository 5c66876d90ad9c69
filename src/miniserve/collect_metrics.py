"""The metrics of a collector: those of a server, and what became of spans and requests.

This module does not know where its numbers come from.
"""

from __future__ import annotations

from prometheus_client import Counter

from miniobserve.metrics import Metrics


class CollectMetrics(Metrics):
    """The metrics of one collector."""

    def __init__(self) -> None:
        super().__init__()
        self._collected = Counter(
            "spine_collected",
            "Spans taken, rejected, late or unused; requests stored, unattributed, repeated or failed.",
            ("what",),
            registry=self._registry,
        )

    def collected(self, what: str, number: int) -> None:
        """Count spans or requests by what became of them."""
        if number:
            self._collected.labels(what).inc(number)
