"""The HTTP contract, handler by handler, over a real trace store."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from shout_workload import Shout

from miniobserve.reader import TraceReader
from miniserve.arms import Arms
from miniserve.openapi import describe, docs_page
from miniserve.pending import Pending, TooLate
from miniserve.service import Service
from minitutor.workload import Minitutor
from modelspine.ledger.route import assign

Clients = Callable[..., httpx.AsyncClient]
Make = Callable[..., Service]
SHA = f"{1:064x}"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def ask(client: httpx.AsyncClient, text: object = "hello you", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/v1/shout", json={"text": text}, headers=named)


async def test_an_answer_says_everything_the_contract_promises(
    clients: Clients, make_service: Make, reader: TraceReader
) -> None:
    reply = await clients(make_service()).post(
        "/v1/shout",
        json={"text": "hello you", "learner_id": "learner-7"},
        headers={"X-Request-ID": "my.request-1", "traceparent": PARENT},
    )
    trace = reader["my.request-1"]
    assert reply.status_code == 200
    assert reply.json() == {
        "loudness": 11,
        "output": "1:HELLO YOU",
        "accepted": False,
        "correction": "1:HELLO YOU",
        "is_correct": False,
        "in_scope": True,
        "request_id": "my.request-1",
        "model_sha": SHA,
        "semver": "v0.1.0",
        "arm": "stable",
        "epoch": 3,
        "traffic_assignment": msgspec.to_builtins(trace.traffic_assignment),
        "usage": {"input_tokens": 2, "output_tokens": 2, "cost_usd": trace.cost, "cost": trace.cost, "currency": "USD"},
    }
    assert reply.headers["x-request-id"] == "my.request-1"
    assert reply.headers["x-model-sha"] == SHA
    assert reply.headers["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{trace.span_id}-01"
    assert "x-request-id-replaced" not in reply.headers


async def test_the_trace_says_who_answered_what_for_whom_and_at_what_price(
    clients: Clients, make_service: Make, reader: TraceReader, truth: Any
) -> None:
    client = clients(make_service())
    await client.post(
        "/v1/shout", json={"text": "HELLO", "learner_id": "learner-7"}, headers={"X-Request-ID": "my.request-1"}
    )
    trace = reader["my.request-1"]
    assert (trace.input, trace.output, trace.accepted) == ("HELLO", "1:HELLO", True)
    assert (trace.entry_sha, trace.intended_sha, trace.status, trace.source) == (SHA, SHA, 200, "live")
    assert trace.assignment == assign(truth.now, "learner-7", sticky=True)
    assert trace.unit_hash == hashlib.sha256(b"5a17|learner-7").hexdigest()
    assert set(trace.stages) - {"other"} == {"queue", "tokenize", "prefill", "decode", "format"}
    assert trace.cost == pytest.approx((sum(trace.stages.values()) - trace.stages["queue"]) * 0.05 / 3600, rel=1e-3)
    assert (trace.rate_per_hour, trace.price_version, trace.priced_by, trace.unpriced) == (0.05, "p1", "busy/1", "")
    assert trace.workers == 1
    assert trace.seconds > 0
    assert trace.features == {"words": "1"}


async def test_without_a_learner_the_request_is_the_unit(
    clients: Clients, make_service: Make, reader: TraceReader, truth: Any
) -> None:
    reply = await ask(clients(make_service()))
    trace = reader[reply.json()["request_id"]]
    assert trace.assignment == assign(truth.now, trace.request_id, sticky=False)
    assert trace.unit_hash is None


@pytest.mark.parametrize("policy", ["full", "hash", "none"])
async def test_the_text_policy_decides_what_a_trace_keeps(
    clients: Clients, make_service: Make, reader: TraceReader, policy: str, tmp_path: Any
) -> None:
    client = clients(make_service(text=policy))
    body = {"text": "a secret text", "learner_id": "a-known-learner"}
    reply = await client.post("/v1/shout", json=body)
    assert reply.json()["correction"] == "1:A SECRET TEXT"
    trace = reader[reply.json()["request_id"]]
    digest = hashlib.sha256(b"a secret text").hexdigest()
    kept = {
        "full": ("a secret text", "1:A SECRET TEXT", None, "a-known-learner"),
        "hash": (None, None, digest, None),
        "none": (None, None, None, None),
    }[policy]
    assert (trace.input, trace.output, trace.input_sha256, trace.assignment.unit) == kept
    assert trace.assignment.u
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("traces.db*")).lower()
    for secret in (b"secret text", b"a-known-learner"):
        assert (secret in stored) == (policy == "full")


@pytest.mark.parametrize(("policy", "kept"), [("full", [0.5, -1.25]), ("none", None)])
async def test_the_vector_of_an_answer_stays_on_the_trace_with_the_text_alone(
    clients: Clients, make_service: Make, reader: TraceReader, policy: str, kept: Any
) -> None:
    reply = await clients(make_service(text=policy)).post("/v1/shout", json={"text": "!embed"})
    trace = reader[reply.json()["request_id"]]
    assert (trace.embedding, trace.values) == (kept, {"loudness": 11, "words": "1"})


async def test_an_unknown_rate_is_null_and_never_zero(
    clients: Clients, make_service: Make, reader: TraceReader
) -> None:
    reply = await ask(clients(make_service(rate=None)))
    assert reply.json()["usage"]["cost_usd"] is None
    trace = reader[reply.json()["request_id"]]
    assert (trace.cost, trace.unpriced) == (None, "no rate_per_hour is set")


@pytest.mark.parametrize("bad", ["short", "a" * 65, "with space 123", "evil\x7fbyte123", "ünïcode-id"])
async def test_a_malformed_id_is_replaced_and_the_reply_says_so(
    clients: Clients, make_service: Make, reader: TraceReader, bad: str
) -> None:
    client = clients(make_service())
    reply = await client.post("/v1/shout", json={"text": "x"}, headers=[(b"X-Request-ID", bad.encode("latin-1"))])  # type: ignore[list-item]
    fresh = reply.json()["request_id"]
    assert fresh != bad
    assert reply.headers["x-request-id"] == fresh
    assert reply.headers["x-request-id-replaced"] == reply.json()["request_id_replaced"] == "malformed"
    assert reader.get(fresh) is not None


async def test_an_id_used_twice_gets_a_fresh_one_and_the_first_trace_stays(
    clients: Clients, make_service: Make, reader: TraceReader, truth: Any
) -> None:
    client = clients(make_service())
    await ask(client, "first", X_Request_ID="my.request-1")
    second = await ask(client, "second", X_Request_ID="my.request-1")
    fresh = second.json()["request_id"]
    assert second.status_code == 200
    assert fresh != "my.request-1"
    assert second.headers["x-request-id"] == fresh
    assert second.headers["x-request-id-replaced"] == second.json()["request_id_replaced"] == "used"
    assert reader["my.request-1"].input == "first"
    assert reader[fresh].input == "second"
    assert reader[fresh].assignment == assign(truth.now, fresh, sticky=False)


async def test_a_request_its_arm_did_not_answer_in_time_has_a_trace(
    clients: Clients, make_service: Make, reader: TraceReader, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An arm that hangs must not look like one that nobody was sent to."""
    client = clients(make_service())

    def late(pending: Pending) -> None:
        pending.take(time.monotonic() - 0.3, 1)
        pending.end(TooLate())

    monkeypatch.setattr(pool, "_answer", late)
    reply = await ask(client, X_Request_ID="my.request-late")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "too_late")
    trace = reader["my.request-late"]
    assert (trace.status, trace.error, trace.assignment.arm) == (503, "too late", "stable")
    assert trace.cost is not None
    assert trace.cost == pytest.approx(0.3 * 0.05 / 3600, rel=0.2), "it kept the worker busy until then"
    (unit,) = reader.evidence.units(3)
    assert (unit.n, unit.failed) == (1, 1)


