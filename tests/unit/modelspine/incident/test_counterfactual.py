"""Stored texts put to two entries: what users would have been told by the other one."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine import answering as module
from modelspine.errors import BadInput, Refused, Unavailable
from modelspine.identity.private_copies import PrivateCopies
from modelspine.incident import counterfactual as traffic
from modelspine.incident import stored_requests as stored_module
from modelspine.incident.counterfactual import basis, counterfactual, preview, sentence
from modelspine.incident.stored_requests import Most
from modelspine.ledger.route import assign
from modelspine.spine import Spine, open_spine
from modelspine.words import Words, use

Make = Callable[..., Path]
TEXTS = ["goed one", "goed two", "GOOD", "walk three"]


@pytest.fixture
def spine(echo: None, project: Path) -> Iterator[Spine]:
    """The project's spine, on the second workload."""
    with open_spine(project) as opened:
        yield opened


@pytest.fixture
def two(spine: Spine, make_bundle: Make) -> tuple[str, str]:
    """An entry that leaves every text alone and one that is right, in production."""
    shas = []
    for number, semver in ((-1, "v0.1.0"), (1, "v0.2.0")):
        sha = spine.registry.register(make_bundle(number)).sha
        spine.registry.promote(sha, semver, reason="a test")
        shas.append(sha)
    spine.routing.single(shas[1], reason="a test")
    return shas[0], shas[1]


