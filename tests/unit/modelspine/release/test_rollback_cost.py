"""What a rollback gives up is said before it is made, and never keeps anybody from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.ledger.route import assign
from modelspine.release.rollback_cost import rollback_cost
from modelspine.spine import Spine

Make = Callable[..., Path]


def leave(spine: Spine, request_id: str, sha: str, **more: Any) -> None:
    """Leave a trace of one answer, and what its learner said of it."""
    route = spine.registry.route()
    assert route is not None
    said = more.pop("feedback", None)
    trace = Trace(
        request_id=request_id, trace_id="0" * 32, span_id="0" * 16, started_ns=time.time_ns(), entry_sha=sha,
        intended_sha=sha, semver="v0.1.0", assignment=assign(route, "l", sticky=True), sentence="s", correction="c",
        **more,
    )  # fmt: skip
    writer = TraceWriter(spine.settings.traces)
    writer.submit(trace).result(5)
    if said:
        writer.feedback(request_id, said).result(5)
    writer.close()


@pytest.fixture
def two(spine: Spine, make_bundle: Make) -> tuple[str, str]:
    """v0.1.0 with 80 of 100, and v0.2.0 with 98 in production."""
    shas = []
    for number, k in ((1, 80), (2, 98)):
        sha = spine.registry.register(make_bundle(number, k=k)).sha
        spine.registry.promote(sha, f"v0.{number}.0", reason="a test")
        shas.append(sha)
    spine.routing.single(shas[1], reason="a test")
    return shas[0], shas[1]


def test_it_names_the_largest_loss_and_counts_the_others(spine: Spine, two: tuple[str, str]) -> None:
    cost = rollback_cost(spine, "v0.1.0")
    assert [(loss.name, loss.items, loss.target.n) for loss in cost.losses] == [
        ("tense/past_simple", 9, 50),
        ("verb/go", 9, 50),
    ]
    assert cost.sentence() == "gives up 9 of 50 on tense/past_simple and less in 1 other bucket"


def test_it_counts_the_wrong_answers_that_learners_dismissed(spine: Spine, two: tuple[str, str]) -> None:
    weak, strong = two
    leave(spine, "req-wrong-1", weak, graded=False, feedback="dismissed")
    leave(spine, "req-right-1", weak, graded=True, feedback="dismissed")
    leave(spine, "req-quiet-1", weak, graded=False)
    leave(spine, "req-other-1", strong, graded=False, feedback="dismissed")
    cost = rollback_cost(spine, weak)
    assert cost.reopened == ("req-wrong-1",)
    assert cost.sentence().endswith("; reopens 1 incident")


def test_going_to_what_is_as_good_gives_up_nothing(spine: Spine, two: tuple[str, str]) -> None:
    spine.routing.rollback(two[0], reason="a test")
    assert rollback_cost(spine, two[1]).sentence() == "no bucket of the eval set gets worse"


def test_without_a_report_it_is_unknown(spine: Spine, two: tuple[str, str], make_bundle: Make) -> None:
    bare = spine.registry.register(make_bundle(9, report=False)).sha
    assert rollback_cost(spine, bare).sentence() == (
        f"what it gives up is unknown: {bare[:12]} has no evaluation report"
    )