async def test_a_failure_of_a_model_is_counted_once(clients: Clients, make_service: Make) -> None:
    client = clients(make_service())
    assert (await ask(client, "!fail")).status_code == 500
    text = (await client.get("/metrics")).text
    assert [line for line in text.splitlines() if line.startswith("spine_request_total{")] == [
        'spine_request_total{arm="stable",code="500"} 1.0'
    ]


async def test_feedback_reaches_the_trace(clients: Clients, make_service: Make, reader: TraceReader) -> None:
    client = clients(make_service())
    request_id = (await ask(client)).json()["request_id"]
    reply = await client.post("/v1/feedback", json={"request_id": request_id, "outcome": "dismissed"})
    assert reply.status_code == 200
    assert reader[request_id].feedback == "dismissed"


async def test_what_is_said_later_grades_the_answer(clients: Clients, make_service: Make, reader: TraceReader) -> None:
    """By request id and by trace id, corrected, taken back, and many at a time, each answered by itself."""
    client = clients(make_service())
    first, second = [(await ask(client, "yes", X_Request_ID=f"my.request-{n}")).json() for n in (1, 2)]
    said = {"request_id": "my.request-1", "label": first["correction"], "text": "thanks", "outcome": "accepted"}
    reply = await client.post("/v1/feedback", json=said)
    assert reply.json() == {
        "request_id": "my.request-1", "outcome": "accepted", "status": "stored", "graded": True
    }  # fmt: skip
    assert (await client.post("/v1/feedback", json=said)).json()["status"] == "unchanged"
    by_trace = {"trace_id": reader["my.request-2"].trace_id, "label": {"not": ["text"]}}
    wrong = (await client.post("/v1/feedback", json=by_trace)).json()
    assert (wrong["request_id"], wrong["status"], wrong["graded"]) == ("my.request-2", "stored", False)
    assert reader["my.request-2"].label == '{"not":["text"]}'
    several = [
        {"request_id": "my.request-2", "label": second["correction"]},
        {"request_id": "my.request-9", "score": 1},
        {"request_id": "my.request-1", "score": "1"},
        {"request_id": "my.request-1", "taken_back": True},
        7,
    ]
    found = (await client.post("/v1/feedback", json={"feedback": several})).json()["feedback"]
    assert [each["status"] for each in found] == ["corrected", "unknown", "invalid", "corrected", "invalid"]
    assert (found[2]["code"], found[0]["graded"]) == ("bad_score", True)
    assert (reader["my.request-1"].label, reader["my.request-1"].feedback) == (None, None)
    assert "spine_labels_total 3.0" in (await client.get("/metrics")).text
    large = {"feedback": [{"request_id": f"my.request-{n}", "text": "x" * 500} for n in range(1_000)]}
    assert len((await client.post("/v1/feedback", json=large)).json()["feedback"]) == 1_000
    large["feedback"] += large["feedback"][:1]
    assert (await client.post("/v1/feedback", json=large)).json()["error"]["code"] == "bad_feedback"
    huge = {"request_id": "my.request-1", "text": "x" * 2**21}
    assert (await client.post("/v1/feedback", json=huge)).status_code == 413


