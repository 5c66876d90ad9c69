"""Fifty route changes under load: no request dropped, no answer of two routes mixed, no damaged entry serving.

Among them: single, canary and shadow routes, one to a bundle with a flipped bit, two appended at once, and
one while the server drains. Nothing is left of a route that was left: no thread, no descriptor, no process of its own.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from modelspine.ledger.route import FULL, Arm, Route
from modelspine.ledger.store import Draft
from modelspine.spine import Spine
from shout_server import Server, add_entry, make_project, open_project

CHANGES = 50
CLIENTS = 4


def append(spine: Spine, strategy: str, arms: list[Arm]) -> None:
    """Route past the registry, which would refuse a damaged bundle."""
    body = {"sha": arms[-1].sha, "strategy": strategy, "arms": msgspec.to_builtins(arms), "reason": "for the test"}
    spine.ledger.append([Draft(kind="routed", body=body)], expected=None)


def test_fifty_changes_under_load(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    rng = random.Random(11)
    seen: list[tuple[int, dict[str, Any]]] = []
    errors: list[str] = []
    stop = threading.Event()
    with open_project(root) as spine:
        shas = [add_entry(spine, number) for number in (1, 2, 3)]
        damaged = add_entry(spine, 4)
        spoil(spine, damaged)

        def arm(name: str, at: int, weight: int) -> Arm:
            return Arm(name=name, sha=shas[at], semver=f"v0.{at + 1}.0", weight_bp=weight)

        def change() -> None:
            first, second = rng.sample(range(3), 2)
            weight = rng.choice([100, 1000, 5000])
            match rng.choice(["single", "canary", "shadow"]):
                case "single":
                    append(spine, "single", [arm("stable", first, FULL)])
                case "canary":
                    append(spine, "canary", [arm("stable", first, FULL - weight), arm("canary", second, weight)])
                case _:
                    append(spine, "shadow", [arm("stable", first, FULL), arm("shadow", second, weight)])

        with Server(root) as server:
            before = held(server.process.pid)

            def load(client: int) -> None:
                with httpx.Client(timeout=15) as http:
                    while not stop.is_set():
                        body = {"text": "x", "learner_id": f"learner-{client}-{len(seen) % 40}"}
                        try:
                            reply = http.post(f"{server.url}/v1/shout", json=body)
                        except httpx.HTTPError as error:
                            errors.append(repr(error))
                            return
                        seen.append((reply.status_code, reply.json()))

            threads = [threading.Thread(target=load, args=(client,)) for client in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for number in range(CHANGES - 4):
                change()
                time.sleep(rng.random() * 0.3)
                if number == CHANGES // 2:
                    corrupt = [Arm(name="stable", sha=damaged, semver="v0.4.0", weight_bp=FULL)]
                    append(spine, "single", corrupt)
                    until(lambda: server.get("/readyz").json()["route_problem"] is not None)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda _: change(), range(2)))
            epoch = spine.registry.state().route.epoch  # type: ignore[union-attr]
            until(lambda: server.get("/v1/route").json()["epoch"] == epoch)
            stop.set()
            for thread in threads:
                thread.join()
            append(spine, "single", [arm("stable", 0, FULL)])
            until(lambda: server.get("/v1/route").json()["epoch"] == spine.registry.state().seq)
            until(lambda: held(server.process.pid).children == before.children)
            after = held(server.process.pid)
            change()
            assert server.stop() == 0
        routes = {route.epoch: route for route in spine.registry.state().routes}
    assert errors == []
    assert len(routes) == CHANGES + 2
    assert after.threads <= before.threads + 1
    assert after.descriptors <= before.descriptors + 8, "a connection each to ledger, traces and the canary's own"
    assert {status for status, _ in seen} == {200}
    assert len({body["epoch"] for _, body in seen}) >= CHANGES // 3, "the routes did not change under load"
    wrong = [body for _, body in seen if not consistent(routes[body["epoch"]], body)]
    assert wrong == []
    assert damaged not in {body["model_sha"] for _, body in seen}


class Held(NamedTuple):
    """What a process holds of the machine; a dead child that nobody waited for is a child."""

    threads: int
    descriptors: int
    children: int


def held(pid: int) -> Held:
    place = Path(f"/proc/{pid}")
    tasks = list((place / "task").iterdir())
    children = sum(len((task / "children").read_text().split()) for task in tasks)
    return Held(len(tasks), len(list((place / "fd").iterdir())), children)


def consistent(route: Route, body: dict[str, Any]) -> bool:
    """Whether an answer is of one arm of the route it names, and of the model of that arm."""
    arm = next((one for one in route.learners if one.name == body["arm"]), None)
    return arm is not None and arm.sha == body["model_sha"] and body["correction"] == f"{arm.semver[3]}:X"


def test_the_check_sees_an_answer_of_another_arm() -> None:
    arms = (
        Arm(name="stable", sha="1" * 64, semver="v0.1.0", weight_bp=5000),
        Arm(name="canary", sha="2" * 64, semver="v0.2.0", weight_bp=5000),
    )
    route = Route(strategy="canary", epoch=4, salt="4", arms=arms)
    good = {"epoch": 4, "arm": "canary", "model_sha": "2" * 64, "correction": "2:X"}
    assert consistent(route, good)
    assert not consistent(route, {**good, "correction": "1:X"})
    assert not consistent(route, {**good, "model_sha": "1" * 64})
    assert not consistent(route, {**good, "arm": "shadow"})


def spoil(spine: Spine, sha: str) -> None:
    weights = spine.settings.cache / sha / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(bytes(data))


def until(true: Any) -> None:
    end = time.monotonic() + 15
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
