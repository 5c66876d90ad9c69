"""What drift is looked for in where a workload names nothing of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from miniobserve.daily import Request
from modelspine.drift.reference import Values, count
from modelspine.lineage.corpora import Corpora
from modelspine.workload import load_workload


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


def test_a_reference_is_the_same_whatever_the_format_of_the_rows(tmp_path: Path, echo: None) -> None:
    texts = ["he went", "she went to school", "they go"]
    lines = "".join(f'{{"text":"{text}"}}\n' for text in texts)
    tables = {"a.jsonl": lines, "b.csv": "id;Sentence\n" + "".join(f"1;{text}\n" for text in texts)}
    tables |= {"c.tsv": "n\tnote\tsaid\n" + "".join(f"1\tx\t{text}\n" for text in texts), "d.txt": "\n".join(texts)}
    values = Values(load_workload("echo"))
    (tmp_path / ".dvc").mkdir()
    found = []
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
        digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
        (tmp_path / f"{name}.dvc").write_text(f"outs: [{{md5: {digest}, hash: md5, path: {name}}}]\n")
        reference = count(Corpora(tmp_path, text="said" if name == "c.tsv" else ""), (digest,), values)
        found.append(msgspec.structs.replace(reference, corpora=()))
    assert found[0].n == len(texts)
    assert found == [found[0]] * len(found)