async def test_a_body_may_be_as_large_as_the_server_allows(clients: Clients, make_service: Make) -> None:
    blanks = b" " * 30_000
    replies = [
        await clients(make_service(), **limit).post("/v1/shout", content=b'{"text": "hi"}' + blanks)
        for limit in ({}, {"max_body": 40_000})
    ]
    assert [reply.status_code for reply in replies] == [413, 200]
    assert replies[0].json()["error"]["message"] == "the body may have at most 10240 bytes"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/feedback", {"request_id": "unknown-1"}, 422, "bad_feedback"),
        ("/v1/feedback", {"request_id": "unknown-1", "trace_id": "a" * 32, "score": 1}, 422, "bad_request_id"),
        ("/v1/feedback", {"trace_id": "A" * 32, "score": 1}, 422, "bad_trace_id"),
        ("/v1/feedback", {"request_id": "unknown-1", "score": True}, 422, "bad_score"),
        ("/v1/feedback", {"request_id": "unknown-1", "label": 2**60}, 422, "bad_label"),
        ("/v1/feedback", {"request_id": "unknown-1", "text": ""}, 422, "bad_text"),
        ("/v1/feedback", {"request_id": "unknown-1", "taken_back": "yes"}, 422, "bad_taken_back"),
        ("/v1/feedback", {"request_id": "unknown-1", "taken_back": True, "score": 1}, 422, "bad_taken_back"),
        ("/v1/feedback", {"request_id": "unknown-1", "scores": 1}, 422, "unknown_field"),
        ("/v1/feedback", {"feedback": []}, 422, "bad_feedback"),
        ("/v1/shout", {}, 422, "bad_text"),
        ("/v1/shout", {"text": ""}, 422, "bad_text"),
        ("/v1/shout", {"text": "x" * 501}, 422, "bad_text"),
        ("/v1/shout", {"text": 7}, 422, "bad_text"),
        ("/v1/shout", {"text": None}, 422, "bad_text"),
        ("/v1/shout", {"text": "x", "learner_id": ""}, 422, "bad_learner_id"),
        ("/v1/shout", {"text": "x", "learner_id": 7}, 422, "bad_learner_id"),
        ("/v1/shout", {"text": "x", "learner_id": "l" * 129}, 422, "bad_learner_id"),
        ("/v1/shout", {"text": "x", "learnerId": "l"}, 422, "unknown_field"),
        ("/v1/shout", {"text": "x", "unit": ""}, 422, "bad_unit"),
        ("/v1/shout", {"text": "x", "unit": "a\u0007b"}, 422, "bad_unit"),
        ("/v1/shout", {"text": "x", "unit": "l", "learner_id": "l"}, 422, "two_units"),
        ("/v1/shout", ["x"], 400, "malformed"),
        ("/v1/feedback", {"request_id": "unknown-1", "outcome": "accepted"}, 404, "unknown_request"),
        ("/v1/feedback", {"request_id": "unknown-1", "outcome": "loved"}, 422, "bad_outcome"),
        ("/v1/feedback", {"request_id": "unknown-1", "outcome": ["accepted"]}, 422, "bad_outcome"),
        ("/v1/feedback", {"request_id": "x", "outcome": "accepted"}, 422, "bad_request_id"),
        ("/v1/feedback", {"outcome": "accepted"}, 422, "bad_request_id"),
        ("/v1/nothing", {}, 404, "not_found"),
        ("/v1/shout/", {}, 404, "not_found"),
        ("/healthz", {}, 405, "method_not_allowed"),
    ],
)
async def test_every_refusal_is_json_with_a_code_and_the_requests_id(
    clients: Clients, make_service: Make, path: str, body: object, status: int, code: str
) -> None:
    reply = await clients(make_service()).post(path, json=body, headers={"X-Request-ID": "my.request-1"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["request_id"]) == (status, code, "my.request-1")
    assert error["message"]
    assert reply.headers["x-request-id"] == "my.request-1"
    assert reply.headers["content-type"] == "application/json"


async def test_a_method_that_is_not_there_names_those_that_are(clients: Clients, make_service: Make) -> None:
    reply = await clients(make_service()).get("/v1/shout")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"


async def test_the_longest_and_the_strangest_texts_are_answered(clients: Clients, make_service: Make) -> None:
    client = clients(make_service())
    for text in ("x" * 500, "é" * 500, "\x00\x1b[31m\u202e", " ", "𝄞" * 500):
        assert (await ask(client, text)).status_code == 200


async def test_over_the_queue_it_is_503_with_a_time_to_wait(clients: Clients, make_service: Make) -> None:
    service = make_service()
    service.pool.room = 0  # type: ignore[misc]
    reply = await ask(clients(service))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "overloaded")
    assert reply.headers["retry-after"] == "1"


