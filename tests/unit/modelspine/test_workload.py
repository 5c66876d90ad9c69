"""Which workload answers, and grading: an optional method of a workload, on which no answer may depend."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from modelspine.errors import BadInput
from modelspine.workload import grade, load_workload


class Graded:
    """A workload, as far as grading goes."""

    def __init__(self, said: Any) -> None:
        self._said = said

    def grade(self, text: str, output: str) -> Any:
        """What it was told to say."""
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), (None, None), (ValueError("x"), None)])
def test_grades(said: Any, expected: bool | None) -> None:
    assert grade(Graded(said), "a", "b") is expected  # type: ignore[arg-type]


def test_a_workload_without_an_oracle_grades_nothing() -> None:
    assert grade(object(), "a", "b") is None  # type: ignore[arg-type]


def test_the_only_workload_that_is_installed_needs_no_name(monkeypatch: pytest.MonkeyPatch, echo: None) -> None:
    with pytest.raises(BadInput, match=r"no workload is set.*installed: echo, minitutor"):
        load_workload("")
    assert load_workload("echo").name == "echo"
    monkeypatch.undo()
    monkeypatch.setattr("sys.path", [folder for folder in sys.path if "fixtures" not in folder])
    assert load_workload("").name == "minitutor"
    with pytest.raises(BadInput, match="no workload named 'x'"):
        load_workload("x")
