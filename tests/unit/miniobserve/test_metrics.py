"""What Prometheus scrapes: the names that were promised, closed labels, own registries."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from miniobserve.metrics import Metrics
from miniobserve.traces import Trace

PROMISED = {
    "spine_request_total",
    "spine_request_duration_seconds_bucket",
    "spine_tokens_total",
    "spine_time_to_first_token_seconds_bucket",
    "spine_kv_cache_slots_used",
    "spine_queue_depth",
    "spine_cost_per_request_usd_bucket",
    "spine_shadow_dropped_total",
    "spine_model_info",
    "spine_route_epoch",
    "spine_graded_total",
    "spine_feedback_total",
    "spine_canary_checks_total",
    "spine_canary_changes_total",
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
    metrics.serving([("stable", "e" * 64, "v0.1.0")], 7)
    metrics.said("dismissed")
    metrics.judged("advance", "pass", True)
    metrics.observe(trace("request-1", graded=True, unit_hash="c" * 64, input_tokens=3, output_tokens=4))
    metrics.refuse(422)
    found = samples(metrics)
    assert {name for name, _ in found} >= PROMISED
    labels = {label for _, pairs in found for label, _ in pairs}
    assert labels == {"arm", "code", "kind", "sha", "semver", "le", "grade", "outcome", "action", "verdict"}
    assert "request-1" not in str(found)
    assert "c" * 64 not in str(found)
    assert found["spine_request_total", (("arm", "stable"), ("code", "200"))] == 1
    assert found["spine_request_total", (("arm", "none"), ("code", "422"))] == 1
    assert found["spine_tokens_total", (("arm", "stable"), ("kind", "output"))] == 4
    assert found["spine_queue_depth", ()] == 4
    assert found["spine_model_info", (("arm", "stable"), ("semver", "v0.1.0"), ("sha", "e" * 64))] == 1


def test_a_route_that_moved_leaves_one_model_info() -> None:
    metrics = Metrics()
    metrics.serving([("stable", "a" * 64, "v0.1.0")], 3)
    metrics.serving([("stable", "b" * 64, "v0.2.0")], 9)
    assert [pairs for name, pairs in samples(metrics) if name == "spine_model_info"] == [
        (("arm", "stable"), ("semver", "v0.2.0"), ("sha", "b" * 64))
    ]
    assert samples(metrics)["spine_route_epoch", ()] == 9


def test_an_unpriced_request_is_not_a_free_one(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", cost=None))
    assert not any(name == "spine_cost_per_request_usd_count" for name, _ in samples(metrics))


def test_a_failed_request_had_no_first_token(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", status=500, stages={}, cost=None))
    found = samples(metrics)
    assert not any(name == "spine_time_to_first_token_seconds_count" for name, _ in found)
    assert found["spine_request_total", (("arm", "stable"), ("code", "500"))] == 1


def test_two_servers_in_one_process_count_apart(trace: Callable[..., Trace]) -> None:
    one, other = Metrics(), Metrics()
    one.observe(trace("request-1"))
    assert not any(name == "spine_request_total" for name, _ in samples(other))
    assert b"spine_request_total" not in prometheus_client.generate_latest()


def test_the_buckets_hold_a_slow_and_a_dear_answer(trace: Callable[..., Trace]) -> None:
    metrics = Metrics()
    metrics.observe(trace("request-1", seconds=10.4, cost=98 / 3600 * 10))
    for name in ("spine_request_duration_seconds_bucket", "spine_cost_per_request_usd_bucket"):
        held = {float(dict(pairs)["le"]): n for (found, pairs), n in samples(metrics).items() if found == name}
        last = max(bound for bound in held if bound != float("inf"))
        assert held[last] == held[float("inf")] == 1


def test_a_check_of_the_canary_that_another_server_wrote_changes_nothing_here() -> None:
    metrics = Metrics()
    metrics.judged("hold", "inconclusive", False)
    metrics.judged("abort", "fail", True)
    found = samples(metrics)
    assert found["spine_canary_checks_total", (("action", "hold"), ("verdict", "inconclusive"))] == 1
    assert {pairs for name, pairs in found if name == "spine_canary_changes_total"} == {(("action", "abort"),)}
