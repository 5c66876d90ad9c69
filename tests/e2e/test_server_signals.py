"""A running server's signals: spans at a real receiver, metrics that parse, and replies that wait for neither."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector import Collector
from shout_server import Server, add_entry, make_project, open_project

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLOSED = {"semver", "grade", "outcome", "action", "verdict", "arm", "code", "kind", "sha", "alias", "le"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
    return root


def scraped(server: Server) -> dict[str, float]:
    """Each sample's name with its labels → its value."""
    families = text_string_to_metric_families(server.get("/metrics").text)
    return {f"{s.name}{sorted(s.labels.items()) or ''}": s.value for f in families for s in f.samples}


def test_spans_of_an_answer_reach_a_collector_under_the_callers_trace(root: Path) -> None:
    with Collector() as collector, Server(root, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
        reply = server.ask("hello", traceparent=PARENT, X_Request_ID="request-of-mine")
        assert reply.status_code == 200
        spans = collector.wait(5)
        assert {span.trace_id for span in spans} == {PARENT[3:35]}
        assert spans[0].parent_id == PARENT[36:52]
        assert spans[0].span_id == reply.headers["traceparent"].split("-")[2]
        assert spans[0].attributes["gen_ai.response.id"] == "request-of-mine"
        assert spans[0].attributes["gen_ai.response.model"] == reply.headers["X-Model-SHA"]
        for _ in range(5):
            server.ask("more")
        assert server.stop() == 0
        assert len(collector.spans) == 30, "what waited was sent before the end"


@pytest.mark.parametrize("mood", ["hangs", "down"])
def test_a_collector_that_does_not_take_them_costs_no_reply(root: Path, mood: str) -> None:
    with Collector("hangs") as collector:
        url = collector.url if mood == "hangs" else "http://127.0.0.1:1"
        (root / "spine.toml").write_text(f'workload = "shout"\notlp = "{url}"\n')
        with Server(root) as server:
            replies = [server.ask(f"text {number}") for number in range(40)]
            assert [reply.status_code for reply in replies] == [200] * 40
            assert all(reply.json()["request_id"] for reply in replies)
            assert server.stop() == 0
        assert mood == "down" or collector.asked >= 1, "the fault did not fire"
    for line in server.log.read_text().splitlines():
        assert line.startswith("{"), line


def test_metrics_parse_and_no_label_names_a_request_or_a_learner(root: Path) -> None:
    with Server(root, "--allow-replay") as server:
        for number in range(3):
            reply = server._http.post(
                f"{server.url}/v1/shout",
                json={"text": "hello", "learner_id": "learner-seven"},
                headers={"X-Request-ID": f"request-{number:04}"},
            )
            assert reply.status_code == 200
        server._http.post(f"{server.url}/v1/shout", json={"text": 7})
        text = server.get("/metrics").text
        found = scraped(server)
    labels = {name for family in text_string_to_metric_families(text) for s in family.samples for name in s.labels}
    assert labels <= CLOSED
    assert "learner-seven" not in text
    assert not re.search(r"request-\d{4}", text)
    assert found["spine_request_total[('arm', 'stable'), ('code', '200')]"] == 3
    assert found["spine_request_duration_seconds_count[('arm', 'stable')]"] == 3
    assert found["spine_otlp_traces_dropped_total"] == 0
    refused = [name for name in found if name.startswith("spine_request_total") and "'none'" in name]
    assert refused, "what was refused before a model saw it is counted too"
