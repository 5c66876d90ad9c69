"""A result of another tool, given where a report was expected, names the command that converts it."""

from __future__ import annotations

import json

import pytest

from gating import baseline, raw, report_dict
from modelspine.gate.decision import judge
from modelspine.gate.foreign import guess_format

CASES = {
    "lm-eval": b'{"results": {"toy": {"acc,none": 0.95}}}',
    "lm-eval samples": b'{"doc_id": 0, "doc": {}, "acc": 1.0}\n{"doc_id": 1, "doc": {}, "acc": 0.0}\n',
    "lm-eval one sample": b'{"doc_id": 0, "doc": {}, "acc": 1.0}\n',
    "sklearn": b'{"a": {"recall": 1.0}, "accuracy": 1.0, "macro avg": {"recall": 1.0}}',
    "hf": b'{"accuracy": 0.9, "_timestamp": "now"}',
    "jsonl": b'{"id": 1, "right": true}\n{"id": 2, "right": false}\n',
    "jsonl as a list": b'[{"id": 1, "right": true}]',
    "csv": b"id,prediction,label\n1,a,a\n",
    "csv with semicolons": "\ufeffid;prediction;label\n1;a;a\n".encode(),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gate_names_the_converter(name: str) -> None:
    wanted = "lm-eval" if name.startswith("lm-eval") else name.split(maxsplit=1)[0]
    assert guess_format(CASES[name]) == wanted
    made = judge(CASES[name], baseline=baseline(), stable=None)
    assert made.result == "error"
    assert f"`spine eval import FILE --format {wanted}`" in made.reasons[0]


@pytest.mark.parametrize(
    "damaged",
    [
        b"", b"\n", b"null", b"[]", b"[1, 2]", b'"x"', b"7", b"{}", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": [',
        b"a single line", b"," * 10, b"a,b" + b"x" * 200_000, raw(report_dict())[:-2], raw(report_dict()) * 2,
        json.dumps(report_dict(schema="spine.eval/2")).encode(), json.dumps(report_dict(), indent=1).encode()[:-5],
    ],
    ids=range(19),
)  # fmt: skip
def test_what_is_no_foreign_result_gets_no_such_hint(damaged: bytes) -> None:
    assert guess_format(damaged) is None
    made = judge(damaged, baseline=baseline(), stable=None)
    assert made.result == "error"
    assert "import" not in made.reasons[0]
