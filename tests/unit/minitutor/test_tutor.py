"""Answers: what is in scope, what comes back, and that no text does harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minitutor import corpus, explain, parse, weights
from minitutor.answers import Answer, Probe
from minitutor.engine import Engine
from minitutor.lattice import Edit
from minitutor.problems import BadInput
from minitutor.tokenizer import Codec
from minitutor.tutor import Tutor
from minitutor.workload import Minitutor
from modelspine.workload import Answer as AskedAnswer
from modelspine.workload import Probe as AskedProbe


@pytest.fixture(scope="module")
def tutor(tiny: dict[str, Any]) -> Tutor:
    return Minitutor().load(Path(tiny["bundle"]), None)


def test_the_values_have_the_fields_of_the_protocol() -> None:
    for own, asked in ((Answer, AskedAnswer), (Probe, AskedProbe)):
        names, fields = [f.name for f in msgspec.structs.fields(own)], msgspec.structs.fields(asked)
        assert names == [f.name for f in fields][: len(names)]
        assert not any(f.required for f in fields[len(names) :]), "what a workload may leave out"


def test_an_answer_in_scope(tutor: Tutor) -> None:
    answer = tutor.answer(["She will goes home."])[0]
    assert answer.in_scope
    assert answer.accepted == (answer.output == "She will goes home.")
    assert answer.fields["spanish"] == "irá"
    assert "simple future" in answer.fields["explanation"]
    assert answer.features["error_type"] == "inflected_after_will_to"
    assert set(answer.stages) == {"tokenize", "prefill", "decode", "format"}
    assert all(seconds >= 0 for seconds in answer.stages.values())
    assert answer.input_tokens > 3
    assert answer.output_tokens >= 0


@pytest.mark.parametrize(
    "text", ["", " ", "Bonjour tout le monde.", "Where he go?", "Yesterday he go home.", "He can goes home.", "他走了"]
)
def test_out_of_scope_comes_back_as_it_was(tutor: Tutor, text: str) -> None:
    answer = tutor.answer([text])[0]
    assert answer.output == text
    assert not answer.in_scope
    assert not answer.accepted
    assert answer.features == {}
    assert answer.fields["spanish"] is None


def test_only_sentences_of_the_grid_are_touched(tutor: Tutor) -> None:
    before, after = "  Résumé: 日本 \u202e!  ", "  <eos><sep> The end…  "
    output = tutor.answer([f"{before}He go home.{after}"])[0].output
    assert output.startswith(before)
    assert output.endswith(after)


def test_a_text_that_spells_a_special_token_comes_back_with_it(tutor: Tutor) -> None:
    output = tutor.answer(["He go <sep> home <eos>."])[0].output
    assert output.startswith("He ")
    assert output.endswith(" <sep> home <eos>.")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=250), st.text(max_size=250))
def test_hostile_text_is_answered(tutor: Tutor, before: str, after: str) -> None:
    for text in (before, f"{before}he goed{after}"):
        answer = tutor.answer([text])[0]
        assert answer.in_scope or answer.output == text


def test_an_explanation_tells_what_was_done() -> None:
    parsed = parse.parse("Yesterday he goed to school.")
    assert parsed is not None
    assert explain.explanation(parsed, "went") == "“go” in the past simple with “he” is “went”, not “goed”."
    assert "Nothing to correct" in explain.explanation(parsed, "goed")
    assert "Nothing to correct" not in explain.explanation(parsed, "goed", others=True)


def test_features_say_what_was_replaced_by_what() -> None:
    text = "He go home. Yesterday she eated fish."
    parsed = parse.parse(text)
    made = [Edit(3, 5, "go", "goes"), Edit(26, 31, "eated", "ate")]
    found = explain.features(parsed, text, made)
    assert found["form"] == "go"
    assert found["answer_edits"] == "go → goes; eated → ate"
    assert "answer_edits" not in explain.features(parsed, text)


@pytest.mark.parametrize(
    ("text", "spanish"),
    [
        ("We goes home.", "vamos"),
        ("My parents was at home.", "estuvieron"),
        ("You goes home.", "vas"),
        ("Anna go.", "va"),
    ],
)
def test_the_spanish_is_the_subjects_own(text: str, spanish: str) -> None:
    parsed = parse.parse(text)
    assert parsed is not None
    assert explain.spanish(parsed) == spanish


@pytest.mark.long
def test_shuffled_weights_lose_the_accuracy(apt: dict[str, Any]) -> None:
    """The model decides, and no table: the same candidates with the same weights in another order are chosen badly."""
    items = corpus.decode((apt["folder"] / corpus.EVAL.path).read_bytes())
    rows = [row for row in items if row.text != row.correction]
    read = weights.read(Path(apt["bundle"]))
    draw = np.random.default_rng(4)
    shuffled = {name: draw.permutation(tensor.ravel()).reshape(tensor.shape) for name, tensor in read.tensors.items()}
    codec = Codec.read(Path(apt["bundle"]) / "tokenizer.json")

    def share(tensors: dict[str, Any]) -> float:
        answers = Tutor(Engine(read.shape, tensors), codec).answer([row.text for row in rows])
        return sum(answer.output == row.correction for answer, row in zip(answers, rows, strict=True)) / len(rows)

    assert share(dict(read.tensors)) > 0.7
    assert share(shuffled) < 0.4


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, random_bundle: Path) -> None:
    with pytest.raises(BadInput):
        Tutor.load(tmp_path)
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((random_bundle / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="tokenizer"):
        Tutor.load(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"context": 128', '"context": 16'))
    with pytest.raises(BadInput, match="has a context of 16 tokens"):
        Tutor.load(tmp_path)
