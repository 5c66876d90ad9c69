"""Grading an answer: an optional method of a workload, on which no answer may depend."""

from __future__ import annotations

from typing import Any

import pytest

from modelspine.workload import grade


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
