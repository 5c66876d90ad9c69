"""What a rollback gives up is said before it is made, and never keeps anybody from it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.answering import Reply
from modelspine.errors import Unavailable
from modelspine.gate.eval_report import read_report
from modelspine.ledger.route import assign
from modelspine.release import rollback_cost as module
from modelspine.release.rollback_cost import RollbackCost, rollback_cost
from modelspine.spine import Spine, open_spine

Make = Callable[..., Path]


def leave(spine: Spine, request_id: str, sha: str, **more: Any) -> None:
    """Leave a trace of one answer, and what its learner said of it."""
    route = spine.registry.route()
    assert route is not None
    said = more.pop("feedback", None)
    trace = Trace(
        request_id=request_id, trace_id="0" * 32, span_id="0" * 16, started_ns=time.time_ns(), entry_sha=sha,
        intended_sha=sha, semver="v0.1.0", assignment=assign(route, "l", sticky=True),
        **{"input": "s", "output": "c", **more},
    )  # fmt: skip
    writer = TraceWriter(spine.settings.traces)
    writer.submit(trace).result(5)
    if said:
        writer.feedback(request_id, said).result(5)
    writer.close()


@pytest.fixture
def spine(echo: None, project: Path) -> Iterator[Spine]:
    """The project's spine, on the second workload."""
    with open_spine(project) as opened:
        yield opened


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
    assert cost.sentence().startswith("gives up 9 of 50 on tense/past_simple and less in 1 other bucket; ")


def test_only_complaints_that_production_would_answer_right_come_back(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Production is asked in a process of its own, and the answer that nobody can judge is not counted as right."""
    weak, strong = two
    monkeypatch.setenv("ECHO_JUDGES", "1")
    leave(spine, "req-wrong-1", weak, graded=False, feedback="dismissed")
    leave(spine, "req-walk-1", weak, graded=False, feedback="dismissed", input="walk")
    leave(spine, "req-right-1", weak, graded=True, feedback="dismissed")
    leave(spine, "req-quiet-1", weak, graded=False)
    leave(spine, "req-copy-1", weak, graded=False, feedback="dismissed", shadow_of="req-x")
    leave(spine, "req-other-1", strong, graded=False, feedback="dismissed")
    cost = rollback_cost(spine, weak, seconds=60)
    assert (cost.reopened, cost.still_wrong, cost.unchecked) == (("req-wrong-1",), 0, 1)
    assert cost.sentence().endswith(
        "; reopens 1 incident, 1 complaint not checked: the workload does not know the right answer"
    )


def test_a_complaint_that_production_answers_wrong_too_is_not_lost(
    spine: Spine, two: tuple[str, str], make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_JUDGES", "1")
    silent = spine.registry.register(make_bundle(-1)).sha
    spine.registry.promote(silent, "v0.3.0", reason="a test")
    spine.routing.single(silent, reason="a test")
    leave(spine, "req-wrong-1", two[0], graded=False, feedback="dismissed")
    cost = rollback_cost(spine, two[0], seconds=60)
    assert (cost.reopened, cost.still_wrong, cost.unchecked) == ((), 1, 0)
    assert cost.sentence().endswith("; reopens no incident")


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Sequence[str]], list[Any]]) -> None:
    monkeypatch.setattr(module, "answered_within", lambda _seconds, _name, _folders, texts, _step: answer(texts))


def test_production_that_cannot_be_asked_leaves_the_complaints_unknown(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_texts: Sequence[str]) -> list[Any]:
        raise Unavailable("nothing was answered within 3 s", "x")

    answering(monkeypatch, fails)
    leave(spine, "req-wrong-1", two[0], graded=False, feedback="dismissed")
    cost = rollback_cost(spine, two[0])
    assert (cost.reopened, cost.unchecked) == ((), 1)
    assert cost.sentence().endswith(
        "1 complaint not checked: production could not be asked: nothing was answered within 3 s"
    )


def test_the_texts_that_were_not_answered_in_time_or_not_kept_are_not_checked(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda _texts: [(Reply("c", False, True),)])
    for number, sentence in enumerate(("one", "two", "two", None)):
        more = {"input": sentence} if sentence else {"input": None, "input_sha256": "0" * 64}
        leave(spine, f"req-wrong-{number}", two[0], graded=False, feedback="dismissed", **more)
    cost = rollback_cost(spine, two[0])
    assert (cost.reopened, cost.unchecked) == (("req-wrong-2", "req-wrong-1"), 2), "the newest are asked first"
    assert cost.unchecked_why == "production answered 1 of 2 texts within 3 s"


def test_without_traces_the_complaints_are_unknown_and_not_none(spine: Spine, two: tuple[str, str]) -> None:
    cost = rollback_cost(spine, two[0])
    assert cost.reopened is None
    assert "; which incidents it reopens is unknown: " in cost.sentence()
    assert cost.unchecked_why


def test_going_to_what_is_as_good_gives_up_nothing(spine: Spine, two: tuple[str, str]) -> None:
    spine.routing.rollback(two[0], reason="a test")
    leave(spine, "req-quiet-1", two[0])
    assert rollback_cost(spine, two[1]).sentence() == "no bucket of the eval set gets worse; reopens no incident"


def test_without_a_report_it_is_unknown(spine: Spine, two: tuple[str, str], make_bundle: Make) -> None:
    bare = spine.registry.register(make_bundle(9, report=False)).sha
    assert (
        rollback_cost(spine, bare)
        .sentence()
        .startswith(f"what it gives up is unknown: {bare[:12]} has no evaluation report; ")
    )


def report(buckets: dict[str, tuple[int, int]]) -> Any:
    counts = {name: {"k": k, "n": n} for name, (k, n) in buckets.items()}
    return read_report(json.dumps(eval_report(80, 100, buckets=counts)).encode())


def test_a_bucket_of_one_side_is_named_as_not_comparable() -> None:
    there = report({"a": (5, 10), "only there": (1, 1), "other n": (9, 9)})
    here = report({"a": (7, 10), "only here": (2, 2), "other n": (10, 10)})
    losses, incomparable = module._losses(there, here)
    assert [loss.name for loss in losses] == ["a"]
    assert incomparable == ("only here", "only there", "other n")
    cost = RollbackCost(target="a" * 64, production="b" * 64, losses=losses, incomparable=incomparable)
    assert cost.sentence() == (
        "gives up 2 of 10 on a (not comparable: only here and 2 other buckets); reopens no incident"
    )


def test_reports_without_a_common_bucket_are_unknown(spine: Spine, make_bundle: Make, two: tuple[str, str]) -> None:
    folder = make_bundle(9)
    (folder / "eval_report.json").write_text(json.dumps(eval_report(95, 100, buckets={"new": {"k": 1, "n": 1}})))
    other = spine.registry.register(folder).sha
    cost = rollback_cost(spine, other)
    assert cost.unknown == "no bucket is in both evaluation reports with the same n"
    assert cost.incomparable == ("new", "tense/past_simple", "verb/go")
