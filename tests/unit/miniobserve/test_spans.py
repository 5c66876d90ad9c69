"""Traces as spans: what a collector is told, what it never is, and that nobody waits for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import Collector
from miniobserve.ids import Span, child_span, fresh_span
from miniobserve.metrics import Metrics
from miniobserve.otlp import SpanExporter, address, is_configured
from miniobserve.spans import ATTRIBUTES, pieces
from miniobserve.traces import Trace
from observed import MONDAY_NS, make_trace

NAMES = ["http.handler", "tokenize.input", "llm.prefill", "llm.decode", "format.output"]
STAGES = {"queue": 0.001, "tokenize": 0.0001, "prefill": 0.002, "decode": 0.003, "format": 0.0002}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as opened:
        yield opened


class Tally(Counter[str]):
    """What the exporter counted."""

    def __call__(self, what: str, number: int) -> None:
        self[what] += number


def caller(request_id: str = "request-1", **more: object) -> tuple[Trace, Span]:
    span = child_span(PARENT)
    given = {"stages": STAGES, "seconds": 0.008, "trace_id": span.trace_id, "span_id": span.span_id, **more}
    return make_trace(request_id, **given), span


def test_a_collector_decodes_the_five_spans_of_a_request(collector: Collector) -> None:
    tally = Tally()
    exporter = SpanExporter(collector.url, count=tally)
    exporter.submit(*caller(input_tokens=9, output_tokens=8, unit_hash="c" * 64))
    spans = collector.wait(5)
    exporter.close()
    assert [span.name for span in spans] == NAMES
    root = spans[0]
    assert (root.trace_id, root.parent_id, root.service) == (PARENT[3:35], PARENT[36:52], "miniserve")
    assert [span.parent_id for span in spans[1:]] == [root.span_id] * 4
    assert len({span.span_id for span in spans}) == 5
    assert (root.start_ns, root.end_ns) == (MONDAY_NS, MONDAY_NS + 8_000_000)
    assert all(root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns for span in spans)
    assert [span.end_ns for span in spans[1:4]] == [span.start_ns for span in spans[2:5]], "end to end, in order"
    lengths = {span.name: span.end_ns - span.start_ns for span in spans[1:]}
    assert lengths["llm.decode"] == pytest.approx(3_000_000, abs=2)
    assert root.attributes["gen_ai.response.id"] == "request-1"
    assert root.attributes["gen_ai.response.model"] == "e" * 64
    assert root.attributes["spine.cost"] == 4e-8
    assert root.attributes["http.response.status_code"] == 200
    by_name = {span.name: span.attributes for span in spans}
    assert by_name["llm.prefill"]["gen_ai.usage.input_tokens"] == 9
    assert by_name["llm.decode"]["gen_ai.usage.output_tokens"] == 8
    assert tally == {"exported": 1}


def test_no_text_and_no_learner_is_sent(collector: Collector) -> None:
    exporter = SpanExporter(collector.url, count=Tally())
    trace, span = caller(input="He goed home.", output="He went home.", unit_hash="c" * 64)
    exporter.submit(trace, span)
    exporter.submit(*caller("request-2", status=500, error="cannot read 'He goed'"))
    spans = collector.wait(10)
    exporter.close()
    sent = b"".join(collector.raw)
    assert trace.assignment.unit == "learner-7"
    for secret in (b"goed", b"went home", b"learner-7", b"c" * 64):
        assert secret not in sent
    assert {key for one in spans for key in one.attributes} <= set(ATTRIBUTES.values())
    assert [one.code for one in spans if one.name == "http.handler"] == [0, 2]
    assert spans[5].attributes["error.type"] == "model_failed"


def test_a_trace_of_its_own_has_no_parent_and_an_unsampled_one_is_not_sent(collector: Collector) -> None:
    tally = Tally()
    exporter = SpanExporter(collector.url, count=tally)
    unsampled = child_span(PARENT[:-2] + "00")
    exporter.submit(make_trace("request-0", trace_id=unsampled.trace_id, span_id=unsampled.span_id), unsampled)
    exporter.submit(make_trace("request-1"), fresh_span())
    spans = collector.wait(2)
    exporter.close()
    assert [(span.name, span.parent_id) for span in spans if span.name == "http.handler"] == [("http.handler", "")]
    assert spans[0].attributes["gen_ai.response.id"] == "request-1"
    assert tally == {"exported": 1}


@pytest.mark.parametrize("mood", ["refuses", "hangs"])
def test_what_is_not_taken_is_dropped_counted_and_told_once(collector: Collector, mood: str) -> None:
    collector.mood = mood  # type: ignore[assignment]
    tally, told, heard = Tally(), [], threading.Event()

    def tell(reason: str | None) -> None:
        told.append(reason)
        heard.set()

    exporter = SpanExporter(collector.url, count=tally, on_state_change=tell, queue=10)
    for number in range(300):
        exporter.submit(*caller(f"request-{number:03}"))
    if mood == "refuses":
        assert heard.wait(10)
    exporter.close(0.2)
    assert collector.asked >= 1, "the fault did not fire"
    assert tally["exported"] == 0
    assert tally["dropped"] >= 300 - 128
    assert told == [] or "400" in str(told)
    exporter.submit(*caller("request-late"))
    assert tally["exported"] == 0


def test_a_collector_that_comes_back_is_sent_to_again(collector: Collector) -> None:
    collector.mood = "refuses"
    told: list[str | None] = []
    heard = threading.Semaphore(0)

    def tell(reason: str | None) -> None:
        told.append(reason)
        heard.release()

    exporter = SpanExporter(collector.url, count=Tally(), on_state_change=tell)
    exporter.submit(*caller("request-0"))
    assert heard.acquire(timeout=10)
    collector.mood = "takes"
    exporter.submit(*caller("request-1"))
    assert heard.acquire(timeout=10)
    exporter.close()
    assert told[1:] == [None]
    assert told[0] is not None
    assert collector.url in told[0]
    assert "400" in told[0]


def test_closing_sends_what_waits(collector: Collector) -> None:
    tally = Tally()
    exporter = SpanExporter(collector.url, count=tally)
    for number in range(50):
        exporter.submit(*caller(f"request-{number}"))
    exporter.close(10)
    assert tally == {"exported": 50}
    assert len(collector.spans) == 250


seconds = st.floats(0, 10, allow_nan=False)


@given(st.dictionaries(st.sampled_from(["queue", "tokenize", "prefill", "decode", "format", "x"]), seconds), seconds)
def test_whatever_was_measured_no_span_leaves_its_parent(stages: dict[str, float], took: float) -> None:
    root, *children = pieces(make_trace("request-1", stages=stages, seconds=took), fresh_span())
    assert all(root.start_ns <= one.start_ns <= one.end_ns <= root.end_ns for one in children)
    assert [one.name for one in children] == [
        n for s, n in zip(list(STAGES)[1:], NAMES[1:], strict=True) if s in stages
    ]


def test_the_metrics_count_them() -> None:
    metrics = Metrics()
    metrics.spans("dropped", 3)
    assert b"spine_otlp_traces_dropped_total 3.0" in metrics.render(queue_depth=0, slots_used=0)


@pytest.mark.parametrize(
    ("endpoint", "environ", "expected"),
    [
        ("", {}, False),
        ("http://x", {}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ("http://x", {"OTEL_SDK_DISABLED": "true"}, False),
        ("http://x", {"OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_it_is_wanted_where_an_endpoint_is_set(endpoint: str, environ: dict[str, str], expected: bool) -> None:
    assert is_configured(endpoint, environ) is expected


def test_opentelemetry_is_loaded_only_where_it_is_used(collector: Collector) -> None:
    code = (
        "import sys, miniserve.server, miniobserve.otlp as s\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))\n"
        "s.SpanExporter(sys.argv[1], count=print).close()\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, collector.url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("endpoint", "environ", "sent_to"),
    [
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", {}, "http://c:4318/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/v1/traces"}, "http://c/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/a"}, "http://c/a/v1/traces"),
        # The variable for traces alone is used as it is, as OpenTelemetry says.
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://d/x"}, None),
    ],
)
def test_the_address_is_taken_with_its_path_and_without(
    endpoint: str | None, environ: dict[str, str], sent_to: str | None
) -> None:
    assert address(endpoint, environ) == sent_to


@pytest.mark.parametrize(
    ("sampler", "argument", "parent", "sent"),
    [
        ("always_off", "", None, 0),
        ("always_on", "", "00", 1),
        ("parentbased_always_off", "", "01", 1),
        ("parentbased_always_off", "", None, 0),
        ("traceidratio", "0", "01", 0),
        ("traceidratio", "1", "00", 1),
    ],
)
def test_opentelemetrys_sampler_decides(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, sampler: str, argument: str, parent: str | None, sent: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    tally = Tally()
    exporter = SpanExporter(collector.url, count=tally)
    span = fresh_span() if parent is None else child_span(f"00-{'a' * 32}-{'b' * 16}-{parent}")
    exporter.submit(make_trace("request-1"), span)
    exporter.close(10)
    assert tally.get("exported", 0) == sent


def test_the_callers_state_travels_on(collector: Collector) -> None:
    exporter = SpanExporter(collector.url, count=Tally())
    exporter.submit(make_trace("request-1"), child_span(f"00-{'a' * 32}-{'b' * 16}-01\t", "vendor=1,other=2"))
    exporter.close(10)
    assert {span.trace_state for span in collector.spans} == {"vendor=1,other=2"}
