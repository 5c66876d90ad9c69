"""A server that is not ours, seen by ``spine collect``: its spans become traces that can be walked."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collecting import Collecting, Service, new_span, new_trace, span
from modelspine.cli import main
from modelspine.ledger.route import assign
from modelspine.overview.glance import servers
from modelspine.spine import open_spine
from tickets import ASKED, Tickets, make_tickets

FIXTURES = Path(__file__).parents[1] / "fixtures"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Tickets:
    made = make_tickets(tmp_path_factory.mktemp("collect") / "project")
    table = (made.root / "spine.toml").read_text()
    table = f"max_body_kb = 2048\n{table}"
    more = '\n[collect]\nwait_seconds = 1.0\n\n[collect.features]\nlang = "app.lang"\n'
    (made.root / "spine.toml").write_text(table + more)
    return made


@pytest.fixture(scope="module")
def collector(tickets: Tickets) -> Iterator[Collecting]:
    with Collecting(tickets.root) as running:
        yield running


def test_an_unmodified_sdk_is_enough_for_eight_answers(tickets: Tickets, collector: Collecting) -> None:
    service = Service(collector.url)
    name = service.answer(ASKED, "billing", "v0.1.0", "customer-7", **{"app.lang": "en"})
    service.close()
    trace = collector.trace(name)
    assert (trace.request_id, trace.trace_id) == (name, name)
    assert (trace.entry_sha, trace.semver) == (tickets.weak, "v0.1.0")
    assert (trace.input, trace.output, trace.features["lang"]) == (ASKED, "billing", "en")
    assert (trace.input_tokens, trace.output_tokens, trace.status) == (12, 3, 200)
    assert 0 < trace.seconds < 5
    with open_spine(tickets.root, readonly=True) as spine:
        route = spine.registry.route()
        assert route is not None
        assert trace.assignment == assign(route, "customer-7", sticky=True)
        walk = spine.incident(name)
    assert len(walk.answers) == 8
    assert walk.answers[0].status == "recorded"
    assert "told by the server" in walk.answers[0].answer
    assert walk.answers[5].status == "verified"


def openinference(trace: str, root: str, model: str = "v0.2.0") -> list[dict[str, object]]:
    """A chain and the model's span in it, with the attributes that OpenInference's instrumentors set."""
    asked = {"body": "no way to pay", "lang": "de"}
    usage = {"llm__token_count__prompt": 9, "llm__token_count__completion": 2, "llm__token_count__total": 11}
    messages = {
        "llm__input_messages__0__message__role": "user",
        "llm__input_messages__0__message__content": "no way to pay",
        "llm__output_messages__0__message__role": "assistant",
        "llm__output_messages__0__message__content": "billing",
    }
    return [
        span(trace, own=root, openinference__span__kind="CHAIN", session__id="s-1"),
        span(
            trace, parent=root, openinference__span__kind="LLM", llm__model_name=model, input__value=json.dumps(asked),
            input__mime_type="application/json", output__value="billing", **usage, **messages,
        ),
    ]  # fmt: skip


def as_protobuf(spans: list[dict[str, object]]) -> bytes:
    """The same spans in protobuf, where ids are bytes."""
    from google.protobuf.json_format import Parse

    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    request = Parse(json.dumps(body), ExportTraceServiceRequest())
    for made, given in zip(request.resource_spans[0].scope_spans[0].spans, spans, strict=True):
        made.trace_id, made.span_id = bytes.fromhex(str(given["traceId"])), bytes.fromhex(str(given["spanId"]))
        made.parent_span_id = bytes.fromhex(str(given["parentSpanId"]))
    return bytes(request.SerializeToString())


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_openinference_in_either_encoding(tickets: Tickets, collector: Collecting, encoding: str) -> None:
    name = new_trace()
    spans = openinference(name, new_span())
    if encoding == "json":
        reply = collector.export(*spans)
        assert reply.json() == {}
    else:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        reply = collector.http.post("/v1/traces", content=gzip.compress(as_protobuf(spans)), headers=headers)
        assert reply.content == b""  # an ExportTraceServiceResponse without a partial success
    assert reply.status_code == 200
    trace = collector.trace(name)
    assert (trace.entry_sha, trace.input, trace.output) == (tickets.strong, "no way to pay", "billing")
    assert trace.features == {"lang": "de", "answer_label": "billing"}
    assert (trace.input_tokens, trace.output_tokens) == (9, 2)
    assert trace.assignment.unit == "s-1"


def test_openinferences_client_for_openai_is_read_and_graded_as_it_comes(
    tickets: Tickets, collector: Collecting
) -> None:
    """The attributes that it sent; an answer that is an object has no label, and nothing calls it wrong."""
    sent = json.loads((FIXTURES / "openinference" / "openai.json").read_bytes())
    names = {}
    for call in ("chat", "chat_json"):
        names[call] = new_trace()
        given = {name.replace(".", "__"): value for name, value in sent[call].items()}
        collector.export(span(names[call], **given))
        trace = collector.trace(names[call])
        assert (trace.input, trace.entry_sha) == ("no way to pay", tickets.weak)
        body = {"request_id": names[call], "label": "billing"}
        assert collector.http.post("/v1/feedback", json=body).status_code == 200
    read, unread = (collector.trace(name) for name in names.values())
    assert (read.output, read.graded, "unread" in read.fields) == ("billing", True, False)
    assert (unread.output, unread.graded) == (None, None)
    assert "`output` in the table [workload]" in unread.fields["unread"]


def model_span(trace: str, parent: str, **more: object) -> dict[str, object]:
    given = {"gen_ai__request__model": "v0.1.0", "input__value": "hello", "output__value": "spam", **more}
    return span(trace, parent=parent, kind=3, **given)


def test_spans_that_come_apart_are_joined_and_sent_again_change_nothing(collector: Collecting) -> None:
    name, root = new_trace(), new_span()
    child = model_span(name, root)
    server = span(name, own=root, parent=new_span(), kind=2, user__id="ann", http__route="/classify")
    assert collector.export(child).status_code == 200
    early = collector.http.post("/v1/feedback", json={"request_id": name, "outcome": "accepted"})
    assert (early.status_code, early.json()["error"]["code"]) == (503, "not_joined")
    repeated = collector.counted("repeated")
    assert collector.export(server).status_code == 200
    trace = collector.trace(name)
    assert (trace.input, trace.assignment.unit, trace.span_id) == ("hello", "ann", root)
    assert collector.export(child, server).status_code == 200
    collector.until("repeated", repeated + 2)
    assert collector.traces(name, 1) == (trace,)
    late = model_span(name, root, input__value="once more")
    assert collector.export(server, late).status_code == 200
    (asked_late,) = [each for each in collector.traces(name, 2) if each.request_id != name]
    assert (asked_late.request_id, asked_late.input) == (f"{name}-{late['spanId']}", "once more")
    assert collector.export(child).status_code == 200  # alone: it was joined below another span
    collector.until("repeated", repeated + 4)
    assert len(collector.traces(name, 2)) == 2
    said = collector.http.post("/v1/feedback", json={"request_id": name, "outcome": "revised"})
    assert said.status_code == 200
    assert collector.trace(name).feedback == "revised"


def test_a_request_without_its_server_span_is_stored_after_the_wait_and_late_spans_are_counted(
    collector: Collecting,
) -> None:
    name, root = new_trace(), new_span()
    collector.export(model_span(name, root))
    trace = collector.trace(name)
    assert (trace.input, trace.assignment.sticky) == ("hello", False)
    assert trace.assignment.unit is None, "its id was in no assignment"
    late = collector.counted("late")
    collector.export(span(name, own=root, parent=new_span(), kind=2, user__id="bob"))
    collector.until("late", late + 1)
    assert collector.trace(name) == trace


def test_spans_above_the_request_that_come_with_it_are_not_late(collector: Collecting) -> None:
    """A gateway's span belongs to no request; it would be late only if it came later."""
    name, page, gateway, root = new_trace(), new_span(), new_span(), new_span()
    late, unused = collector.counted("late"), collector.counted("unused")
    above = [span(name, own=page), span(name, own=gateway, parent=page, kind=3)]
    collector.export(*above, span(name, own=root, parent=gateway, kind=2), model_span(name, root))
    collector.trace(name)
    collector.until("unused", unused + 2)
    assert collector.counted("late") == late
    collector.export(span(name, parent=page))
    collector.until("late", late + 1)
    assert collector.counted("unused") == unused + 2