async def test_requests_that_come_in_one_turn_of_the_loop_are_refused_beyond_the_room(make_service: Make) -> None:
    service = make_service()
    service.pool.room = 2  # type: ignore[misc]
    for _ in range(2):  # what came is in the queue at the next turn
        assert [service.crowded() for _ in range(3)] == [None] * 3, "only a head is here"
        service.arrived()
        assert service.crowded() is None
        service.arrived()
        refused = service.crowded()
        assert refused is not None
        assert (refused.status, refused.code) == (503, "overloaded")
        await asyncio.sleep(0)
    assert (
        'spine_request_total{arm="none",code="503"} 2.0' in service.metrics.render(queue_depth=0, slots_used=0).decode()
    )


async def test_over_the_rate_it_is_429_and_without_one_there_is_no_limit(clients: Clients, make_service: Make) -> None:
    service = make_service()
    limited = clients(service, rate=2.0)
    statuses = [(await ask(limited)).status_code for _ in range(4)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses
    free = clients(service)
    assert {(await ask(free)).status_code for _ in range(20)} == {200}


async def test_a_model_that_fails_is_500_with_a_trace(
    clients: Clients, make_service: Make, reader: TraceReader, caplog: pytest.LogCaptureFixture
) -> None:
    client = clients(make_service())
    reply = await ask(client, "please !fail", X_Request_ID="my.request-1")
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "model_failed")
    trace = reader["my.request-1"]
    assert (trace.status, trace.error, trace.accepted) == (500, "RuntimeError: told to fail", None)
    assert (await ask(client)).status_code == 200


