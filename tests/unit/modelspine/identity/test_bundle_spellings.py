"""One model has one SHA however it is spelled, and two models have two: against a second implementation."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge
import second_identity
from modelspine.canonical_json import canonical, parse_json
from modelspine.identity.bundle import read_bundle

TENSORS: forge.Tensors = {
    "embed.weight": ("F32", [4, 3], bytes(range(48))),
    "blocks.0.attn.q": ("BF16", [2, 2], b"\1\2\3\4\5\6\7\10"),
    "blocks.0.attn.k": ("F16", [0, 7], b""),
    "norm": ("F64", [], b"\0" * 8),
    "packed": ("F4", [6], b"\1\2\3"),
    "Blocks.0": ("I8", [5], b"\5\4\3\2\1"),
}
CONFIG = {
    "dim": 64,
    "rope": {"theta": 1e4, "scale": -0.0},
    "eps": 1e-7,
    "big": 1e21,
    "names": ["é", "€", "😀", "\r\n", '"\\', ""],
    "é": None,
    "😀": True,
    "ﬃ": [[], {}, [0.1, 1.5e300, 5e-324]],
}
TOKENIZER = {"model": {"vocab": {"Ġgo": 0, "ed": 1}, "merges": [["g", "o"]]}, "added_tokens": []}
RAM = Path("/dev/shm")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these tests write thousands of files."""
    folder = RAM / tmp_path.name if RAM.is_dir() else tmp_path / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def digests(scratch: Path, identity: Callable[[Path], str], count: int) -> set[str]:
    """Every digest that ``count`` spellings of one model are given."""
    speller = forge.Speller(7)
    found = set()
    for at in range(count):
        folder = forge.write(scratch / str(at), speller.files(TENSORS, CONFIG, TOKENIZER, "ab" * 32))
        found.add(identity(folder))
        shutil.rmtree(folder)
    return found


@pytest.mark.long
def test_a_thousand_spellings_have_one_sha(scratch: Path) -> None:
    expected = second_identity.identity(forge.Speller(1).files(TENSORS, CONFIG, TOKENIZER, "ab" * 32))
    assert digests(scratch, lambda folder: read_bundle(folder).sha, 1000) == {expected}


def hash_of_the_files(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def hash_of_sorted_json(folder: Path) -> str:
    import json

    text = json.dumps(json.loads((folder / "config.json").read_bytes()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_in_file_order(folder: Path) -> str:
    found = b"".join(
        b"".join(second_identity.tensors(p.read_bytes()).values()) for p in sorted(folder.glob("*.safetensors"))
    )
    return hashlib.sha256(found).hexdigest()


@pytest.mark.parametrize("twin", [hash_of_the_files, hash_of_sorted_json, hash_in_file_order])
def test_identities_that_look_right_are_caught(scratch: Path, twin: Callable[[Path], str]) -> None:
    assert len(digests(scratch, twin, 50)) > 1


# -- random models ---------------------------------------------------------------------------------------

names = st.text("abcZ09_é:-\uffee\U0001f600", min_size=1, max_size=6)
dtypes = st.sampled_from(sorted(second_identity.BITS))
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(1 - 2**53, 2**53 - 1)
leaves = st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)


@st.composite
def tensor(draw: st.DrawFn) -> tuple[str, list[int], bytes]:
    dtype = draw(dtypes)
    shape = [*draw(st.lists(st.integers(0, 3), max_size=3)), 8]
    return (
        dtype,
        shape,
        draw(st.binary(min_size=(n := math.prod(shape) * second_identity.BITS[dtype] // 8), max_size=n)),
    )


@pytest.mark.long
@settings(max_examples=150, deadline=None)
@given(
    tensors=st.dictionaries(names, tensor(), min_size=1, max_size=5),
    config=st.dictionaries(st.text(max_size=5), values, max_size=5),
    tokenizer=st.none() | values,
    parent=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
    seed=st.integers(0, 999),
)
def test_any_model_has_the_second_implementations_sha(
    tmp_path_factory: pytest.TempPathFactory, tensors: Any, config: Any, tokenizer: Any, parent: Any, seed: int
) -> None:
    files = forge.Speller(seed).files(tensors, config, tokenizer, parent)
    folder = forge.write(tmp_path_factory.mktemp("any"), files)
    assert read_bundle(folder).sha == second_identity.identity(files)
    shutil.rmtree(folder)


@settings(max_examples=300, deadline=None)
@given(value=values)
@pytest.mark.long
def test_canonical_json_is_the_second_implementations(value: Any) -> None:
    assert canonical(value).decode() == second_identity.canonical(value)
    assert canonical(parse_json(canonical_safe(value), what="it")) == canonical(value)


def canonical_safe(value: Any) -> bytes:
    """Spelled so that it may be read again: RFC 8785 prints 1e16 as an integer beyond ±(2^53 − 1)."""
    return forge.Speller(3).json(value).encode()
