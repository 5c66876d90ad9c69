"""What a bundle is read into, and that real libraries' files have the identity of the recipe."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

import forge
import second_identity
from modelspine.errors import BundleRefused, Unavailable
from modelspine.identity.bundle import Bundle, file_identity, read_bundle

PARENT = "ab" * 32
TENSORS: forge.Tensors = {"w": ("F32", [2, 2], bytes(16)), "b": ("I8", [3], b"\1\2\3"), "empty": ("U8", [0], b"")}


def files(config: object = None, **more: object) -> dict[str, bytes]:
    texts = {f"{name}.json": json.dumps(value).encode() for name, value in more.items()}
    return {"model.safetensors": forge.plain(TENSORS), "config.json": json.dumps(config or {"d": 4}).encode(), **texts}


def make(folder: Path, **more: object) -> Bundle:
    return read_bundle(forge.write(folder, files(**more)))


def test_it_holds_the_tensor_table_the_files_and_the_evidence(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b", train_manifest={"parent_sha": PARENT}, eval_report={"k": 1}, tokenizer={"t": 1})
    assert [(t.name, t.dtype, t.shape, t.size) for t in bundle.tensors] == [
        ("b", "I8", (3,), 3),
        ("empty", "U8", (0,), 0),
        ("w", "F32", (2, 2), 16),
    ]
    assert bundle.tensors[0].data_sha256 == hashlib.sha256(b"\1\2\3").hexdigest()
    assert bundle.config_json == {"d": 4}
    assert bundle.parent_sha == PARENT
    assert bundle.evidence == {
        "train_manifest.json": b'{"parent_sha": "%s"}' % PARENT.encode(),
        "eval_report.json": b'{"k": 1}',
    }
    by_name = {file.name: file for file in bundle.files}
    assert by_name["eval_report.json"].sha256 == hashlib.sha256(b'{"k": 1}').hexdigest()
    assert by_name["model.safetensors"].sha256 is None
    assert sum(file.size for file in bundle.files) == sum(p.stat().st_size for p in (tmp_path / "b").iterdir())


def test_parent_tokenizer_config_and_any_byte_of_a_tensor_are_identity(tmp_path: Path) -> None:
    shas = {
        make(tmp_path / "plain").sha,
        make(tmp_path / "parent", train_manifest={"parent_sha": PARENT}).sha,
        make(tmp_path / "tokenizer", tokenizer={}).sha,
        make(tmp_path / "config", config={"d": 5}).sha,
    }
    for at in range(1, 20):
        content = bytearray(files()["model.safetensors"])
        content[-at] ^= 1
        shas.add(read_bundle(forge.write(tmp_path / f"byte{at}", {**files(), "model.safetensors": bytes(content)})).sha)
    assert len(shas) == 4 + 19


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_change_nothing(tmp_path: Path, threads: int) -> None:
    tensors: forge.Tensors = {
        f"t{i}": ("U8", [n], bytes([i]) * n) for i, n in enumerate([3_000_000, 0, 1, 2_000_001, 65_536, 65_537, 9])
    }
    folder = forge.write(tmp_path / "b", {"model.safetensors": forge.plain(tensors), "config.json": b"{}"})
    expected = second_identity.identity({p.name: p.read_bytes() for p in folder.iterdir()})
    assert read_bundle(folder, threads=threads).sha == expected
    assert read_bundle(folder, store=tmp_path / "copy", threads=threads).sha == expected
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_copy_holds_the_bundle_and_nothing_else(tmp_path: Path) -> None:
    source = forge.write(tmp_path / "b", {**files(eval_report={}), "README.md": b"x", "optimizer.pt": b"\x80"})
    (source / "checkpoints").mkdir()
    (source / ".git" / "objects").mkdir(parents=True)
    bundle = read_bundle(source, store=tmp_path / "copy")
    assert {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()} == files(eval_report={})
    assert bundle.by_products == (".git/", "README.md", "optimizer.pt")
    stored = msgspec.structs.replace(bundle, by_products=())
    assert read_bundle(tmp_path / "copy") == stored
    with pytest.raises(Unavailable):
        read_bundle(source, store=tmp_path / "copy")
    assert read_bundle(tmp_path / "copy") == stored


def test_a_path_goes_by_the_digest_of_what_it_is(tmp_path: Path) -> None:
    bundle = make(tmp_path / "b")
    assert file_identity(tmp_path / "b") == bundle.sha
    assert file_identity(tmp_path / "b" / "model.safetensors") == bundle.weights
    assert file_identity(tmp_path / "b" / "config.json") == hashlib.sha256(b'{"d": 4}').hexdigest()
    for wrong in ("absent", "absent.safetensors", "nul\0", "nul\0.safetensors"):
        with pytest.raises(BundleRefused):
            file_identity(tmp_path / wrong)


@pytest.mark.long
def test_files_of_real_libraries_have_the_recipes_identity(tmp_path: Path) -> None:
    import numpy as np
    import torch
    from safetensors.numpy import save_file
    from safetensors.torch import save_file as save_torch

    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1, 2], dtype=np.int64)}
    shas = set()
    for at, save in enumerate((lambda p: save_file(arrays, p), lambda p: save_file(arrays, p, {"made": "twice"}))):
        folder = forge.write(tmp_path / f"np{at}", {"config.json": b"{}"})
        save(folder / "model.safetensors")
        shas.add(read_bundle(folder).sha)
    folder = forge.write(tmp_path / "torch", {"config.json": b"{}"})
    save_torch({k: torch.from_numpy(v) for k, v in arrays.items()}, folder / "model.safetensors", {"format": "pt"})
    shas.add(read_bundle(folder).sha)
    assert shas == {second_identity.identity({p.name: p.read_bytes() for p in folder.iterdir()})}


def test_torch_dtypes_below_two_bytes_are_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    kinds = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool, torch.uint16)
    folder = forge.write(tmp_path / "b", {"config.json": b"{}"})
    save_file({str(kind): torch.zeros(8, dtype=kind) for kind in kinds}, folder / "model.safetensors")
    bundle = read_bundle(folder)
    assert [t.dtype for t in bundle.tensors] == ["BF16", "BOOL", "F8_E4M3", "F8_E5M2", "U16"]
