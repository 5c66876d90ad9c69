"""A server on which the ledger's route is not in effect: when it is unready, and what may answer no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from miniserve import behind
from miniserve.arms import Arms
from miniserve.service import Service
from modelspine.ledger.route import Arm, Route

Clients = Callable[..., httpx.AsyncClient]
HANG = 30.0


def sha(number: int) -> str:
    return f"{number:064x}"


def route(number: int, epoch: int) -> Route:
    arm = Arm(name="stable", sha=sha(number), semver=f"v0.{number}.0", weight_bp=10_000)
    return Route(strategy="single", epoch=epoch, salt=str(epoch), arms=(arm,))


def until(done: Callable[[], Any]) -> None:
    end = time.monotonic() + HANG
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_missing_bundle_is_fetched_before_it_is_loaded(arms: Arms, truth: Any) -> None:
    truth.absent = {sha(1), sha(2)}
    arms.start()
    arms.stop()
    assert truth.fetched == [sha(1)]
    truth.move(route(2, 4))
    arms._stop.clear()
    arms.refresh()
    assert (truth.fetched, truth.absent) == ([sha(1), sha(2)], set())
    assert (arms.current.route.epoch, arms.problem, arms.behind.unready) == (4, None, None)


def test_a_new_server_that_cannot_fetch_does_not_start(arms: Arms, truth: Any) -> None:
    truth.absent, truth.gone = {sha(1)}, True
    with pytest.raises(Exception, match="MLflow does not answer"):
        arms.start()


async def test_a_server_that_cannot_take_the_route_is_unready_and_held_entries_answer_nothing(
    arms: Arms, truth: Any, make_service: Callable[..., Service], clients: Clients
) -> None:
    client = clients(make_service())

    async def asked() -> tuple[int, int]:
        ready = (await client.get("/readyz")).status_code
        return ready, (await client.post("/v1/shout", json={"text": "x"})).status_code

    arms.stop()
    arms._stop.clear()
    assert await asked() == (200, 200)
    truth.absent, truth.gone = {sha(2)}, True
    truth.move(route(2, 4))
    arms.refresh()
    assert await asked() == (503, 200), "the entry that it still has may answer"
    assert "MLflow does not answer" in (await client.get("/readyz")).json()["reason"]
    truth.forbidden.add(sha(1))
    truth.seq += 1
    arms.refresh()
    assert await asked() == (503, 503)
    reply = await client.post("/v1/shout", json={"text": "x"})
    assert reply.json()["error"]["code"] == "not_ready"
    assert reply.headers["Retry-After"] == "1"
    truth.gone = False
    truth.seq += 1
    arms.refresh()
    assert await asked() == (200, 200)
    assert (await client.post("/v1/shout", json={"text": "x"})).json()["model_sha"] == sha(2)


def test_while_a_held_entrys_successor_is_fetched_it_does_not_answer(arms: Arms, truth: Any) -> None:
    arms.start()
    truth.absent.add(sha(2))
    truth.sent.clear()
    truth.forbidden.add(sha(1))
    truth.move(route(2, 4))
    until(lambda: arms.behind.refusal(sha(1)))
    until(lambda: arms.behind.unready)
    assert "is being fetched" in (arms.behind.unready or "")
    truth.sent.set()
    until(lambda: arms.current.route.epoch == 4)
    assert (arms.behind.unready, arms.behind.refusal(sha(2))) == (None, None)


def test_a_fetch_ends_when_another_route_is_in_force(arms: Arms, truth: Any) -> None:
    arms.start()
    truth.absent.add(sha(2))
    truth.sent.clear()
    truth.move(route(2, 4))
    until(lambda: truth.fetched)
    truth.move(route(1, 5))
    until(lambda: arms.current.route.epoch == 5)
    assert (arms.problem, arms.behind.unready) == (None, None)


def test_a_quick_change_drops_nothing_and_a_slow_one_never_serves_what_is_held(
    arms: Arms, truth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms.start()
    loads, load = threading.Event(), arms._models.load
    monkeypatch.setattr(arms._models, "load", lambda sha: load(sha) if loads.wait(HANG) else None)
    monkeypatch.setattr(behind, "GRACE_SECONDS", HANG)
    truth.forbidden.add(sha(1))
    truth.move(route(2, 4))
    until(lambda: arms._loading)
    assert (arms.behind.unready, arms.behind.refusal(sha(1))) == (None, None)
    monkeypatch.setattr(behind, "GRACE_SECONDS", 0.0)
    assert "may not answer" in (arms.behind.unready or "")
    assert "may not answer" in (arms.behind.refusal(sha(1)) or "")
    loads.set()
    until(lambda: arms.current.route.epoch == 4)
    assert (arms.behind.unready, arms.behind.refusal(sha(1))) == (None, None)