async def test_what_a_failing_model_says_is_not_kept_where_the_text_is_not(
    clients: Clients, make_service: Make, reader: TraceReader, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await ask(clients(make_service(text="hash")), "please !fail", X_Request_ID="my.request-1")
    assert reply.status_code == 500
    assert reader["my.request-1"].error == "RuntimeError"
    assert "told to fail" not in caplog.text


async def test_replayed_traffic_needs_leave(clients: Clients, make_service: Make, reader: TraceReader) -> None:
    service = make_service()
    headers = {"X_Spine_Source": "replay", "X_Spine_Time": "2026-03-02T08:00:00.25+01:00"}
    refused = await ask(clients(service), **headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "replay_refused")
    replaying = clients(service, allow_replay=True)
    trace = reader[(await ask(replaying, **headers)).json()["request_id"]]
    assert (trace.source, trace.started_ns) == ("replay", 1_772_434_800_250_000_000)
    assert reader[(await ask(replaying)).json()["request_id"]].source == "live"


@pytest.mark.parametrize(
    "at",
    ["yesterday", "2026-03-02", "2026-03-02T08:00:00", "2026-13-02T08:00:00Z", "9999-03-02T08:00:00Z",
     "0001-01-01T00:00:00+14:00", "2026-03-02T08:00:00Z\t", "2026-W10-1T08:00:00Z", "1969-12-31T23:59:59Z", ""],
)  # fmt: skip
async def test_a_simulated_time_that_is_none_is_refused(clients: Clients, make_service: Make, at: str) -> None:
    reply = await ask(clients(make_service(), allow_replay=True), X_Spine_Source="replay", X_Spine_Time=at)
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "bad_time")


async def test_health_readiness_and_route(clients: Clients, make_service: Make, arms: Arms, truth: Any) -> None:
    service = make_service()
    client = clients(service)
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = (await client.get("/readyz")).json()
    assert ready == {
        "ready": True, "reason": None, "route_problem": None, "shadow_problem": None, "epoch": 3,
        "model_sha": SHA, "semver": "v0.1.0"
    }  # fmt: skip
    assert (await client.get("/v1/route")).json() == {
        "strategy": "single",
        "epoch": 3,
        "salt": "3",
        "arms": [{"name": "stable", "sha": SHA, "semver": "v0.1.0", "weight_bp": 10_000}],
    }
    service.draining = True
    reply = await client.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["reason"] == "the server is draining"


async def test_metrics_count_answers_and_refusals(clients: Clients, make_service: Make) -> None:
    client = clients(make_service())
    for _ in range(3):
        await ask(client)
    await ask(client, "")
    text = (await client.get("/metrics")).text
    assert 'spine_request_total{arm="stable",code="200"} 3.0' in text
    assert 'spine_request_total{arm="none",code="422"} 1.0' in text


async def test_the_contract_is_served_for_programs_and_for_people_offline(clients: Clients, make_service: Make) -> None:
    client = clients(make_service())
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    answer = document["components"]["schemas"]["Answer"]
    reply = (await ask(client)).json()
    assert set(answer["required"]) <= set(reply)
    assignment = answer["properties"]["traffic_assignment"]
    assert set(assignment["properties"]) == set(assignment["required"]) == set(reply["traffic_assignment"])
    for path in document["paths"]:
        reply = await client.get(path)
        assert reply.status_code in (200, 405), path
    page = await client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in document["paths"])
    for foreign in ("<script", "<link", "<img", "@import", "src="):
        assert foreign not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    json.dumps(document)


