"""Testers reach the arm they ask for, strangers do not, and no comparison counts a tester."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from miniobserve.daily import Request
from miniobserve.evidence import EVER
from miniobserve.reader import TraceReader
from miniobserve.rows import request_row
from miniobserve.schema import NAMES
from miniobserve.traces import Assignment, Trace
from miniserve.pending import Answered, ModelFailed, Pending
from miniserve.record import Copy
from miniserve.service import Service
from miniserve.testers import Testers as Allowed  # pytest would take the name for a test class
from modelspine.attestation.keys import Trust, new_key, trusted
from modelspine.attestation.tester_token import sign_tester
from modelspine.incident.arm_answer import arm_answer
from modelspine.ledger.route import Arm, Route

sys.path.insert(0, str(Path(__file__).parents[2] / "fixtures" / "shout"))

from shout_workload import ShoutModel

Clients = Callable[..., httpx.AsyncClient]
Make = Callable[..., Service]
LEDGER = "f" * 64


def sha_of(number: int) -> str:
    return f"{number:064x}"


def route_of(strategy: str, *arms: tuple[str, int, int], epoch: int = 9) -> Route:
    """A route of arms, each with its name, number and weight."""
    made = tuple(Arm(name=name, sha=sha_of(n), semver=f"v0.{n}.0", weight_bp=weight) for name, n, weight in arms)
    return Route(strategy=strategy, epoch=epoch, salt=str(epoch), arms=made)


KEY = new_key()
TESTERS = Allowed(Trust(keys=(trusted(KEY, name="qa", added="2026-11-29"),)), LEDGER)


def headers(arm: str | None = None, *, hours: int = 1, key: Any = KEY, ledger: str = LEDGER) -> dict[str, str]:
    now = datetime.now(UTC) - timedelta(minutes=90 if hours < 0 else 0)
    token = sign_tester(key, "alice", ledger=ledger, now=now, valid=timedelta(hours=abs(hours)))
    return {"X-Spine-Tester": token, **({"X-Spine-Arm": arm} if arm else {})}


async def ask(client: httpx.AsyncClient, learner: str | None = "l", **sent: str) -> httpx.Response:
    body = {"text": "HELLO"} | ({"learner_id": learner} if learner else {})
    return await client.post("/v1/shout", json=body, headers={name.replace("_", "-"): v for name, v in sent.items()})


@pytest.fixture
def on_canary(truth: Any, arms: Any) -> Route:
    # 0.01 % of learners, so that by chance nobody gets to the canary.
    route = route_of("canary", ("stable", 1, 9_999), ("canary", 2, 1))
    truth.now = route
    return route


async def test_a_tester_reaches_the_arm_and_no_figure_counts_it(
    clients: Clients, make_service: Make, reader: TraceReader, on_canary: Route
) -> None:
    client = clients(make_service(), testers=TESTERS)
    learner = await ask(client)
    assert (learner.json()["arm"], learner.json()["traffic_assignment"]["tester"]) == ("stable", None)
    for arm in ("canary", "candidate"):
        reply = await ask(client, **headers(arm))
        assert (reply.status_code, reply.json()["arm"], reply.json()["model_sha"]) == (200, "canary", sha_of(2))
    probe = await ask(client, "prober", **headers())
    assert (probe.json()["arm"], probe.json()["traffic_assignment"]["tester"]) == ("stable", "alice")
    trace = reader[reply.json()["request_id"]]
    assert (trace.assignment.tester, trace.assignment.arm, trace.is_evidence) == ("alice", "canary", False)
    finding = arm_answer(trace, on_canary)
    assert finding.status == "verified"
    assert "chosen by tester alice" in finding.answer
    evidence = reader.evidence
    assert [(unit.arm, unit.n) for unit in evidence.units(9)] == [("stable", 1)]
    assert list(evidence.latencies(9)) == ["stable"]
    assert sum(minute.n for minute in reader.minutes(0)) == 1
    assert [len(page) for page in reader.requests.pages(0, EVER, Request)] == [1]
    assert [len(page) for page in reader.requests.pages(0, EVER, Request, testers=True)] == [4]
    assert reader.tester_requests(9) == 3


async def test_feedback_of_a_tester_is_no_evidence(
    clients: Clients, make_service: Make, reader: TraceReader, on_canary: Route
) -> None:
    client = clients(make_service(), testers=TESTERS)
    reply = await ask(client, **headers("canary"))
    said = await client.post("/v1/feedback", json={"request_id": reply.json()["request_id"], "outcome": "dismissed"})
    assert said.status_code == 200
    assert reader.evidence.said(9) == []


@pytest.mark.parametrize(
    "sent",
    [
        {"X-Spine-Arm": "canary"},
        {"X-Spine-Tester": "anything", "X-Spine-Arm": "canary"},
        {"X-Spine-Tester": ""},
        headers("canary", hours=-1),
        headers("canary", key=new_key()),
        headers("canary", ledger="e" * 64),
    ],
    ids=["no token", "nonsense", "empty", "expired", "another key", "another ledger"],
)
async def test_a_stranger_reaches_nothing_and_leaves_no_trace(
    clients: Clients, make_service: Make, reader: TraceReader, on_canary: Route, sent: dict[str, str]
) -> None:
    reply = await ask(clients(make_service(), testers=TESTERS), **sent)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "tester_refused")
    assert reader.list().traces == ()


async def test_a_server_without_a_testers_file_accepts_no_token(
    clients: Clients, make_service: Make, on_canary: Route
) -> None:
    reply = await ask(clients(make_service()), **headers("canary"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "tester_refused")


async def test_an_entry_that_may_not_answer_answers_no_tester(
    clients: Clients, make_service: Make, on_canary: Route, truth: Any
) -> None:
    client = clients(make_service(), testers=TESTERS)
    truth.forbidden.add(sha_of(2))  # held after the route was taken
    reply = await ask(client, **headers("canary"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "arm_refused")
    reply = await ask(client, **headers("blue"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "no_such_arm")
    assert "canary, candidate, stable" in reply.json()["error"]["message"]


class Mirror:
    """Stands in for the shadow's process."""

    def __init__(self) -> None:
        self.copies: list[Copy] = []
        self.asked: list[str] = []
        self.fails = False
        self.problem = None

    def offer(self, copy: Copy) -> None:
        self.copies.append(copy)

    def submit(self, sha: str, text: str) -> Pending:
        self.asked.append(sha)
        if self.fails:
            raise ModelFailed("told to fail")
        pending = Pending(sha, text, asyncio.get_running_loop().create_future())
        pending.future.set_result(Answered(ShoutModel(2).answer([text])[0], {}, None))  # type: ignore[arg-type]
        return pending