def test_nan_and_infinity_are_left_out_and_named(collector: Collecting) -> None:
    name = new_trace()
    numbers = {"output.value": "Infinity", "spine.field.score": "NaN", "spine.field.rank": 2}
    sent = span(name, gen_ai__request__model="v0.1.0", input__value="hello")
    sent["attributes"] += [{"key": key, "value": {"doubleValue": number}} for key, number in numbers.items()]
    collector.export(sent)
    trace = collector.trace(name)
    assert (trace.output, trace.fields["rank"], "score" in trace.fields) == (None, 2, False)
    assert trace.fields["unread"] == "spine.field.score: nan is no JSON number; output.value: inf is no JSON number"


def test_a_trace_may_hold_several_requests(collector: Collecting) -> None:
    """A page that asks the classifier three times; one span names its own request."""
    name, page, roots = new_trace(), new_span(), [new_span(), new_span()]
    now = time.time_ns()
    spans = [span(name, own=page, kind=3)]
    for number, root in enumerate(roots):
        spans += [
            span(name, own=root, parent=page, kind=2, at=now + number),
            model_span(name, root, input__value=f"text {number}"),
        ]
    spans.append(model_span(name, page, spine__request_id="batch-item-1", input__value="text 2"))
    assert collector.export(*spans).status_code == 200
    found = collector.traces(name, 3)
    assert {trace.input for trace in found} == {"text 0", "text 1", "text 2"}
    assert {trace.request_id for trace in found} == {name, f"{name}-{roots[1]}", "batch-item-1"}
    two = collector.http.post("/v1/feedback", json={"request_id": "batch-item-1", "outcome": "accepted"})
    assert two.status_code == 200


