"""Reading a bundle: a folder's files, read strictly, and the canonical SHA that identifies them.

The SHA covers ``*.safetensors``, ``config.json``, ``tokenizer.json`` if present, and the parent that
``train_manifest.json`` names. The manifests and the evaluation report are evidence: they are read and kept, but are
not part of the SHA. Every other file is ignored and never stored. It does not know the ledger, where bundles are
kept, or what the tensors compute.
"""

from __future__ import annotations

import hashlib
import re
import struct
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

_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Tensor(msgspec.Struct, frozen=True):
    """One tensor: ``size`` in bytes, ``data_sha256`` over its bytes, ``digest`` over name, dtype, shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    data_sha256: str
    digest: str


class File(msgspec.Struct, frozen=True):
    """One file of a bundle; ``sha256`` is None for shards, whose tensors have digests instead."""

    name: str
    size: int
    sha256: str | None


class Bundle(msgspec.Struct, frozen=True):
    """The result of reading a bundle; digests are 64 lower-case hex digits."""

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
    """An open safetensors file: its header's bytes, length prefix included, and the tensors they describe."""

    source: Source
    head: bytes
    slots: tuple[Slot, ...]


def read_bundle(directory: Path, *, store: Path | None = None, threads: int | None = None) -> Bundle:
    """Read and hash a bundle; with ``store``, the path of a new folder, also copy the bytes that were hashed there.

    Whatever can be refused without reading tensor data is refused first, before anything is written. An incomplete
    copy is removed.

    Raises:
        BundleRefused: the folder is not a bundle/1; the message names the file and the reason.
        Unavailable: ``store`` exists or cannot be written.
    """
    # Small files are read once: what is parsed, hashed and copied are the same bytes. The order of the checks is from
    # cheap to expensive.
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
    # The SHA is built from digests of meaning, not of files: re-sharding, reordering or reformatting changes nothing.
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


def file_identity(path: Path) -> str:
    """The digest that identifies a path: the canonical SHA of a bundle folder, the weights digest of a shard.

    Raises:
        BundleRefused: the path is neither a valid bundle folder nor a valid safetensors file.
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
    # A wrong parent would change the SHA silently, so anything but null or a digest is refused.
    manifest = parse_json(text, what=TRAINING, error=BundleRefused)
    if not isinstance(manifest, dict):
        _refuse(f"{TRAINING} is not an object")
    parent = manifest.get("parent_sha")
    if parent is None:
        return None
    if not isinstance(parent, str) or not _SHA.fullmatch(parent):
        _refuse(f"{TRAINING} has the parent_sha “{visible(str(parent), 80)}”, not 64 lower-case hex digits")
    return parent


def _tokenizer(text: bytes | None) -> str | None:
    """The digest of tokenizer.json in canonical form, so that whitespace and key order do not matter."""
    if text is None:
        return None
    return hashlib.sha256(canonical(parse_json(text, what=TOKENIZER, error=BundleRefused))).hexdigest()


def _shards(sources: dict[str, Source]) -> list[_Shard]:
    """The headers of all shards, checked: no tensor name appears twice."""
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
        if len(owner) > MAX_TENSORS:  # checked per shard too, but 128 shards could each be at the limit
            _refuse(f"the shards contain more than {MAX_TENSORS:,} tensors")
    return shards


def _hash(shards: list[_Shard], sink: Sink | None, threads: int | None) -> tuple[Tensor, ...]:
    """All tensors with their digests, in ascending order of names; the hashed bytes also go to ``sink``, if given."""
    ranges: list[Range] = []
    for shard in shards:
        target = sink.add(shard.source.name, shard.head) if sink else None
        ranges += (Range(shard.source, len(shard.head) + slot.begin, slot.size, target) for slot in shard.slots)
    slots = [slot for shard in shards for slot in shard.slots]
    table = (_tensor(slot, data) for slot, data in zip(slots, hash_ranges(ranges, threads), strict=True))
    return tuple(sorted(table, key=lambda tensor: tensor.name))


def _check_unchanged(sources: dict[str, Source]) -> None:
    """Refuse the bundle if a file was written to while it was read."""
    for source in sources.values():
        source.check_unchanged()


def _tensor(slot: Slot, data: bytes) -> Tensor:
    """A tensor with its digest; ``data`` is the SHA-256 of its bytes."""
    # The dimensions as fixed-width integers, so that shapes (12, 3) and (1, 23) cannot encode alike.
    dims = struct.pack(f"<{len(slot.shape)}Q", *slot.shape)
    digest = framed("spine.tensor/1", slot.name.encode(), slot.dtype.encode(), dims, data)
    return Tensor(slot.name, slot.dtype, slot.shape, slot.size, data.hex(), digest.hex())


def _weights(tensors: tuple[Tensor, ...]) -> bytes:
    """The digest of all tensors; it does not depend on how they are distributed over shards."""
    return framed("spine.weights/1", *(bytes.fromhex(tensor.digest) for tensor in tensors))


def _file(source: Source, texts: dict[str, bytes]) -> File:
    text = texts.get(source.name)
    return File(source.name, source.size, None if text is None else hashlib.sha256(text).hexdigest())


def _refuse(reason: str) -> NoReturn:
    raise BundleRefused(reason, HINT)
