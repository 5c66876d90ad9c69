"""What drift is looked for in where a workload names nothing of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from miniobserve.daily import Request
from modelspine.drift.reference import Values


def test_features_of_an_answer_are_no_inputs() -> None:
    workload = cast("Any", SimpleNamespace(name="plain"))
    request = Request(features={"verb": "go", "answer_edits": "goed → went"})
    assert Values(workload).of_requests([request]) == [{"verb": "go"}]


def test_a_retry_without_a_learner_is_of_the_unit_of_its_first_attempt() -> None:
    """Otherwise somebody who tries again counts as several learners, and the interval is too narrow."""
    first = Request(request_id="req-first", entry_sha="e", graded=True)
    again = Request(request_id="req-again", entry_sha="e", graded=True, retry_of="req-first")
    other = Request(request_id="req-other", entry_sha="e", graded=True)
    found = Values(cast("Any", SimpleNamespace(name="plain"))).graded([first, again, other])
    assert {key.unit: n for key, n in found.items()} == {"req-first": 2, "req-other": 1}