def test_an_assignment_that_was_asked_for_is_checked(tickets: Tickets, collector: Collecting) -> None:
    asked = collector.http.get("/v1/assign", params={"unit": "  carl "}).json()
    assert (asked["unit"], asked["arm"], asked["entry_sha"]) == ("carl", "stable", tickets.weak)
    name, wrong = new_trace(), new_trace()
    told = {key.replace(".", "__"): value for key, value in asked["attributes"].items()}
    collector.export(model_span(name, "", user__id="carl", **told))
    trace = collector.trace(name)
    assert (trace.assignment.arm, trace.assignment.epoch) == ("stable", asked["epoch"])
    assert not {"placed", "contradicts_ledger"} & set(trace.fields)
    collector.export(model_span(wrong, "", user__id="carl", **{**told, "spine__arm": "canary"}))
    assert "arm canary was told" in collector.trace(wrong).fields["contradicts_ledger"]
    for query in ("", "?unit=", "?unit=a&unit=b", "?unit=a%00b", f"?unit={'x' * 129}", "?learner=a", "?unit=caf%E9"):
        assert collector.http.get(f"/v1/assign{query}").status_code == 422, query


def test_a_collector_counts_as_a_running_server_without_a_rent(tickets: Tickets, collector: Collecting) -> None:
    name = new_trace()
    collector.export(model_span(name, ""))
    collector.trace(name)
    with open_spine(tickets.root, readonly=True) as spine:
        now = datetime.now(UTC)
        assert servers(spine, now).up >= 1
        uptime = spine.traces.requests.uptime(0, time.time_ns())
    assert {up.rate_per_hour for up in uptime} == {None}


