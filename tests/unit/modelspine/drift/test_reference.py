"""What drift is looked for in where a workload names nothing of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np

from miniobserve.daily import Request
from modelspine.drift.reference import Values, count
from modelspine.drift.report import Reference
from modelspine.lineage.corpora import Corpora
from modelspine.workload import Answer, load_workload


def test_features_of_an_answer_are_no_inputs() -> None:
    workload = cast("Any", SimpleNamespace(name="plain"))
    request = Request(features={"verb": "go", "answer_edits": "goed → went"})
    assert Values(workload).of_requests([request]) == [{"verb": "go"}]


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


class Scored:
    """A workload whose answers have a score, and whose values need the text."""

    name = "scored"

    def drift_values(self, text: str | None, features: Any, accepted: bool | None) -> dict[str, Any]:
        if features.get("verb") == "break":
            raise RuntimeError
        return {"verb": features["verb"], "label": str(accepted)} | ({"token": tuple(text.split())} if text else {})


def answer(verb: str = "go", **more: Any) -> Answer:
    given = {"output": "o", "accepted": True, "in_scope": True, "input_tokens": 1, "output_tokens": 1, "stages": {}}
    fields = {"score": 0.25, "classes": {"a": 0.75, "b": 0.25}, "sure": True, "note": "n"}
    return Answer(**{**given, "fields": fields, "features": {"verb": verb}, **more})  # type: ignore[arg-type]


def test_an_answer_records_its_values_and_the_numbers_of_its_fields() -> None:
    values = Values(cast("Any", Scored()))
    made, by = values.of_answer("he goed", answer())
    assert made == {"verb": "go", "label": "True", "token": ("he", "goed"),
                    "score": 0.25, "classes.a": 0.75, "classes.b": 0.25}  # fmt: skip
    assert by == values.code
    assert "token" not in values.of_answer(None, answer())[0]
    assert values.of_answer("x", answer(in_scope=False)) == ({}, values.code)
    assert values.of_answer("x", answer("break")) == ({}, "")  # a report then makes them from the text


def test_a_workload_that_makes_vectors_is_compared_by_them_and_need_name_no_features(tmp_path: Path) -> None:
    class Embeds:
        name, text_field = "embeds", "text"

        def embed(self, text: str) -> Any:
            return np.array([len(text), text.count("o")])

        def features(self, _text: str) -> dict[str, str]:
            return {}

        def drift_row(self, _row: Any) -> dict[str, Any]:
            return {}

    content = "\n".join("o" * (number % 9) for number in range(40)) + "\n"
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "a.txt").write_text(content)
    digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    (tmp_path / "a.txt.dvc").write_text(f"outs: [{{md5: {digest}, hash: md5, path: a.txt}}]\n")
    found = count(Corpora(tmp_path), (digest,), Values(cast("Any", Embeds())))
    assert found.embedding is not None
    assert list(found.embedding.bins) == ["embedding distance", "embedding axis 1", "embedding axis 2"]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Reference) == found


def test_recorded_values_are_used_unless_other_code_made_them() -> None:
    values = Values(cast("Any", Scored()))
    kept = Request(input="he goes", features={"verb": "go"}, values={"token": ["was", "kept"]}, values_by=values.code)
    old = msgspec.structs.replace(kept, values_by="0" * 16, accepted=False)
    assert values.of_requests([kept]) == [{"token": ("was", "kept")}]
    assert values.of_requests([old]) == [{"verb": "go", "label": "False", "token": ("he", "goes")}]
