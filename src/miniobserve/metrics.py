"""Counters, gauges and histograms of one server, in Prometheus's text format.

Labels have few values (arm, status code, kind of token, entry) and never identify a request or a learner: each
combination of labels is a time series that Prometheus keeps. Each ``Metrics`` has its own registry, so that several
servers can run in one process. This module does not know where its numbers come from.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from miniobserve.traces import Trace

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Up to beyond the server's deadline, so that every answer lies within a bucket."""
_DOLLARS = tuple(step * 10.0**power for power in range(-9, 1) for step in (1, 3))
"""From a small model on a shared machine to ten seconds of a dear one."""
_FIRST_TOKEN_STAGES = ("queue", "tokenize", "prefill")


class Metrics:
    """The metrics of one server."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "spine_request", "Requests by arm and status code.", ("arm", "code"), registry=registry
        )
        self._refused: dict[int, Counter] = {}
        self._seconds = Histogram(
            "spine_request_duration_seconds", "Arrival to reply.", ("arm",), buckets=_SECONDS, registry=registry
        )
        self._tokens = Counter("spine_tokens", "Tokens read and written.", ("arm", "kind"), registry=registry)
        self._first = Histogram(
            "spine_time_to_first_token_seconds", "Queue to first token.", ("arm",), buckets=_SECONDS, registry=registry
        )
        self._slots = Gauge("spine_kv_cache_slots_used", "Texts in the batch being answered.", registry=registry)
        self._depth = Gauge("spine_queue_depth", "Texts waiting for a batch.", registry=registry)
        self._cost = Histogram(
            "spine_cost_per_request_usd",
            "Price frozen on the trace; requests without one in USD are not counted.",
            ("arm",),
            buckets=_DOLLARS,
            registry=registry,
        )
        self._dropped = Counter("spine_shadow_dropped", "Shadow copies dropped on a full queue.", registry=registry)
        self._spans = {
            what: Counter(f"spine_otlp_traces_{what}", f"Traces {what} on the way to a collector.", registry=registry)
            for what in ("exported", "dropped")
        }
        self._graded = Counter(
            "spine_graded", "Answers with a grade: right or wrong.", ("arm", "sha", "grade"), registry=registry
        )
        self._said = Counter("spine_feedback", "Feedback on answers.", ("outcome",), registry=registry)
        self._labels = Counter("spine_labels", "Labels that were said of answers.", registry=registry)
        self._checks = Counter(
            "spine_canary_checks", "Checks of the canary here.", ("action", "verdict"), registry=registry
        )
        self._changes = Counter(
            "spine_canary_changes",
            "Steps and aborts of the canary that this server wrote.",
            ("action",),
            registry=registry,
        )
        self._epoch = Gauge("spine_route_epoch", "The ledger event of the route in effect here.", registry=registry)
        self._model = Gauge(
            "spine_model_info", "1 for each entry that answers here.", ("arm", "sha", "semver"), registry=registry
        )

    def observe(self, trace: Trace) -> None:
        """Count one request that reached a model."""
        arm = trace.assignment.arm
        self._requests.labels(arm, str(trace.status)).inc()
        self._seconds.labels(arm).observe(trace.seconds)
        self._tokens.labels(arm, "input").inc(trace.input_tokens)
        self._tokens.labels(arm, "output").inc(trace.output_tokens)
        if trace.status == 200:  # a request whose model failed had no first token
            self._first.labels(arm).observe(sum(trace.stages.get(stage, 0.0) for stage in _FIRST_TOKEN_STAGES))
            if trace.graded is not None:
                self._graded.labels(arm, trace.entry_sha, "right" if trace.graded else "wrong").inc()
        if trace.cost is not None and trace.currency == "USD":  # the metric's name has its unit
            self._cost.labels(arm).observe(trace.cost)

    def refuse(self, status: int) -> None:
        """Count one request that was refused before it reached a model."""
        counter = self._refused.get(status)
        if counter is None:  # kept, because under overload most requests are refused
            counter = self._refused[status] = self._requests.labels("none", str(status))
        counter.inc()

    def shadow_dropped(self, count: int) -> None:
        """Count copies dropped instead of being sent to the shadow."""
        self._dropped.inc(count)

    def spans(self, what: str, traces: int) -> None:
        """Count traces that a collector accepted (``exported``) or did not (``dropped``)."""
        self._spans[what].inc(traces)

    def said(self, outcome: str | None, *, labelled: bool = False) -> None:
        """Count what was said of one answer: its outcome, where it was given, and its label."""
        if outcome is not None:
            self._said.labels(outcome).inc()
        if labelled:
            self._labels.inc()

    def judged(self, action: str, verdict: str, written: bool) -> None:
        """Count one check of the canary, and the change that this server wrote for it."""
        self._checks.labels(action, verdict).inc()
        if written:
            self._changes.labels(action).inc()

    def serving(self, arms: Iterable[tuple[str, str, str]], epoch: int) -> None:
        """Set the route in effect: each arm's name, entry and semver, and the ledger event that it comes from."""
        self._epoch.set(epoch)
        self._model.clear()
        for labels in arms:
            self._model.labels(*labels).set(1)

    def render(self, *, queue_depth: int, slots_used: int) -> bytes:
        """Return all metrics in Prometheus's text format."""
        self._depth.set(queue_depth)
        self._slots.set(slots_used)
        return generate_latest(self._registry)
