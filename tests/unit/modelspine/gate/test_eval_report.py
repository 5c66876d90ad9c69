"""Reports are read strictly, and their views as attributes."""

from __future__ import annotations

import json

import pytest

from bundles import eval_report
from modelspine.errors import BadInput
from modelspine.gate.eval_report import Count, read_report


def test_a_report_reads_back_with_its_views() -> None:
    report = read_report(json.dumps(eval_report(95, 100)).encode())
    assert report.total == Count(95, 100)
    assert report.accuracy == 0.95
    assert report.accuracy_by_verb == {"go": 0.95}
    with pytest.raises(AttributeError, match="its views are accuracy_by_verb"):
        _ = report.accuracy_by_tense


def test_unknown_fields_are_ignored() -> None:
    assert read_report(json.dumps(eval_report(1, 2, surprise=[1])).encode()).total.k == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff",
        json.dumps({**eval_report(1, 2), "schema": "spine.eval/2"}).encode(),
        json.dumps({**eval_report(1, 2), "total": {"k": "1", "n": 2}}).encode(),
        json.dumps({**eval_report(1, 2), "buckets": {"verb/go": {"k": 1}}}).encode(),
        json.dumps({k: v for k, v in eval_report(1, 2).items() if k != "eval_set"}).encode(),
        b'{"schema": NaN}',
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read_report(raw)
    assert caught.value.hint


def test_nothing_counted_is_no_ratio() -> None:
    assert Count(0, 0).ratio is None
