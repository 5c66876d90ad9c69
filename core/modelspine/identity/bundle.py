"""What a model is: a folder's files, read strictly, and the one digest that names them.

Identity is ``*.safetensors``, ``config.json``, ``tokenizer.json`` where there is one, and the parent that
``train_manifest.json`` names. The manifests and the report beside them are evidence: read, kept, no part of
the digest. Every other file in the folder is ignored and never stored. It does not know the ledger, where
bundles are kept, or what the tensors compute.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec

from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BundleRefused
from modelspine.identity.bundle_files import CONFIG, EVIDENCE, HINT, LIMITS, SUFFIX, TOKENIZER, TRAINING, select
from modelspine.identity.hashing import Range, Sink, copying, framed, hash_ranges
from modelspine.identity.safetensors_header import MAX_TENSORS, PREFIX, Slot, header_length, parse_header
from modelspine.identity.untrusted_files import Source, opened, opened_file
from modelspine.text import visible

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: ``size`` in bytes, ``data_sha256`` of its bytes, ``digest`` of name, dtype, shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    data_sha256: str
    digest: str


class File(msgspec.Struct, frozen=True):
    """One file of a bundle; shards have no digest of their own, the tensors in them have."""

    name: str
    size: int
    sha256: str | None


class Bundle(msgspec.Struct, frozen=True):
    """A bundle as it was read; digests are 64 lower-case hex digits."""

    sha: str
    weights: str
    config: str
    tokenizer: str | None
    parent_sha: str | None
    tensors: tuple[Tensor, ...]
    files: tuple[File, ...]
    config_json: dict[str, Any]
    evidence: dict[str, bytes]


class _Shard(NamedTuple):
    source: Source
    head: bytes
    slots: tuple[Slot, ...]


def read_bundle(directory: Path, *, store: Path | None = None, threads: int | None = None) -> Bundle:
    """Read and hash a bundle; with ``store``, a folder to be made, the bytes that were hashed are written there.

    Everything that can be refused without reading tensor data is refused before it is read, and before
    anything is written. A copy that was begun and not finished is removed.

    Raises:
        BundleRefused: the folder is not a bundle/1, with the file and the reason.
        Unavailable: ``store`` exists or cannot be written.

    """
    with opened(directory, select) as sources:
        texts = {name: source.read(0, source.size) for name, source in sources.items() if name in LIMITS}
        config = parse_json(texts[CONFIG], what=CONFIG, error=BundleRefused)
        if not isinstance(config, dict):
            _refuse(f"{CONFIG} is not an object")
        parent = _parent(texts.get(TRAINING))
        tokenizer = _tokenizer(texts.get(TOKENIZER))
        shards = _shards(sources)
        if store is None:
            tensors = _hash(shards, None, threads)
            _check_unchanged(sources)
        else:
            with copying(store) as sink:
                for name, text in texts.items():
                    sink.add(name, text)
                tensors = _hash(shards, sink, threads)
                _check_unchanged(sources)
    weights = _weights(tensors)
    settings = hashlib.sha256(canonical({"config": config, "tokenizer": tokenizer})).digest()
    return Bundle(
        sha=framed("spine.entry/1", weights, settings, bytes.fromhex(parent or "")).hex(),
        weights=weights.hex(),
        config=settings.hex(),
        tokenizer=tokenizer,
        parent_sha=parent,
        tensors=tensors,
        files=tuple(_file(source, texts) for source in sources.values()),
        config_json=config,
        evidence={name: texts[name] for name in EVIDENCE if name in texts},
    )


class Difference(msgspec.Struct, frozen=True):
    """What ``b`` has that ``a`` has not: config values as canonical JSON with None where there is none."""

    config: tuple[tuple[str, str | None, str | None], ...]
    tensors_added: tuple[str, ...]
    tensors_removed: tuple[str, ...]
    tensors_changed: tuple[str, ...]
    tensors_same: int
    parent: tuple[str | None, str | None] | None
    tokenizer_changed: bool


def diff(a: Bundle, b: Bundle) -> Difference:
    """What changed from ``a`` to ``b``: config by JSON path (``$.layers[0].dim``), tensors by name."""
    before = {tensor.name: tensor.digest for tensor in a.tensors}
    after = {tensor.name: tensor.digest for tensor in b.tensors}
    both = [name for name in before if name in after]
    return Difference(
        config=tuple(_config_diff("$", a.config_json, b.config_json)),
        tensors_added=tuple(name for name in after if name not in before),
        tensors_removed=tuple(name for name in before if name not in after),
        tensors_changed=tuple(name for name in both if before[name] != after[name]),
        tensors_same=sum(before[name] == after[name] for name in both),
        parent=None if a.parent_sha == b.parent_sha else (a.parent_sha, b.parent_sha),
        tokenizer_changed=a.tokenizer != b.tokenizer,
    )


def file_identity(path: Path) -> str:
    """The digest a path goes by: a bundle's SHA for a folder, the weights digest for a safetensors file.

    Raises:
        BundleRefused: it is neither, or not an acceptable one.

    """
    if not path.name.endswith(SUFFIX) or path.is_dir():
        return read_bundle(path).sha
    with opened_file(path) as source:
        tensors = _hash(_shards({path.name: source}), None, None)
        source.check_unchanged()
    return _weights(tensors).hex()


def _parent(text: bytes | None) -> str | None:
    if text is None:
        return None
    manifest = parse_json(text, what=TRAINING, error=BundleRefused)
    if not isinstance(manifest, dict):
        _refuse(f"{TRAINING} is not an object")
    parent = manifest.get("parent_sha")
    if parent is None:
        return None
    if not isinstance(parent, str) or not _SHA.fullmatch(parent):
        _refuse(f"{TRAINING} gives the parent_sha “{visible(str(parent), 80)}”, not 64 lower-case hex digits")
    return parent


def _tokenizer(text: bytes | None) -> str | None:
    if text is None:
        return None
    return hashlib.sha256(canonical(parse_json(text, what=TOKENIZER, error=BundleRefused))).hexdigest()


def _shards(sources: dict[str, Source]) -> list[_Shard]:
    shards: list[_Shard] = []
    owner: dict[str, str] = {}
    for name, source in sources.items():
        if name in LIMITS:
            continue
        prefix = source.read(0, min(PREFIX, source.size))
        header = source.read(PREFIX, header_length(prefix, source.size, what=name))
        head = prefix + header
        shard = _Shard(source, head, parse_header(header, source.size - len(head), what=name))
        for slot in shard.slots:
            if slot.name in owner:
                _refuse(f"tensor {slot.name} is in both {visible(owner[slot.name])} and {visible(name)}")
            owner[slot.name] = name
        shards.append(shard)
        if len(owner) > MAX_TENSORS:
            _refuse(f"the shards hold more than {MAX_TENSORS:,} tensors")
    return shards


def _hash(shards: list[_Shard], sink: Sink | None, threads: int | None) -> tuple[Tensor, ...]:
    """The tensor table, in ascending order of names; written to ``sink`` on the way, where there is one."""
    ranges: list[Range] = []
    for shard in shards:
        target = sink.add(shard.source.name, shard.head) if sink else None
        ranges += (Range(shard.source, len(shard.head) + slot.begin, slot.size, target) for slot in shard.slots)
    slots = [slot for shard in shards for slot in shard.slots]
    table = (_tensor(slot, data) for slot, data in zip(slots, hash_ranges(ranges, threads), strict=True))
    return tuple(sorted(table, key=lambda tensor: tensor.name))


def _check_unchanged(sources: dict[str, Source]) -> None:
    for source in sources.values():
        source.check_unchanged()


def _tensor(slot: Slot, data: bytes) -> Tensor:
    dims = struct.pack(f"<{len(slot.shape)}Q", *slot.shape)
    digest = framed("spine.tensor/1", slot.name.encode(), slot.dtype.encode(), dims, data)
    return Tensor(slot.name, slot.dtype, slot.shape, slot.size, data.hex(), digest.hex())


def _weights(tensors: tuple[Tensor, ...]) -> bytes:
    return framed("spine.weights/1", *(bytes.fromhex(tensor.digest) for tensor in tensors))


def _file(source: Source, texts: dict[str, bytes]) -> File:
    text = texts.get(source.name)
    return File(source.name, source.size, None if text is None else hashlib.sha256(text).hexdigest())


_ABSENT = object()


def _config_diff(path: str, a: Any, b: Any) -> Iterator[tuple[str, str | None, str | None]]:
    """Every JSON path below ``path`` where the two values differ, the deepest that says it."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            step = f".{key}" if _PLAIN.fullmatch(key) else f"[{json.dumps(key)}]"
            yield from _config_diff(path + step, a.get(key, _ABSENT), b.get(key, _ABSENT))
    elif isinstance(a, list) and isinstance(b, list):
        for index, (left, right) in enumerate(zip_longest(a, b, fillvalue=_ABSENT)):
            yield from _config_diff(f"{path}[{index}]", left, right)
    else:
        before, after = (None if value is _ABSENT else canonical(value).decode() for value in (a, b))
        if before != after:
            yield path, before, after


def _refuse(reason: str) -> NoReturn:
    raise BundleRefused(reason, HINT)
