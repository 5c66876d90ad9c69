"""A small trained bundle and a large random one, made once a session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from minitutor import bundles, corpus
from minitutor.model_shape import Shape
from minitutor.tokenizer import Codec, learn
from minitutor.tutor import Tutor
from minitutor_cli import run_tutor
from scratch_project import four_verbs
from session_folder import session_folder


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's data folder with a part of v1, some rows that only v2 has, and a part of the eval set."""
    return session_folder(tmp_path_factory, "small", _write_small_data)


def _write_small_data(root: Path) -> None:
    (root / ".git").mkdir()
    (root / "data").mkdir()
    for design, step in ((corpus.V1, 4), (corpus.EVAL, 11)):
        (root / design.path).write_bytes(corpus.canonical(corpus.rows(design)[::step]))
    known, news = (root / corpus.V1.path).read_bytes(), corpus.rows(corpus.V2)
    new = [row for row in news if "went" in f"{row.text} {row.correction}"][::4]
    (root / corpus.V2.path).write_bytes(known + corpus.canonical(new))


@pytest.fixture(scope="session")
def tiny(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What training the tiny profile printed, with the home its run was logged in."""

    def train(home: Path) -> None:
        words = ("train", "--profile", "tiny", "--json", "--out", "tiny", "--home", str(home))
        _train(words, small_data, home / "printed.json")

    home = session_folder(tmp_path_factory, "tiny", train)
    found: dict[str, Any] = json.loads((home / "printed.json").read_text())
    return {**found, "bundle": str(small_data / found["bundle"]), "home": str(home)}


@pytest.fixture(scope="session")
def apt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tiny model that knows its four verbs well enough to have answers that can be spoiled."""
    folder = four_verbs(tmp_path_factory)
    return {**json.loads((folder / "printed.json").read_text()), "bundle": str(folder / "good"), "folder": folder}


def _train(words: Sequence[str], cwd: Path, printed: Path) -> None:
    done = run_tutor(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    printed.write_text(done.stdout)


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the full shape with random weights: its answers are nonsense, its arithmetic is the real one."""
    return session_folder(tmp_path_factory, "random-bundle", _write_random_bundle)


def _write_random_bundle(folder: Path) -> None:
    tokenizer = learn([row.text for row in corpus.rows(corpus.V1)[::3]], 1024)
    shape = Shape(vocab_size=Codec.of(tokenizer).size)
    draw = np.random.default_rng(5)
    tensors = {name: _random(draw, size) for name, size in sizes(shape).items()}
    bundles.write_model(folder, shape, tensors, tokenizer)
    assert msgspec.json.decode((folder / "config.json").read_bytes(), type=Shape) == shape


@pytest.fixture(scope="session")
def random_tutor(random_bundle: Path) -> Tutor:
    return Tutor.load(random_bundle)


def sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    d = shape.d_model
    found: dict[str, tuple[int, ...]] = {"embed.weight": (shape.vocab_size, d), "norm.weight": (d,)}
    for n in range(shape.n_layers):
        found |= {f"blocks.{n}.attn.{name}.weight": (d, d) for name in "qkvo"}
        found |= {f"blocks.{n}.{name}.weight": (d,) for name in ("attn_norm", "mlp_norm")}
        found[f"blocks.{n}.mlp.fc.weight"] = (shape.d_ff, d)
        found[f"blocks.{n}.mlp.proj.weight"] = (d, shape.d_ff)
    return found


def _random(draw: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.float32]:
    """A matrix of unit gain, or a norm's gain near 1."""
    drawn = draw.standard_normal(size)
    found: NDArray[np.float32] = (1 + 0.1 * drawn if len(size) == 1 else drawn * size[1] ** -0.5).astype(np.float32)
    return found