async def test_a_tester_reaches_a_shadow_that_learners_never_see(
    clients: Clients, make_service: Make, reader: TraceReader, truth: Any
) -> None:
    truth.move(route_of("shadow", ("stable", 1, 10_000), ("shadow", 2, 10_000)))
    service, mirror = make_service(), Mirror()
    service._shadow = mirror  # type: ignore[assignment]
    client = clients(service, testers=TESTERS, shadow=mirror)
    reply = await ask(client, **headers("shadow"))
    assert (reply.json()["correction"], reply.json()["model_sha"]) == ("2:HELLO", sha_of(2))
    assert (mirror.asked, mirror.copies) == ([sha_of(2)], []), "the tester's request itself is not copied"
    await ask(client, **headers("stable"))
    assert mirror.copies == []
    await ask(client)
    assert (len(mirror.asked), len(mirror.copies)) == (1, 1), "a learner's is"
    mirror.fails = True
    failed = await ask(client, **headers("shadow"))
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "model_failed")
    assert reader[failed.json()["error"]["request_id"]].assignment.tester == "alice"
    assert [(unit.arm, unit.n) for unit in reader.evidence.units(9)] == [("stable", 1)]
    truth.forbidden.add(sha_of(2))  # a shadow may be pending or on hold
    refused = await ask(client, **headers("shadow"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "arm_refused")


def test_a_feature_called_tester_makes_nobody_a_tester() -> None:
    given = Assignment(strategy="single", epoch=9, salt="9", arm="stable", bucket=1, sticky=False, u="0" * 16)
    ids = {"request_id": "r", "trace_id": "t", "span_id": "s", "entry_sha": "e", "intended_sha": "e", "semver": ""}
    trace = Trace(**ids, started_ns=0, assignment=given, features={"tester": "x"})
    by_alice = msgspec.structs.replace(trace, assignment=msgspec.structs.replace(given, tester="alice"))
    assert [request_row(each)[NAMES.index("tester")] for each in (trace, by_alice)] == [None, "alice"]


# retries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", ["l", None])
async def test_a_retry_links_to_its_first_attempt_and_is_the_same_unit(
    clients: Clients, make_service: Make, reader: TraceReader, learner: str | None
) -> None:
    client = clients(make_service())
    await ask(client, learner, X_Request_ID="my.request-1")
    again = [(await ask(client, learner, X_Request_ID="my.request-1")).json() for _ in range(2)]
    assert [reply["retry_of"] for reply in again] == ["my.request-1"] * 2
    traces = [reader["my.request-1"], *(reader[reply["request_id"]] for reply in again)]
    assert [trace.retry_of for trace in traces] == [None, "my.request-1", "my.request-1"]
    assert [unit.n for unit in reader.evidence.units(3)] == [3], "one unit, however often it tries"
    route = route_of("single", ("stable", 1, 10_000), epoch=3)
    assert [arm_answer(trace, route).status for trace in traces] == ["verified"] * 3


async def test_another_question_or_learner_under_a_used_id_is_no_retry(
    clients: Clients, make_service: Make, reader: TraceReader
) -> None:
    client = clients(make_service())
    await ask(client, "l", X_Request_ID="my.request-1")
    other = await ask(client, "somebody-else", X_Request_ID="my.request-1")
    body = {"text": "something else", "learner_id": "l"}
    text = await client.post("/v1/shout", json=body, headers={"X-Request-ID": "my.request-1"})
    for reply in (other, text):
        assert reply.json()["request_id_replaced"] == "used"
        assert "retry_of" not in reply.json()
        assert reader[reply.json()["request_id"]].retry_of is None


# one learner, one spelling ----------------------------------------------------------------------------------


async def test_every_spelling_of_a_learner_is_the_same_learner(
    clients: Clients, make_service: Make, reader: TraceReader
) -> None:
    client = clients(make_service())
    for learner in ("jos\u00e9", "jose\u0301", " jos\u00e9", "jose\u0301\u00a0"):
        assert (await ask(client, learner)).status_code == 200
    assert [unit.n for unit in reader.evidence.units(3)] == [4]
    assert len({trace.unit_hash for trace in reader.list().traces}) == 1
    blank = await ask(client, "   ")
    trace = reader[blank.json()["request_id"]]
    assert (trace.unit_hash, trace.assignment.sticky) == (None, False)
    refused = await ask(client, "u1\n")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_learner_id")
