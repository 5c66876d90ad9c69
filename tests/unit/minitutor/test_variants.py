"""INT8, LoRA and the regressed candidate, made of a tiny model by the commands a person types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minitutor import adapter, bundles, quantise, regress, weights
from minitutor.corpus import EVAL, V2, Row, decode, rows
from minitutor.problems import BadInput
from minitutor.profiles import TINY_TUNING
from minitutor.tokenizer import Codec
from minitutor.workload import Minitutor
from minitutor_cli import run_tutor
from modelspine.gate.decision import judge
from modelspine.gate.eval_report import read_report
from modelspine.identity.bundle import read_bundle

Made = dict[str, Any]


def make(parent: Made, cwd: Path, *words: str) -> Made:
    """Make a variant without a run: the story logs some, and MLflow takes seconds each time."""
    done = run_tutor(*words, "--parent", parent["bundle"], "--no-mlflow", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    found: Made = json.loads(done.stdout)
    return {**found, "bundle": str(cwd / found["bundle"])}


@pytest.fixture(scope="module")
def int8(tiny: Made, small_data: Path) -> Made:
    return make(tiny, small_data, "quantize", "--out", "int8")


@pytest.fixture(scope="module")
def tuned(tiny: Made, small_data: Path) -> Made:
    return make(tiny, small_data, "finetune", "--profile", "tiny", "--out", "lora")


@pytest.fixture(scope="module")
def regressed(apt: Made) -> Made:
    return make(apt, apt["folder"], "regress", "--seed", "3", "--out", "regressed")


def tensors(made: Made) -> dict[str, Any]:
    return dict(load_file(Path(made["bundle"]) / "model.safetensors"))


def test_int8_loses_at_most_half_a_scale_and_three_quarters_of_the_bytes(tiny: Made, int8: Made) -> None:
    stored, parent = tensors(int8), tensors(tiny)
    read = weights.read(Path(int8["bundle"])).tensors
    assert read.keys() == parent.keys()
    for name, tensor in parent.items():
        if tensor.ndim == 1:
            assert (read[name] == tensor).all()
            continue
        assert stored[name].dtype == np.int8
        scale = stored[name.removesuffix(".weight") + ".scale"]
        assert scale.shape == tensor.shape[:1]
        assert (np.abs(read[name] - tensor) <= scale[:, None] * 0.5001).all()
        assert (np.abs(stored[name]).max(axis=1) == 127).all(), "a channel that does not use its range wastes bits"
    assert int8["bytes"] < 0.4 * int8["parent_bytes"]


def test_a_channel_of_zeros_stays_zero() -> None:
    found = quantise.quantise({"a.weight": np.zeros((2, 3), np.float32)})
    assert (quantise.dequantise(found)["a.weight"] == 0).all()


@pytest.mark.parametrize("fault", ["no scale", "short scale", "lonely scale"])
def test_int8_tensors_that_do_not_fit_are_refused(int8: Made, tmp_path: Path, fault: str) -> None:
    shutil.copytree(int8["bundle"], tmp_path / "b")
    stored = tensors(int8)
    if fault == "no scale":
        del stored["embed.scale"]
    elif fault == "short scale":
        stored["embed.scale"] = stored["embed.scale"][1:].copy()
    else:
        stored["other.scale"] = stored["embed.scale"]
    save_file(stored, str(tmp_path / "b/model.safetensors"))
    with pytest.raises(BadInput, match="scale"):
        Minitutor().load(tmp_path / "b", None)


def test_an_adapter_bundle_holds_adapter_tensors_alone(tuned: Made, tiny: Made) -> None:
    stored = tensors(tuned)
    assert stored
    assert all(name.endswith((".lora_a", ".lora_b")) for name in stored)
    assert not stored.keys() & tensors(tiny).keys()
    assert not (Path(tuned["bundle"]) / "tokenizer.json").exists()
    config = json.loads((Path(tuned["bundle"]) / "config.json").read_text())
    assert (config["variant"], config["rank"], config["alpha"]) == ("lora", 8, 16)
    assert read_bundle(Path(tuned["bundle"])).parent_sha == bundles.entry_sha(Path(tiny["bundle"]))


def test_merging_adds_b_times_a_by_alpha_over_rank(tuned: Made, tiny: Made) -> None:
    parent, stored = tensors(tiny), tensors(tuned)
    merged = weights.read(Path(tuned["bundle"]), Path(tiny["bundle"])).tensors
    changed = 0
    for name, tensor in parent.items():
        a, b = (stored.get(name.removesuffix(".weight") + part) for part in (adapter.A, adapter.B))
        if a is None or b is None:
            assert (merged[name] == tensor).all()
            continue
        expected = tensor.astype(np.float64) + b.astype(np.float64) @ a.astype(np.float64) * 16 / 8
        np.testing.assert_allclose(merged[name], expected, atol=1e-5)
        changed += not np.allclose(merged[name], tensor, atol=1e-4)
    assert changed > 4


def test_merged_weights_answer_as_training_saw_them(tuned: Made, tiny: Made) -> None:
    """The layer that trains and the matrix that serves are one: x·Wᵀ + s·x·Aᵀ·Bᵀ = x·(W + s·B·A)ᵀ."""
    import torch

    from minitutor import lora  # it imports torch, which other tests of a worker do without

    linear = torch.nn.Linear(32, 32, bias=False)
    layer = lora.Adapted(linear, TINY_TUNING, torch.Generator().manual_seed(1))
    with torch.no_grad():
        layer.b.normal_(generator=torch.Generator().manual_seed(2))
    config = adapter.Adapter(rank=8, alpha=16, parent_digest="")
    own = {"x.lora_a": layer.a.detach().numpy(), "x.lora_b": layer.b.detach().numpy()}
    merged = adapter.merge(config, {"x.weight": linear.weight.detach().numpy()}, own)["x.weight"]
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(3))
    np.testing.assert_allclose(layer(x).detach().numpy(), x.numpy() @ merged.T, atol=1e-4)


def test_an_adapter_without_its_parent_or_with_another_is_refused(
    tuned: Made, regressed: Made, small_data: Path
) -> None:
    with pytest.raises(BadInput, match="is an adapter, but its parent"):
        Minitutor().load(Path(tuned["bundle"]), None)
    with pytest.raises(BadInput, match="not the parent this adapter was trained on"):
        Minitutor().load(Path(tuned["bundle"]), Path(regressed["bundle"]))
    done = run_tutor("evaluate", tuned["bundle"], cwd=small_data)
    assert done.returncode == 2
    assert "register the parent" in done.stderr


@pytest.mark.parametrize("fault", ["no half", "foreign", "shape", "dtype"])
def test_an_adapter_that_does_not_fit_its_parent_is_refused(
    tuned: Made, tiny: Made, tmp_path: Path, fault: str
) -> None:
    shutil.copytree(tuned["bundle"], tmp_path / "b")
    stored = tensors(tuned)
    name = "blocks.0.attn.q.lora_b"
    if fault == "no half":
        del stored[name]
    elif fault == "foreign":
        stored["blocks.0.attn.q.weight"] = stored[name]
    elif fault == "shape":
        stored[name] = stored[name][:-1].copy()
    else:
        stored[name] = stored[name].astype(np.float16)
    save_file(stored, str(tmp_path / "b/model.safetensors"))
    with pytest.raises(BadInput, match="cannot be loaded"):
        Minitutor().load(tmp_path / "b", Path(tiny["bundle"]))


@pytest.mark.parametrize("command", ["quantize", "finetune", "regress"])
def test_the_same_parent_and_seed_give_the_same_sha(
    command: str, tiny: Made, apt: Made, small_data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = request.getfixturevalue({"quantize": "int8", "finetune": "tuned", "regress": "regressed"}[command])
    more = {"quantize": (), "finetune": ("--profile", "tiny"), "regress": ("--seed", "3")}[command]
    parent, cwd = (apt, apt["folder"]) if command == "regress" else (tiny, small_data)
    again = make(parent, cwd, command, *more, "--out", str(tmp_path / "again"))
    assert again["run_id"] is None
    assert (again["sha"], again["weights_sha256"]) == (first["sha"], first["weights_sha256"])


def test_the_manifest_names_the_parents_run_and_the_corpora(tiny: Made, tuned: Made, int8: Made) -> None:
    for made, corpora in ((tuned, [V2.path]), (int8, ["data/train_v1.jsonl"])):
        manifest = json.loads((Path(made["bundle"]) / "train_manifest.json").read_text())
        assert manifest["parent_run_id"] == tiny["run_id"]
        assert [one["path"] for one in manifest["corpora"]] == corpora


def test_training_rows_are_the_news_and_controls_of_every_cell(small_data: Path) -> None:
    from minitutor import lora

    rows = decode((small_data / V2.path).read_bytes())
    known = frozenset(row.text for row in decode((small_data / "data/train_v1.jsonl").read_bytes()))
    mixed = lora.mixture(rows, known, TINY_TUNING, "1")

    def cells(found: list[Row]) -> set[tuple[str, str, str]]:
        return {(row.verb, row.tense, row.person) for row in found if row.text in known}

    assert cells(mixed) == cells(rows)
    assert {row.text for row in rows if row.text not in known} <= {row.text for row in mixed}
    assert mixed == lora.mixture(rows, known, TINY_TUNING, "1")
    news = [row for row in rows if row.text not in known]
    assert sum(row.text not in known for row in mixed) == TINY_TUNING.repeats * len(news)


def test_a_regressed_candidate_is_refused_on_real_counts(apt: Made, regressed: Made) -> None:
    own = (Path(regressed["bundle"]) / "eval_report.json").read_bytes()
    before = json.loads((Path(apt["bundle"]) / "eval_report.json").read_text())
    baseline = {
        "schema": "spine.baseline/1", "tolerance_pp": 2, "never_regress": [], "reason": "test", "approved_in": "",
        **{name: before[name] for name in ("entry_sha", "eval_set", "decoding", "total", "buckets", "failed",
                                           "false_accept")},
    }  # fmt: skip
    decision = judge(own, baseline=json.dumps(baseline).encode(), stable=None)
    assert decision.result == "fail"
    bucket = read_report(own).buckets["tense/past_participle"]
    assert before["buckets"]["tense/past_participle"]["k"] - bucket.k >= 0.03 * bucket.n
    done = run_tutor("evaluate", regressed["bundle"], "--json", cwd=apt["folder"])
    assert json.loads(done.stdout)["answers_sha256"] == json.loads(own)["answers_sha256"]
    same, parent = tensors(regressed), tensors(apt)
    assert [name for name in parent if not (same[name] == parent[name]).all()] == ["embed.weight"]


def test_a_model_that_knows_no_participle_cannot_be_spoiled(random_bundle: Path) -> None:
    read = weights.read(random_bundle)
    codec = Codec.read(random_bundle / "tokenizer.json")
    items = [msgspec.structs.replace(row, correction="Another sentence.") for row in rows(EVAL)[::200]]
    with pytest.raises(BadInput, match="too few to degrade"):
        regress.search(read.shape, read.tensors, codec, items, seed=1, advance=lambda *_: None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quantize", "--parent", "nowhere"), "neither a directory nor an entry"),
        (("quantize", "--parent", "data"), "is not a trained bundle"),
        (("finetune", "--parent", "tiny", "--corpus", "data/train_v1.jsonl"), "no rows that are new"),
        (("finetune", "--parent", "tiny", "--steps", "0"), "below 1"),
        (("regress", "--parent", "tiny", "--seed", "-1"), "is negative"),
        (("regress", "--parent", "tiny", "--eval-set", "none"), "cannot be read"),
        (("quantize", "--parent", "int8"), "itself a variant"),
    ],
)
def test_bad_input_is_two_lines(
    tiny: Made, int8: Made, small_data: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run_tutor(*words, "--no-mlflow", "--out", str(tmp_path / "x"), cwd=small_data)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert said in done.stderr
    assert not (tmp_path / "x").exists()
