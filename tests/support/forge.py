"""Writes bundles byte by byte: one model in many equivalent encodings, and files that no library would write."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

Tensors = dict[str, tuple[str, list[int], bytes]]
"""Name → dtype, shape, data."""


def safetensors(header: str | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with exactly this header; ``length`` overrides the declared header length."""
    raw = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def header_of(tensors: Tensors, order: list[str] | None = None) -> tuple[dict[str, Any], bytes]:
    """Return a header and its data, with the tensors laid out in ``order``."""
    header: dict[str, Any] = {}
    data = b""
    for name in order or list(tensors):
        dtype, shape, content = tensors[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return header, data


def plain(tensors: Tensors) -> bytes:
    """Return a safetensors file in plain encoding."""
    header, data = header_of(tensors)
    return safetensors(json.dumps(header), data)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write these files to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Speller:
    """Writes one model in randomly chosen equivalent encodings."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def files(
        self, tensors: Tensors, config: Any, tokenizer: Any = None, parent: str | None = None
    ) -> dict[str, bytes]:
        names = self.shuffled(tensors)
        cuts = sorted(self.random.sample(range(len(names) + 1), self.random.randint(0, min(2, len(names)))))
        groups = [names[a:b] for a, b in zip([0, *cuts], [*cuts, len(names)], strict=True)]
        groups = [group for group in groups if group]  # a shard has at least one tensor
        files = {
            f"model-{i:05}-of-{len(groups):05}.safetensors": self.shard({name: tensors[name] for name in group})
            for i, group in enumerate(groups, 1)
        }
        files["config.json"] = self.json(config).encode()
        if tokenizer is not None:
            files["tokenizer.json"] = self.json(tokenizer).encode()
        if parent or self.random.random() < 0.5:
            files["train_manifest.json"] = self.json({"parent_sha": parent, "seed": str(self.random.random())}).encode()
        if self.random.random() < 0.3:
            files["eval_report.json"] = b"any bytes"
            files["README.md"] = b"not part of it"
        return files

    def shard(self, tensors: Tensors) -> bytes:
        header, data = header_of(tensors, self.shuffled(tensors))
        if self.random.random() < 0.5:
            header["__metadata__"] = {"format": "pt", "note": str(self.random.random())}
        header = {name: header[name] for name in self.shuffled(header)}
        text = self.json(header, whole=True).encode()
        return safetensors(text + b" " * self.random.choice((0, 0, -len(text) % 8)), data)

    def shuffled(self, items: Any) -> list[Any]:
        out = list(items)
        self.random.shuffle(out)
        return out

    def space(self) -> str:
        return self.random.choice(("", "", "", " ", "\n", "\t", "\r\n  "))

    def json(self, value: Any, *, whole: bool = False) -> str:
        """Encode ``value`` as JSON in a random spelling; with ``whole``, integers stay integers."""
        if isinstance(value, dict):
            members = (
                f"{self.space()}{self.text(key)}{self.space()}:{self.space()}{self.json(value[key], whole=whole)}"
                for key in self.shuffled(value)
            )
            return "{" + f"{self.space()},".join(members) + self.space() + "}"
        if isinstance(value, list):
            return "[" + f"{self.space()},".join(self.json(item, whole=whole) for item in value) + self.space() + "]"
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool) or value is None or whole:
            return json.dumps(value)
        return self.number(value)

    def text(self, value: str) -> str:
        pairs = value.encode("utf-16-be")
        escaped = "".join(f"\\u{pairs[i]:02x}{pairs[i + 1]:02x}" for i in range(0, len(pairs), 2))
        return self.random.choice((json.dumps(value), json.dumps(value, ensure_ascii=False), f'"{escaped}"'))

    def number(self, value: float) -> str:
        forms = [json.dumps(value), f"{float(value)!r}", f"{value:.17e}", f"{value:.25E}"]
        if value == 0:
            forms += ["0", "-0", "0.0", "-0.0", "0e5"]
        return self.random.choice(forms)


def golden(spec: Any) -> bytes:
    """Return the bytes of a golden case's file: text, {hex}, {repeat} or {header, data, length}."""
    if isinstance(spec, str):
        return spec.encode()
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    if "repeat" in spec:
        before, unit, times, after = spec["repeat"]
        return golden(before + unit * times + after)
    return safetensors(golden(spec["header"]), bytes.fromhex(spec["data"]), spec.get("length"))
