"""A shadow that raises, hangs, lies, leaks, burns a core or dies: no learner's answer differs, none fails.

The broken twin answers copies where it answers learners, before the reply goes out; the same check must
catch it.
"""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve.reader import TraceReader
from modelspine.ledger.route import FULL, Arm
from modelspine.ledger.store import Draft
from modelspine.spine import Spine
from shout_server import Server, add_entry, make_project, open_project

REQUESTS = 60
VARYING = ("request_id", "epoch", "usage", "traffic_assignment")


def shadow_to(spine: Spine, sha: str, share: int = FULL) -> None:
    route = spine.registry.route()
    assert route is not None
    arms = [
        Arm(name="stable", sha=route.stable.sha, semver=route.stable.semver, weight_bp=FULL),
        Arm(name="shadow", sha=sha, semver="", weight_bp=share),
    ]
    body = {"sha": sha, "strategy": "shadow", "arms": msgspec.to_builtins(arms), "reason": "for the test"}
    spine.ledger.append([Draft(kind="routed", body=body)], expected=None)


def follow(server: Server, strategy: str) -> None:
    deadline = time.monotonic() + 10
    while server.get("/v1/route").json()["strategy"] != strategy:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(server: Server) -> list[tuple[int, dict[str, Any]]]:
    """What learners get, without what differs by nature."""

    def one(number: int) -> tuple[int, dict[str, Any]]:
        reply = server.ask(f"text {number}")
        return reply.status_code, {name: value for name, value in reply.json().items() if name not in VARYING}

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(REQUESTS)))


def shadowed(root: Path, mischief: str, launcher: str = "shout_main.py") -> tuple[bool, int]:
    """Whether learners were answered as without the shadow, and how many traces or drops it left."""
    make_project(root)
    with open_project(root) as spine:
        add_entry(spine, 1)
        other = add_entry(spine, 2, promoted=False, mischief=mischief)  # type: ignore[arg-type]
        traces = spine.settings.traces
        with Server(root, launcher=launcher) as server:
            before = answers(server)
            shadow_to(spine, other)
            follow(server, "shadow")
            try:
                during = answers(server)
            except Exception:  # noqa: BLE001 -- a client that gives up is a learner without an answer
                return False, 1
            fired = _fired(server, traces)
    same = before == during and all(status == 200 for status, _ in during)
    return same, fired


def _fired(server: Server, traces: str) -> int:
    """Copies that failed or were dropped: signs that the shadow did what it was told to."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        reader = TraceReader.open(traces)
        failed = [trace for trace in reader.list(limit=500).traces if trace.shadow_of and trace.error]
        reader.close()
        dropped = next(
            float(line.split()[1])
            for line in server.get("/metrics").text.splitlines()
            if line.startswith("spine_shadow_dropped_total")
        )
        if failed or dropped:
            return len(failed) + int(dropped)
        time.sleep(0.1)
    return 0


@pytest.mark.parametrize("mischief", ["raise", "hang", "lie", "leak", "burn", "die"])
def test_a_shadow_that_misbehaves_costs_learners_nothing(tmp_path: Path, mischief: str) -> None:
    same, fired = shadowed(tmp_path / "project", mischief)
    assert fired, "the shadow did nothing wrong: the test proved nothing"
    assert same


def test_the_check_catches_a_server_that_asks_the_shadow_before_it_replies(tmp_path: Path) -> None:
    same, _ = shadowed(tmp_path / "project", "raise", "shout_inline_shadow.py")
    assert not same


def test_a_healthy_shadow_answers_copies_linked_to_their_primaries_and_none_is_a_learners(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
        other = add_entry(spine, 2, promoted=False)
        shadow_to(spine, other)
        with Server(root) as server:
            primaries = {server.ask(f"text {number}").json()["request_id"] for number in range(20)}
            deadline = time.monotonic() + 20
            copies: list[Any] = []
            while len(copies) < 20 and time.monotonic() < deadline:
                time.sleep(0.1)
                copies = [trace for trace in spine.traces.list(limit=100).traces if trace.shadow_of]
            metrics = server.get("/metrics").text
            assert server.stop() == 0
        assert {trace.shadow_of for trace in copies} == primaries
        assert {(trace.entry_sha, trace.assignment.arm, trace.status) for trace in copies} == {(other, "shadow", 200)}
        assert all(trace.output is not None and trace.output.startswith("2:") for trace in copies)
        assert all(spine.traces[one].output.startswith("1:") for one in primaries)  # type: ignore[union-attr]
    assert 'arm="shadow"' not in metrics, "a shadow is not in what learners met"


def test_a_killed_server_takes_its_shadow_with_it(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as spine:
        add_entry(spine, 1)
        shadow_to(spine, add_entry(spine, 2, promoted=False, mischief="hang"))  # type: ignore[arg-type]
        with Server(root) as server:
            server.ask()
            deadline = time.monotonic() + 20
            while not (children := _children(server.process.pid)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            server.stop(signal.SIGKILL)
            while any(_alive(pid) for pid in children):
                assert time.monotonic() < deadline
                time.sleep(0.05)


def _children(pid: int) -> list[int]:
    """Processes that a server started, whichever of its threads did."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (OSError, IndexError):
        return False
