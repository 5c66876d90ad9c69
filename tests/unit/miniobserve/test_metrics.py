"""What Prometheus scrapes: the names that were promised, closed labels, own registries."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from miniobserve.metrics import Metrics
from miniobserve.traces import Trace

PROMISED = {
    "request_total",
    "request_duration_seconds_bucket",
    "tokens_total",
    "time_to_first_token_seconds_bucket",
    "kv_cache_slots_used",
    "queue_depth",
    "cost_per_request_usd_bucket",
    "shadow_dropped_total",
    "model_info",
}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render(queue_depth=4, slots_used=2).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_promised_name_is_there_and_no_label_names_a_request_or_learner(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.serving({"e" * 64: "v0.1.0"})
    metrics.observe(trace("request-1", learner_hash="c" * 64, input_tokens=3, output_tokens=4))
    metrics.refuse(422)
    found = samples(metrics)
    assert {name for name, _ in found} >= PROMISED
    labels = {label for _, pairs in found for label, _ in pairs}
    assert labels == {"arm", "code", "kind", "sha", "alias", "le"}
    assert "request-1" not in str(found)
    assert "c" * 64 not in str(found)
    assert found["request_total", (("arm", "stable"), ("code", "200"))] == 1
    assert found["request_total", (("arm", "none"), ("code", "422"))] == 1
    assert found["tokens_total", (("arm", "stable"), ("kind", "output"))] == 4
    assert found["queue_depth", ()] == 4
    assert found["model_info", (("alias", "v0.1.0"), ("sha", "e" * 64))] == 1


def test_a_route_that_moved_leaves_one_model_info() -> None:
    metrics = Metrics()
    metrics.serving({"a" * 64: "v0.1.0"})
    metrics.serving({"b" * 64: "v0.2.0"})
    assert [pairs for name, pairs in samples(metrics) if name == "model_info"] == [
        (("alias", "v0.2.0"), ("sha", "b" * 64))
    ]


def test_an_unpriced_request_is_not_a_free_one(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", cost=None))
    assert not any(name == "cost_per_request_usd_count" for name, _ in samples(metrics))


def test_a_failed_request_had_no_first_token(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", status=500, stages={}, cost=None))
    found = samples(metrics)
    assert not any(name == "time_to_first_token_seconds_count" for name, _ in found)
    assert found["request_total", (("arm", "stable"), ("code", "500"))] == 1


def test_two_servers_in_one_process_count_apart(trace: Callable[..., Trace]) -> None:
    one, other = Metrics(), Metrics()
    one.observe(trace("request-1"))
    assert not any(name == "request_total" for name, _ in samples(other))
    assert b"request_total" not in prometheus_client.generate_latest()
