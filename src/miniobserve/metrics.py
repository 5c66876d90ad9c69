"""Counters, gauges and histograms of one server, in Prometheus's text format.

Labels have few values (arm, status code, kind of token, entry) and never identify a request or a learner: each
combination of labels is a time series that Prometheus keeps. Each ``Metrics`` has its own registry, so that several
servers can run in one process. This module does not know where its numbers come from.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from miniobserve.traces import Trace

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_DOLLARS = tuple(10.0**-power for power in range(9, 3, -1))
_FIRST_TOKEN_STAGES = ("queue", "tokenize", "prefill")


class Metrics:
    """The metrics of one server."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("request", "Requests by arm and status code.", ("arm", "code"), registry=registry)
        self._seconds = Histogram(
            "request_duration_seconds", "Arrival to reply.", ("arm",), buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("tokens", "Tokens read and written.", ("arm", "kind"), registry=registry)
        self._first = Histogram(
            "time_to_first_token_seconds", "Queue to first token.", ("arm",), buckets=_SECONDS, registry=registry
        )
        self._slots = Gauge("kv_cache_slots_used", "Texts in the batch being answered.", registry=registry)
        self._depth = Gauge("queue_depth", "Texts waiting for a batch.", registry=registry)
        self._cost = Histogram(
            "cost_per_request_usd",
            "Price frozen on the trace; requests without one in USD are not counted.",
            ("arm",),
            buckets=_DOLLARS,
            registry=registry,
        )
        self._dropped = Counter("shadow_dropped", "Shadow copies dropped on a full queue.", registry=registry)
        self._spans = {
            what: Counter(f"otlp_traces_{what}", f"Traces {what} on the way to a collector.", registry=registry)
            for what in ("exported", "dropped")
        }
        self._model = Gauge("model_info", "1 for each entry that answers here.", ("sha", "alias"), registry=registry)

    def observe(self, trace: Trace) -> None:
        """Count one request that reached a model."""
        arm = trace.assignment.arm
        self._requests.labels(arm, str(trace.status)).inc()
        self._seconds.labels(arm).observe(trace.seconds)
        self._tokens.labels(arm, "input").inc(trace.input_tokens)
        self._tokens.labels(arm, "output").inc(trace.output_tokens)
        if trace.status == 200:  # a request whose model failed had no first token
            self._first.labels(arm).observe(sum(trace.stages.get(stage, 0.0) for stage in _FIRST_TOKEN_STAGES))
        if trace.cost is not None and trace.currency == "USD":  # the metric's name has its unit
            self._cost.labels(arm).observe(trace.cost)

    def refuse(self, status: int) -> None:
        """Count one request that was refused before it reached a model."""
        self._requests.labels("none", str(status)).inc()

    def shadow_dropped(self, count: int) -> None:
        """Count copies dropped instead of being sent to the shadow."""
        self._dropped.inc(count)

    def spans(self, what: str, traces: int) -> None:
        """Count traces that a collector accepted (``exported``) or did not (``dropped``)."""
        self._spans[what].inc(traces)

    def serving(self, aliases: Mapping[str, str]) -> None:
        """Set the entries that answer now: SHA → semver."""
        self._model.clear()
        for sha, alias in aliases.items():
            self._model.labels(sha, alias).set(1)

    def render(self, *, queue_depth: int, slots_used: int) -> bytes:
        """Return all metrics in Prometheus's text format."""
        self._depth.set(queue_depth)
        self._slots.set(slots_used)
        return generate_latest(self._registry)
