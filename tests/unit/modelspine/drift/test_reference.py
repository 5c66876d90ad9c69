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
