"""A canary on a running server: a bad one ends itself and is held, a good one becomes stable; nobody presses a key."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from modelspine.ledger.route import Guard, Ladder, Step
from modelspine.ledger.state import State
from modelspine.spine import Spine
from shout_server import Server, add_entry, make_project, open_project

LADDER = Ladder(
    steps=(Step(weight_bp=5000, min_seconds=1, min_samples=40),),
    at=0,
    auto=True,
    guard=Guard(window_seconds=1, margin_bp=2000, latency_pct=1_000_000),
)


def learners_at_work(server: Server, stop: threading.Event, seen: list[int]) -> None:
    with httpx.Client(timeout=15) as http:
        number = 0
        while not stop.is_set():
            number += 1
            body = {"text": "x", "learner_id": f"learner-{number % 200}"}
            seen.append(http.post(f"{server.url}/v1/shout", json=body).status_code)


def until_over(spine: Spine) -> State:
    end = time.monotonic() + 60
    while (state := spine.registry.state()).route.strategy == "canary":  # type: ignore[union-attr]
        assert time.monotonic() < end, "the canary was neither advanced nor aborted"
        time.sleep(0.1)
    return state


@pytest.mark.long
@pytest.mark.parametrize(("number", "good"), [(2, True), (93, False)])
def test_a_canary_ends_itself(tmp_path: Path, number: int, good: bool) -> None:
    root = make_project(tmp_path / "project")
    seen: list[int] = []
    stop = threading.Event()
    with open_project(root) as spine:
        stable, tried = add_entry(spine, 1), add_entry(spine, number)
        with Server(root) as server:
            spine.routing.canary(tried, reason="try it", ladder=LADDER)
            client = threading.Thread(target=learners_at_work, args=(server, stop, seen))
            client.start()
            try:
                state = until_over(spine)
                expected = tried if good else stable
                end = time.monotonic() + 10
                while server.ask().json()["model_sha"] != expected:
                    assert time.monotonic() < end
                    time.sleep(0.05)
            finally:
                stop.set()
                client.join()
            assert server.stop() == 0
        assert state.production == expected
        assert (state.entries[tried].held is None) is good
        moved = [event for event in spine.registry.events() if str(event.body.get("key", "")).startswith("canary-")]
        assert len(moved) == 1, "one decision is one event"
    assert set(seen) == {200}
