"""What a comparison of two registered entries names."""

from __future__ import annotations

import json
from pathlib import Path

import forge
from modelspine import Spine
from modelspine.registry.diff import compare, config_values, tensor_changes

TENSORS: forge.Tensors = {"w": ("F32", [2, 2], bytes(16)), "b": ("I8", [3], b"\1\2\3"), "empty": ("U8", [0], b"")}


def register(spine: Spine, folder: Path, tensors: forge.Tensors, config: object, **more: bytes) -> str:
    files = {f"{name}.json": raw for name, raw in more.items()}
    files |= {"m.safetensors": forge.plain(tensors), "config.json": json.dumps(config).encode()}
    return spine.registry.register(forge.write(folder, files)).sha


def test_a_comparison_names_what_changed(spine: Spine, tmp_path: Path) -> None:
    config = {"d": 4, "layers": [1, {"x": 1.0}], "gone": None, "odd key": 1}
    a = register(spine, tmp_path / "a", TENSORS, config)
    tensors = {**TENSORS, "w": ("F32", [2, 2], b"\1" * 16), "new": ("U8", [1], b"\0")}
    del tensors["empty"]
    b = register(
        spine,
        tmp_path / "b",
        tensors,
        {"d": 4.0, "layers": [1, {"x": 2}, 3], "odd key": "1"},
        tokenizer=b"1",
        train_manifest=b'{"parent_sha": "%s"}' % a.encode(),
    )
    found = compare(spine.registry.get(a), spine.registry.get(b))
    content = found.content
    assert content.config == (
        ("$.gone", "null", None),
        ("$.layers[1].x", "1", "2"),
        ("$.layers[2]", None, "3"),
        ('$["odd key"]', "1", '"1"'),
    )
    tensors = tensor_changes(content)
    assert (tensors.added, tensors.removed, tensors.changed, tensors.same) == (("new",), ("empty",), ("w",), 1)
    assert content.parent == (None, a)
    assert found.tokenizer_changed is True


def test_an_entry_does_not_differ_from_itself(spine: Spine, tmp_path: Path) -> None:
    entry = spine.registry.get(register(spine, tmp_path / "a", TENSORS, {"d": 4}, tokenizer=b"1"))
    found = compare(entry, entry)
    tensors = tensor_changes(found.content)
    assert (found.content.config, tensors.changed, tensors.same) == ((), (), 3)
    assert (found.content.parent, found.tokenizer_changed, found.deltas) == (None, False, ())


def test_half_a_character_is_compared_and_shown_as_an_escape() -> None:
    half = "\ud83d"
    assert all(a == b for _, a, b in config_values({"a": half, half: 1}, {"a": half, half: 1}))
    assert list(config_values({"a": half}, {"a": "x"})) == [("$.a", '"\\ud83d"', '"x"')]
    assert list(config_values({half: 1}, {half: 2})) == [('$["\\ud83d"]', "1", "2")]
