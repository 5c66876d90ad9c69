"""Answers: what is in scope, what comes back, and that no text does harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minitutor import explain, parse
from minitutor.answers import Answer, Probe
from minitutor.problems import BadInput
from minitutor.tutor import Tutor
from minitutor.workload import Minitutor
from modelspine.workload import Answer as AskedAnswer
from modelspine.workload import Probe as AskedProbe


@pytest.fixture(scope="module")
def tutor(tiny: dict[str, Any]) -> Tutor:
    return Minitutor().load(Path(tiny["bundle"]), None)


def test_the_values_have_the_fields_of_the_protocol() -> None:
    for own, asked in ((Answer, AskedAnswer), (Probe, AskedProbe)):
        assert [f.name for f in msgspec.structs.fields(own)] == [f.name for f in msgspec.structs.fields(asked)]


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
    "text", ["", " ", "Bonjour tout le monde.", "The bus is late.", "He goes " + "very " * 95, "他走了"]
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


def test_a_text_that_spells_a_special_token_is_left_alone(tutor: Tutor) -> None:
    answer = tutor.answer(["He go <sep> home."])[0]
    assert (answer.output, answer.in_scope) == ("He go <sep> home.", False)


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
    word = explain.changed_word("He go home.", "He goes home.", 3, "go")
    assert word == "goes"
    assert explain.changed_word("He go home.", "He goes home again.", 3, "go") is None


def test_an_explanation_of_two_corrections_names_the_first() -> None:
    text, output = "He go home. Yesterday she eated fish.", "He goes home. Yesterday she ate fish."
    assert explain.changed_word(text, output, 3, "go") == "goes"
    assert explain.changed_word("I saw he works.", "I saw he worked.", 9, "works") == "worked"
    parsed = parse.parse(text)
    assert parsed is not None
    assert "“goes”, not “go”" in explain.explanation(parsed, "goes", changed=True)
    assert "Nothing to correct" not in explain.explanation(parsed, "go", changed=True)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, random_bundle: Path) -> None:
    with pytest.raises(BadInput):
        Tutor.load(tmp_path)
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((random_bundle / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match="tokenizer"):
        Tutor.load(tmp_path)
