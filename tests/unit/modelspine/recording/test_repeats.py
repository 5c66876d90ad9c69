"""A batch that is run twice counts once; another request under a used id is stored under a new one, and it is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import modelspine
from miniobserve.traces import Trace
from modelspine.cli import main
from modelspine.process_recorder import ProcessRecorder, close_all
from modelspine.recording.recorder import Heard
from modelspine.registry.claims import claim
from modelspine.spine import open_spine
from own_project import own_project


@pytest.fixture(scope="module", params=["full", "hash", "none"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of each text policy."""
    return own_project(tmp_path_factory.mktemp("repeats") / "project", policy=request.param)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def told(root: Path, asked: object, answer: str, request_id: str, entry: str | None = None) -> str:
    with modelspine.request(asked, request_id=request_id, root=root) as r:
        r.output(answer, entry=entry)
    return r.id


def test_a_batch_that_is_run_twice_counts_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [(f"batch-{number:04}", {"body": f"text {number}", "lang": "de"}) for number in range(5)]
    for _ in range(2):
        assert [told(root, asked, "spam", name) for name, asked in rows] == [name for name, _ in rows]
        close_all()
    with open_spine(root, readonly=True) as spine:
        found = [trace.request_id for trace in spine.traces.list(limit=1_000).traces]
    assert sorted(name for name in found if name.startswith("batch")) == [name for name, _ in rows]
    assert len(found) == len(set(found)) == 5
    assert not caplog.records


async def test_another_answer_under_a_used_id_is_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = {"body": "same", "lang": "de"}
    assert told(root, first, "spam", "my-request-1") == "my-request-1"
    fresh = [
        told(root, first, "fine", "my-request-1"),
        told(root, {"body": "other", "lang": "en"}, "spam", "my-request-1"),
        told(root, first, "spam", "my-request-1", entry="v0.2.0"),
    ]
    assert "my-request-1" not in fresh
    assert len(set(fresh)) == 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert (
        f"request id my-request-1 is in use for another request or answer, so this one is stored as {fresh[0]}" in said
    )
    async with modelspine.request(first, request_id="my-request-1", root=root) as r:
        r.output("spam")
    assert r.id == "my-request-1"
    async with modelspine.request(first, request_id="my-request-1", root=root) as r:
        r.output("fine")
    assert r.id not in {"my-request-1", *fresh}
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(fresh[0]).retry_of == "my-request-1"
        assert spine.trace("my-request-1").features["answer_label"] == "spam"


def test_a_repeat_is_known_after_claims_of_its_name_and_another_route(root: Path) -> None:
    asked = {"body": "claimed", "lang": "de"}

    def again() -> str:
        close_all()  # so that the claim is read
        return told(root, asked, "spam", "my-claimed-1", entry="tickets-prod")

    assert again() == "my-claimed-1"
    with open_spine(root) as spine:
        for ref in ("v0.1.0", "v0.2.0"):
            claim(spine.registry, "tickets-prod", ref, reason="the name in our service")
            assert again() == "my-claimed-1"
        spine.routing.ab("v0.2.0", reason="two arms", weight_bp=5_000)
    assert again() == "my-claimed-1"
    assert told(root, asked, "spam", "my-claimed-1", entry="v0.2.0") != "my-claimed-1", "it is another name"


def test_a_workload_that_fails_costs_what_was_told_and_no_trace(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(root, "first", "spam", "my-failing-1") == "my-failing-1"
    made, calls = ProcessRecorder.trace, []

    def failing(recorder: ProcessRecorder, heard: Heard, *seen: Any) -> Trace:
        calls.append(heard.request)
        if heard.request is not None:
            raise RuntimeError("foreign code")
        return made(recorder, heard, *seen)

    monkeypatch.setattr(ProcessRecorder, "trace", failing)
    fresh = told(root, "second", "spam", "my-failing-1")
    assert fresh != "my-failing-1"
    assert "second" in calls
    with open_spine(root, readonly=True) as spine:
        assert "the request cannot be read: RuntimeError" in spine.trace(fresh).fields["unread"]
    assert "could not be recorded" not in caplog.text


def test_an_id_stays_in_use_when_its_day_is_exported_and_pruned(root: Path) -> None:
    def old(answer: str) -> str:
        asked, at = {"body": "old", "lang": "de"}, datetime(2026, 3, 2, 9, tzinfo=UTC)
        with modelspine.request(asked, request_id="my-exported-1", at=at, root=root) as r:
            r.output(answer)
        close_all()
        return r.id

    assert old("spam") == "my-exported-1"
    assert main(["--root", str(root), "traces", "export", "--day", "2026-03-02", "--prune"]) == 0
    assert old("spam") == "my-exported-1"
    assert old("fine") != "my-exported-1"