def test_what_cannot_be_read_is_refused_and_said(collector: Collecting) -> None:
    json_type, protobuf = {"Content-Type": "application/json"}, {"Content-Type": "application/x-protobuf"}
    post = collector.http.post
    assert post("/v1/traces", content=b"{", headers=json_type).status_code == 400
    assert post("/v1/traces", content=b"[]", headers=json_type).status_code == 400
    assert post("/v1/traces", content=b"\xff\xff\xff", headers=protobuf).status_code == 400
    assert post("/v1/traces", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    zipped = {**json_type, "Content-Encoding": "gzip"}
    assert post("/v1/traces", content=b"not gzip", headers=zipped).status_code == 400
    assert post("/v1/traces", content=gzip.compress(b" " * (5 << 19)), headers=zipped).status_code == 413
    assert post("/v1/traces", content=b" " * (5 << 19), headers=json_type).status_code == 413
    assert post("/v1/traces", content=gzip.compress(b"{}")[:-4], headers=zipped).status_code == 400
    assert post("/v1/traces", content=gzip.compress(b"{}") + b"garbage", headers=zipped).status_code == 400
    assert post("/v1/traces", content=gzip.compress(b"") * 65, headers=zipped).status_code == 400
    assert post("/v1/traces", content=gzip.compress(b" " * (5 << 18)) * 2, headers=zipped).status_code == 413
    assert post("/v1/traces", content=b"{}", headers={**json_type, "Content-Encoding": "br"}).status_code == 415
    assert post("/v1/traces", content=b"{}", headers=json_type).json() == {}
    good, old = new_trace(), new_trace()
    reply = collector.export(model_span(good, ""), span(old, at=10**18), span("0" * 32), model_span(new_trace(), "zz"))
    assert reply.status_code == 200
    assert reply.json()["partialSuccess"]["rejectedSpans"] == "3"
    assert "31 days" in reply.json()["partialSuccess"]["errorMessage"]
    assert collector.trace(good).input == "hello"
    body = as_protobuf([span(old, at=10**18)])
    told = ExportTraceServiceResponse.FromString(post("/v1/traces", content=body, headers=protobuf).content)
    assert told.partial_success.rejected_spans == 1


def test_an_export_in_several_members_of_gzip_is_read_whole(collector: Collecting) -> None:
    names = [new_trace(), new_trace()]
    members = [gzip.compress(as_protobuf([model_span(name, "")])) for name in names]
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    assert collector.http.post("/v1/traces", content=b"".join(members), headers=headers).status_code == 200
    assert [collector.trace(name).input for name in names] == ["hello", "hello"]


def test_what_was_acknowledged_is_there_after_a_kill(tickets: Tickets) -> None:
    """One process is killed while spans wait for the span that received them; the next one stores them."""
    names = [new_trace() for _ in range(20)]
    with Collecting(tickets.root) as first:
        for name in names:
            assert first.export(model_span(name, new_span())).status_code == 200
        first.process.kill()
        first.process.wait()
    with Collecting(tickets.root) as second:
        for name in names:
            assert second.trace(name).input == "hello"
        assert second.close() == 0


def test_a_name_that_means_no_entry_is_kept(tickets: Tickets, collector: Collecting) -> None:
    name = new_trace()
    collector.export(model_span(name, "", gen_ai__request__model="our-classifier"))
    trace = collector.trace(name)
    assert (trace.entry_sha, trace.fields["model"]) == ("", "our-classifier")
    assert trace.assignment.arm == "unattributed"
    with open_spine(tickets.root, readonly=True) as spine:
        walk = spine.incident(name)
    assert "our-classifier" in walk.answers[0].answer
    claim = ["traces", "claim", "--root", str(tickets.root), "--model", "our-classifier", "v0.1.0"]
    assert main([*claim, "--reason", "the name in our code"]) == 0
    with open_spine(tickets.root, readonly=True) as spine:
        read = spine.trace(name)
        walk = spine.incident(name)
    assert (read.entry_sha, read.semver, read.assignment.arm) == (tickets.weak, "v0.1.0", "stable")
    assert [walk.answers[0].status, walk.answers[5].status] == ["recorded", "verified"]
    assert collector.trace(name) == trace  # what is stored stays as it was
    later = new_trace()
    collector.export(model_span(later, "", gen_ai__request__model="our-classifier"))
    assert collector.trace(later).entry_sha == tickets.weak
    assert main(["traces", "claim", "--root", str(tickets.root), "--model", "v0.1.0", "v0.2.0", "--reason", "x"]) == 2


def test_a_model_that_is_not_named_is_kept_and_claimed(tickets: Tickets, collector: Collecting) -> None:
    name, later = new_trace(), new_trace()
    given = {"openinference__span__kind": "LLM", "input__value": "hello", "output__value": "spam"}
    collector.export(span(name, spine__request_id="b-0", **given))
    trace = collector.trace(name)
    assert (trace.entry_sha, trace.assignment.arm, trace.fields["model"]) == ("", "unattributed", "unnamed")
    assert "8 to 64 characters" in trace.fields["unread"]
    claim = ["traces", "claim", "--root", str(tickets.root), "--model", "unnamed", "v0.1.0", "--reason", "we have one"]
    assert main(claim) == 0
    collector.export(span(later, **given))
    assert collector.trace(later).entry_sha == tickets.weak


def test_a_request_that_was_stored_without_its_server_span_is_not_stored_again_with_it(collector: Collecting) -> None:
    """As after a kill between the two: the model's span is still in the table when the other one comes."""
    name, root = new_trace(), new_span()
    child = model_span(name, root)
    collector.export(child)
    trace = collector.trace(name)
    repeated = collector.counted("repeated")
    collector.export(child, span(name, own=root, parent=new_span(), kind=2))
    collector.until("repeated", repeated + 1)
    assert collector.traces(name, 1) == (trace,)
