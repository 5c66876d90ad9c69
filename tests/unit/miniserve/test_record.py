"""What a trace keeps of the fields that a workload adds to its answer."""

from __future__ import annotations

from miniserve.record import kept_fields


def test_scores_stay_on_the_trace_and_explanations_do_not() -> None:
    fields = {"score": 0.5, "label": "refund", "sure": True, "classes": {"a": 0.5, "b": 0.5}, "why": "w" * 65,
              "edits": ["a"], "none": None, "table": {"a": "text"}, "empty": {}}  # fmt: skip
    assert kept_fields(fields, texts=True) == {
        "score": 0.5, "label": "refund", "sure": True, "classes": {"a": 0.5, "b": 0.5}
    }  # fmt: skip
    assert kept_fields(fields, texts=False) == {"score": 0.5, "sure": True, "classes": {"a": 0.5, "b": 0.5}}
