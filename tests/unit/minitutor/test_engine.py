"""The NumPy engine: the same bits in any batch, the same scores alone or together, the same scores as torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minitutor import corpus, lattice, weights
from minitutor.decode import Item
from minitutor.engine import Engine
from minitutor.problems import BadInput
from minitutor.tokenizer import EOS_ID, Codec
from minitutor.tutor import Tutor


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [row.text for row in corpus.rows(corpus.EVAL)[::101]]


def items(bundle: Path, texts: list[str]) -> list[Item]:
    codec = Codec.read(bundle / "tokenizer.json")
    return [Item(arc.prompt, arc.forms) for text in texts for arc in lattice.arcs(text, codec)]


@pytest.mark.parametrize("number", [1, 3, 16, 32])
@pytest.mark.parametrize("time", [8, 24, 40])
def test_states_have_the_same_bits_in_any_batch(random_tutor: Tutor, number: int, time: int) -> None:
    engine = random_tutor.decoder.engine
    draw = np.random.default_rng(number * time)
    ids = draw.integers(3, engine.shape.vocab_size, (number, time))
    line = np.broadcast_to(np.arange(time), ids.shape)
    sees = np.broadcast_to(np.tri(time, dtype=np.bool_), (number, time, time))
    together = engine.hidden(ids, line, sees)
    scores = engine.logits(together)
    for n in draw.permutation(number):
        alone = engine.hidden(ids[n : n + 1], line[:1], sees[:1])
        assert np.array_equal(alone[0].view(np.uint32), together[n].view(np.uint32))
        assert np.array_equal(engine.logits(alone)[0].view(np.uint32), scores[n].view(np.uint32))


def answers(tutor: Tutor, texts: list[str], size: int) -> dict[str, str]:
    found = [answer.output for at in range(0, len(texts), size) for answer in tutor.answer(texts[at : at + size])]
    return dict(zip(texts, found, strict=True))


def test_an_answer_does_not_depend_on_its_neighbours(
    random_tutor: Tutor, tiny: dict[str, Any], texts: list[str]
) -> None:
    for tutor in (random_tutor, Tutor.load(Path(tiny["bundle"]))):
        alone = answers(tutor, texts, 1)
        assert len(set(alone.values())) > 5
        for size in (3, 16, 32):
            order = np.random.default_rng(size).permutation(len(texts))
            assert answers(tutor, [texts[at] for at in order], size) == alone


def test_branches_of_one_pass_score_what_each_form_scores_alone(
    random_bundle: Path, tiny: dict[str, Any], texts: list[str]
) -> None:
    for bundle in (random_bundle, Path(tiny["bundle"])):
        decoder = Tutor.load(bundle).decoder
        for item in items(bundle, texts):
            together = decoder.choose([item])[0]
            alone = [decoder.choose([Item(item.prompt, [form])])[0].scores[0] for form in item.forms]
            assert together.scores == pytest.approx(alone, abs=1e-3)
            assert together.at == int(np.argmax(together.scores))


@pytest.mark.long
def test_scores_agree_with_torch(random_bundle: Path, texts: list[str]) -> None:
    """In a process of its own: torch stays out of this one."""
    asked = [[item.prompt, item.forms] for item in items(random_bundle, texts[:12])]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _TORCH,
            str(random_bundle),
            json.dumps(asked),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    worst, compared = json.loads(done.stdout)
    assert EOS_ID == 2, "the program above ends a form with it"
    assert compared > 50
    assert worst < 1e-3


_TORCH = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from minitutor.decode import Item
from minitutor.model import MiniGpt
from minitutor.tutor import Tutor
bundle = Path(sys.argv[1])
decoder = Tutor.load(bundle).decoder
model = MiniGpt(decoder.engine.shape, torch.Generator().manual_seed(0))
model.load_state_dict(load_file(bundle / "model.safetensors"))
worst, compared = 0.0, 0
with torch.no_grad():
    for prompt, forms in json.loads(sys.argv[2]):
        scores = decoder.choose([Item(prompt, forms)])[0].scores
        for form, score in zip(forms, scores):
            ids = torch.tensor([[*prompt, *form]])
            states = model(ids, torch.arange(ids.shape[1])[None])[0, len(prompt) - 1:]
            expected = model.logits(states).log_softmax(-1)
            wanted = torch.tensor([*form, 2])
            worst = max(worst, abs(float(expected[torch.arange(len(wanted)), wanted].sum()) - score))
            compared += 1
print(json.dumps([worst, compared]))
"""


def test_answering_imports_no_torch(random_bundle: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from minitutor.workload import Minitutor;"
        "light = 'numpy' in sys.modules;"
        "answer = Minitutor().load(Path(sys.argv[1]), None).answer(['Yesterday he goed to school.'])[0];"
        "print(light, 'torch' in sys.modules, 'numpy' in sys.modules, answer.in_scope)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(random_bundle)], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "True", "True"], done.stderr


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "dtype", "nan"])
def test_tensors_that_do_not_fit_are_refused(random_bundle: Path, tmp_path: Path, fault: str) -> None:
    tensors = dict(load_file(random_bundle / "model.safetensors"))
    name = "blocks.1.attn.k.weight"
    if fault == "missing":
        del tensors[name]
    elif fault == "extra":
        tensors["blocks.9.attn.k.weight"] = tensors[name]
    elif fault == "shape":
        tensors[name] = tensors[name][:, :-1].copy()
    elif fault == "dtype":
        tensors[name] = tensors[name].astype(np.float16)
    else:
        tensors[name][0, 0] = np.nan
    save_file(tensors, str(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_bytes((random_bundle / "config.json").read_bytes())
    with pytest.raises(BadInput, match="cannot be loaded"):
        Engine.of(weights.read(tmp_path), tmp_path)