@pytest.fixture
def stored(spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Five requests of two learners, one more whose text was not kept, one copy for a shadow."""
    leave(spine, [(text, user, {}) for text, user in zip([*TEXTS, "goed one"], "aabba", strict=True)])
    leave(spine, [(None, "a", {"input_sha256": "0" * 64}), ("goed one", "c", {"shadow_of": "req-x"})])


def leave(spine: Spine, requests: list[tuple[str | None, str, dict[str, Any]]]) -> None:
    route = spine.registry.route()
    assert route is not None
    writer = TraceWriter(spine.settings.traces)
    for text, user, more in requests:
        trace = Trace(
            request_id=f"req-{time.monotonic_ns()}", trace_id="0" * 32, span_id="0" * 16, started_ns=time.time_ns(),
            entry_sha=route.stable.sha, intended_sha=route.stable.sha, semver="v0.2.0",
            assignment=assign(route, user, sticky=True), unit_hash=user, input=text, output="",
        )  # fmt: skip
        writer.submit(msgspec.structs.replace(trace, **more)).result(5)
    writer.close()


def graded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the workload an oracle: a text is right in capitals. "walk" it cannot judge."""

    def grade(_workload: object, text: str, output: str) -> bool | None:
        return None if text.startswith("walk") else output == text.upper()

    monkeypatch.setattr(module, "grade", grade)


def test_each_request_is_counted_once_with_what_both_would_have_said(
    spine: Spine, two: tuple[str, str], stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded(monkeypatch)
    done: list[tuple[int, int]] = []
    found = counterfactual(spine, *two, since=None, progress=lambda *at: done.append(at))
    assert (found.requests, found.texts, found.without_text, found.ungraded) == (5, 4, 1, 1)
    assert (found.differ, found.both_right, found.neither) == (4, 1, 0)
    assert (found.a.right, found.a.only_right, found.a.false_accepts) == (1, 0, 3)
    assert (found.b.right, found.b.only_right, found.b.false_accepts) == (4, 3, 0)
    assert found.b.mistakes == ()
    assert [(mistake.requests, mistake.users) for mistake in found.a.mistakes] == [(2, 1), (1, 1)]
    assert [mistake.examples for mistake in found.a.mistakes] == [("goed one",), ("goed two",)]
    assert done[-1] == (4, 4)
    assert sentence(found, "v0.1.0", "v0.2.0").startswith(
        "had v0.1.0 answered instead of v0.2.0, 1 user would have been told that "
    )
    use(lambda: Words(unit="learner"))
    assert "1 learner would have been told that " in sentence(found, "v0.1.0", "v0.2.0")
    spine.speak()


def test_the_order_of_the_two_does_not_change_the_finding(
    spine: Spine, two: tuple[str, str], stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded(monkeypatch)
    one = counterfactual(spine, *two, since=None, progress=lambda *_: None)
    other = counterfactual(spine, *reversed(two), since=None, progress=lambda *_: None)
    assert (one.a, one.b) == (other.b, other.a)
    assert sentence(one, "x", "y") == sentence(other, "y", "x")


def test_workers_give_the_same_as_one_process(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(spine, [(f"text {n}", "a", {}) for n in range(150)])
    alone = counterfactual(spine, *two, since=None, progress=lambda *_: None)
    monkeypatch.setattr(module, "_FEW", 10)
    assert counterfactual(spine, *two, since=None, progress=lambda *_: None, workers=2) == alone
    assert alone.differ == 150


def test_a_preview_says_what_learners_would_have_been_told_lately(
    spine: Spine, two: tuple[str, str], stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, the workload's oracle included."""
    monkeypatch.setenv("ECHO_JUDGES", "1")
    made = preview(spine, "v0.1.0", lambda *_: None)
    assert made.found is not None
    assert (made.target, made.production) == two
    assert (made.found.a.right, made.found.b.right, made.found.ungraded) == (1, 4, 1)
    assert made.sentence == (
        "had v0.1.0 answered instead of v0.2.0, 1 user would have been told that goed one → GOED is right, and 1 other "
        "kind of mistake; right answers to 4 requests: 4 → 1; 1 request kept no text"
    )


def test_a_preview_reads_the_newest_requests_and_says_so(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_JUDGES", "1")
    leave(spine, [(f"text {n}", "a", {}) for n in range(6)])
    monkeypatch.setattr(traffic, "RECENT", Most(requests=20, texts=4))
    made = preview(spine, "v0.1.0", lambda *_: None)
    assert made.found is not None
    assert (made.found.requests, made.found.texts, made.found.older) == (4, 4, True)
    assert "right answers to the newest 4 requests: 4 → 0" in made.sentence
    monkeypatch.setattr(traffic, "RECENT", Most(requests=3, texts=4))
    made = preview(spine, "v0.1.0", lambda *_: None)
    assert made.found is not None
    assert (made.found.requests, made.found.older) == (3, True)


def test_a_preview_counts_only_what_was_answered_in_time(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(spine, [(text, "a", {}) for text in ("old", "new", "new")])
    reply = module.Reply("new", accepted=True, right=False)
    monkeypatch.setattr(traffic, "answered_within", lambda *_: [(reply, reply._replace(accepted=False))])
    made = preview(spine, "v0.1.0", lambda *_: None)
    assert made.found is not None
    assert (made.found.requests, made.found.texts, made.found.unasked) == (2, 1, 1)
    assert "not asked for lack of time: 1 request" in basis(made.found)
    assert "the newest 2 requests" in made.sentence


def test_a_preview_that_cannot_be_made_says_why(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = preview(spine, "v0.1.0", lambda *_: None).sentence
    assert said.startswith("not checked: "), "no traces"
    leave(spine, [(None, "a", {"input_sha256": "0" * 64})])
    said = preview(spine, "v0.1.0", lambda *_: None).sentence
    assert said == "not checked: there is no stored request to put to the two; 1 request kept no text"
    leave(spine, [("one", "a", {})])
    monkeypatch.setattr(spine, "settings", msgspec.structs.replace(spine.settings, workload="nobody"))
    assert "not checked: no workload named 'nobody'" in preview(spine, "v0.1.0", lambda *_: None).sentence
    assert preview(spine, "production", lambda *_: None).sentence == "not checked: it is in production already"


def test_nothing_is_written_to_the_traces(spine: Spine, two: tuple[str, str], stored: None) -> None:
    before = spine.traces.list(limit=100)
    counterfactual(spine, *two, since=None, progress=lambda *_: None)
    assert spine.traces.list(limit=100) == before


def test_without_a_text_there_is_nothing_to_ask(spine: Spine, two: tuple[str, str], stored: None) -> None:
    with pytest.raises(BadInput, match="no stored request"):
        counterfactual(spine, *two, since="2999-01-01", progress=lambda *_: None)


def test_the_error_of_a_worker_arrives_with_its_message_and_hint(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = pickle.loads(pickle.dumps(Refused("what", "how")))
    assert (type(error), error.message, error.hint) == (Refused, "what", "how")
    leave(spine, [(f"text {n}", "a", {}) for n in range(150)])
    monkeypatch.setattr(module, "_FEW", 10)
    # The folders of no bundle: every worker fails as it loads.
    monkeypatch.setattr(PrivateCopies, "both", lambda *_: (Path("/nowhere"), None))
    with pytest.raises(Unavailable, match="the workload echo failed: FileNotFoundError") as caught:
        counterfactual(spine, *two, since=None, progress=lambda *_: None, workers=2)
    assert caught.value.hint


def test_a_store_that_is_lost_in_the_middle_leaves_a_preview_unchecked(
    spine: Spine, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second page of requests does not come; nothing that was read before it is told as a finding."""
    leave(spine, [(f"text {n}", "a", {}) for n in range(4)])
    monkeypatch.setattr(stored_module, "_PAGE", 2)
    real, pages = spine.traces.list, []

    def lost(**more: Any) -> Any:
        pages.append(more)
        if len(pages) == 2:
            raise StorageError("lost", "the connection broke", "try again")
        return real(**more)

    monkeypatch.setattr(spine.traces, "list", lost)
    made = preview(spine, "v0.1.0", lambda *_: None)
    assert made.found is None
    assert made.sentence.startswith("not checked: ")
    assert "the connection broke" in made.sentence