async def test_a_handler_that_breaks_is_500_json_and_logged(
    clients: Clients, make_service: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()

    async def broken(_ask: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(service, "answer", broken)
    reply = await ask(clients(service), X_Request_ID="my.request-1")
    assert reply.status_code == 500
    assert reply.json()["error"] == {
        "code": "internal",
        "message": "internal error; the server's log has the reason under this request id",
        "request_id": "my.request-1",
    }
    assert "oops" in caplog.text


async def test_an_input_may_be_any_json_where_the_workload_takes_it(
    clients: Clients, make_service: Make, reader: TraceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order of its keys, an object is one text, with one hash in the traces."""
    monkeypatch.setattr(Shout, "takes_json", True, raising=False)
    client = clients(make_service())
    for number, row in enumerate(({"plan": "pro", "age": 41.0}, {"age": 41, "plan": "pro"})):
        reply = await ask(client, row, X_Request_ID=f"req-row-{number}")
        assert reply.json()["correction"] == '1:{"AGE":41,"PLAN":"PRO"}'
    traces = [reader[f"req-row-{number}"] for number in range(2)]
    assert traces[0].input == traces[1].input == '{"age":41,"plan":"pro"}'
    assert traces[0].input_sha256 == traces[1].input_sha256
    assert (await ask(client, [1.5, 2])).json()["correction"] == "1:[1.5,2]"
    for given in (None, 2**60, ["x" * 500]):
        refused = await ask(client, given)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_text")
    document = (await client.get("/openapi.json")).json()
    assert "any JSON" in json.dumps(document["paths"]["/v1/shout"])


async def test_a_unit_is_the_same_under_either_name(clients: Clients, make_service: Make, reader: TraceReader) -> None:
    client = clients(make_service())
    named = [{"unit": "u-7"}, {"learner_id": "u-7"}, {"unit": "u-7", "learner_id": None}, {"unit": None}]
    ids = [(await client.post("/v1/shout", json={"text": "HELLO"} | each)).json()["request_id"] for each in named]
    hashes = [reader[each].unit_hash for each in ids]
    assert hashes[0] is not None
    assert hashes == [hashes[0], hashes[0], hashes[0], None]


async def test_the_description_of_the_api_says_how_large_a_body_may_be(clients: Clients, make_service: Make) -> None:
    client = clients(make_service(), max_body=40_000)
    paths = (await client.get("/openapi.json")).json()["paths"]
    bodies = [paths[path]["post"]["requestBody"]["description"] for path in ("/v1/shout", "/v1/feedback")]
    assert bodies == ["at most 40,000 bytes", "at most 1,048,576 bytes"]
    page = (await client.get("/docs")).text
    assert "at most 40,000 bytes" in page
    assert "max_body_kb" not in page, "a caller cannot change the settings of the server"


def test_the_description_of_the_api_uses_the_workloads_words() -> None:
    class Tickets(Minitutor):
        name, http_path, text_field = "tickets", "/v1/tickets", "body"
        words = {"unit": "customer", "input": "ticket"}  # noqa: RUF012
        example = "where is my parcel"

    tutors, tickets = describe(Minitutor(), "1"), describe(Tickets(), "1")
    page = f"{json.dumps(tickets)}{docs_page(tickets)}"
    assert not re.search("learner|sentence|correction|goed", page)
    assert "the customer whom the answer is for" in page
    assert "Say what is known of an answer later" in page
    assert """-d '{"body": "where is my parcel", "unit": "customer-7"}'""" in docs_page(tickets)
    page = docs_page(tutors)
    assert """-d '{"sentence": "Yesterday he goed home.", "learner_id": "learner-7"}'""" in page
    assert {"unit", "learner_id"} <= set(
        tutors["paths"]["/v1/grammar/correct"]["post"]["requestBody"]["content"]["application/json"]["schema"][
            "properties"
        ]
    )
