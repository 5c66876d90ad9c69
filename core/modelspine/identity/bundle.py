"""Reading a bundle: a folder's files, read strictly, and the canonical SHA that identifies them.

The SHA covers every file of the folder and its sub-folders, but for evidence, by-products and an index of shards;
``bundle_files`` says which is which. Safetensors, ``config.json`` and ``tokenizer.json`` have a canonical form; every
other file is an asset, which is hashed by path and bytes, stored, and never opened as what it is. A folder without
assets has the identity ``spine.entry/1``, one with assets ``spine.entry/2``. It does not know the ledger, where
bundles are kept, or what the tensors compute.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BundleRefused
from modelspine.identity.bundle_files import (
    CONFIG,
    EVIDENCE,
    HINT,
    LIMITS,
    MAX_INDEX,
    PROJECT,
    SUFFIX,
    TOKENIZER,
    TRAINING,
    Layout,
    check_index,
    check_numbering,
    is_by_product,
    layout_of,
)
from modelspine.identity.hashing import Range, Sink, copying, framed, hash_ranges
from modelspine.identity.tensors import Shard, Tensor, hash_tensors, read_shards, weights_digest
from modelspine.identity.untrusted_files import Folder, Source, opened, opened_file
from modelspine.text import visible

Texts = Mapping[str, bytes]
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TOKENIZER_ITEMS = 4_000_000
"""Items a tokenizer may have: one of 300,000 pieces with its merges written as pairs has about two million."""
_OPEN_AT_ONCE = 32
"""Assets that are open at the same time, so that a folder of thousands does not run out of descriptors."""
_INSIDE = "give the folder in which the model's files stand, and nothing else"
_MOVE = "shorten it; a file that only the workload reads can be in a sub-folder, where it is hashed as it is"


class File(msgspec.Struct, frozen=True):
    """One stored file of a bundle; ``sha256`` is None for shards, whose tensors have digests instead."""

    name: str
    size: int
    sha256: str | None


class Bundle(msgspec.Struct, frozen=True):
    """The result of reading a bundle; digests are 64 lower-case hex digits."""

    sha: str
    weights: str
    config: str
    tokenizer: str | None
    assets: str | None
    """The digest of the assets; None without any, which is the identity ``spine.entry/1``."""
    parent_sha: str | None
    tensors: tuple[Tensor, ...]
    files: tuple[File, ...]
    asset_files: tuple[File, ...]
    """The assets among ``files``."""
    by_products: tuple[str, ...]
    """What the folder holds and the bundle does not; a folder ends in "/"."""
    config_json: dict[str, Any]
    """Empty where there is no ``config.json``, or one that holds NaN or Infinity and so is an asset."""
    evidence: dict[str, bytes]

    @property
    def format(self) -> str:
        """The formula that gave the SHA."""
        return _ENTRY_1 if self.assets is None else _ENTRY_2


def read_bundle(
    directory: Path,
    *,
    store: Path | None = None,
    threads: int | None = None,
    follow: bool = False,
    evidence: Texts | None = None,
) -> Bundle:
    """Read and hash a bundle; with ``store``, the path of a new folder, also copy the bytes that were hashed there.

    Whatever can be refused without reading tensor data is refused first, before anything is written. An incomplete
    copy is removed. With ``follow``, a link to a regular file counts as that file, under the link's path. ``evidence``
    has the bytes of files of ``EVIDENCE`` that take the place of the folder's own.

    Raises:
        BundleRefused: the folder is not a bundle; the message names the file and the reason.
        Unavailable: ``store`` exists or cannot be written.
    """
    # Every file counts, so that a project would be read as one model, with the stored models inside.
    if any(os.path.lexists(directory / name) for name in PROJECT):
        _refuse(f"{visible(str(directory))} is the folder of a Spine project, not of a model", _INSIDE)
    with opened(directory, is_by_product, follow=follow) as folder:
        return _read(folder, store, threads, evidence or {})


def read_stored(directory: Path) -> Bundle:
    """Read and hash a copy that ``read_bundle`` stored, now or by the rule of earlier versions.

    A file that is never stored is refused here: a model could read it, and no digest covers it.

    Raises:
        BundleRefused: the folder is not such a copy.
    """
    with opened(directory, is_by_product) as folder:
        if folder.skipped:
            _refuse(f"{visible(folder.skipped[0])} is in the stored copy, where no digest covers it")
        try:
            return _read(folder, None, None, {})
        except BundleRefused as refused:
            try:
                return _read(folder, None, None, {}, earlier=True)
            except BundleRefused:
                raise refused from refused.__cause__


def _read(folder: Folder, store: Path | None, threads: int | None, given: Texts, *, earlier: bool = False) -> Bundle:
    """Read the files of an open folder, and the ``given`` ones in place of its own.

    With ``earlier``, the shards need not be whole and may be empty, as in entries of earlier versions; assets and
    indexes, which those versions did not store, are refused.
    """
    # Small files are read once: what is parsed, hashed and copied are the same bytes. The order of the checks is from
    # cheap to expensive.
    layout = layout_of({*folder.sizes, *given})
    if earlier and (layout.assets or layout.indexes):
        _refuse(f"{visible([*layout.assets, *layout.indexes][0])} was not stored by earlier versions")
    with folder.open(sorted({*layout.texts, *layout.indexes, *layout.shards} - {*given})) as sources:
        small = (*layout.texts, *layout.indexes)
        texts = {name: given[name] if name in given else _text(sources[name]) for name in small}
        config = _config(texts.get(CONFIG))
        parent = _parent(texts.get(TRAINING))
        tokenizer = _tokenizer(texts.get(TOKENIZER))
        shards = read_shards([sources[name] for name in layout.shards], allow_empty=earlier)
        if not earlier:
            _check_whole(layout, shards, texts)
        with copying(store) if store is not None else nullcontext() as sink:
            for name, text in texts.items():
                if sink is not None:
                    sink.add(name, text)
            tensors = hash_tensors(shards, sink, threads)
            assets = _assets(folder, layout.assets, sink, threads)
            _check_unchanged(sources)
    files = [File(name, len(text), hashlib.sha256(text).hexdigest()) for name, text in texts.items()]
    files += [File(name, sources[name].size, None) for name in layout.shards]
    if CONFIG in texts and config is None:
        assets = sorted([*assets, next(file for file in files if file.name == CONFIG)], key=lambda file: file.name)
    # The SHA is built from digests of meaning, not of files: re-sharding, reordering or reformatting changes nothing.
    weights = weights_digest(tensors)
    settings = hashlib.sha256(canonical({"config": config, "tokenizer": tokenizer})).digest()
    further = _assets_digest(assets) if assets else None
    return Bundle(
        sha=_entry(weights, settings, further, bytes.fromhex(parent or "")),
        weights=weights.hex(),
        config=settings.hex(),
        tokenizer=tokenizer,
        assets=further.hex() if further is not None else None,
        parent_sha=parent,
        tensors=tensors,
        files=tuple(sorted({*files, *assets}, key=lambda file: file.name)),
        asset_files=tuple(assets),
        by_products=folder.skipped,
        config_json=config or {},
        evidence={name: texts[name] for name in EVIDENCE if name in texts},
    )


def _entry(weights: bytes, settings: bytes, assets: bytes | None, parent: bytes) -> str:
    if assets is None:
        return framed(_ENTRY_1, weights, settings, parent).hex()
    return framed(_ENTRY_2, weights, settings, assets, parent).hex()


def file_identity(path: Path) -> str:
    """The digest that identifies a path: a bundle folder's SHA, a safetensors file's weights, another file's SHA-256.

    Raises:
        BundleRefused: the path cannot be read, or is neither a valid bundle folder nor a valid safetensors file.
    """
    if path.is_dir():
        return read_bundle(path).sha
    with opened_file(path) as source:
        if path.name.endswith(SUFFIX):
            digest = weights_digest(hash_tensors(read_shards([source]), None, None))
        else:
            (digest,) = hash_ranges([Range(source, 0, source.size)])
        source.check_unchanged()
    return digest.hex()


def _text(source: Source) -> bytes:
    """All bytes of a small file."""
    limit = LIMITS.get(source.name, MAX_INDEX)
    if source.size > limit:
        _refuse(f"{visible(source.name)} takes {source.size:,} bytes, over the limit of {limit:,}", _MOVE)
    return source.read(0, source.size)


def _config(text: bytes | None) -> dict[str, Any] | None:
    """The configuration; None if there is none, or if it has numbers that JSON has not and so is an asset."""
    if text is None:
        return None
    constants: list[str] = []
    config = parse_json(text, what=CONFIG, error=BundleRefused, constants=constants)
    if not isinstance(config, dict):
        _refuse(f"{CONFIG} is not an object")
    return None if constants else config


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
    # A large tokenizer takes seconds, and a process reads the same one with each model that shares it: the canonical
    # digest is a function of the bytes, which are hashed each time.
    raw = hashlib.sha256(text).digest()
    if raw not in _known_tokenizers:
        value = parse_json(text, what=TOKENIZER, error=BundleRefused, items=_TOKENIZER_ITEMS)
        if len(_known_tokenizers) >= 256:
            _known_tokenizers.clear()
        _known_tokenizers[raw] = hashlib.sha256(canonical(value)).hexdigest()
    return _known_tokenizers[raw]


def _check_whole(layout: Layout, shards: Sequence[Shard], texts: dict[str, bytes]) -> None:
    """Refuse shards of which one is missing or too many, by an index or by the numbers in their names."""
    owners = {slot.name: shard.source.name for shard in shards for slot in shard.slots}
    for name in layout.indexes:
        check_index(name, parse_json(texts[name], what=name, error=BundleRefused), owners, layout.shards)
    check_numbering(layout.shards)


def _assets(folder: Folder, paths: Sequence[str], sink: Sink | None, threads: int | None) -> list[File]:
    """The assets with the SHA-256 of their bytes; the hashed bytes also go to ``sink``, if given."""
    files: list[File] = []
    for start in range(0, len(paths), _OPEN_AT_ONCE):
        with folder.open(paths[start : start + _OPEN_AT_ONCE]) as sources:
            ranges = [
                Range(source, 0, source.size, sink.add(path) if sink is not None else None)
                for path, source in sources.items()
            ]
            digests = hash_ranges(ranges, threads)
            _check_unchanged(sources)
            if sink is not None:
                sink.finish()
        files += (File(each.source.name, each.size, data.hex()) for each, data in zip(ranges, digests, strict=True))
    return files


def _assets_digest(assets: Sequence[File]) -> bytes:
    """The digest of all assets, which are in ascending order of their paths."""
    digests = (framed("spine.asset/1", file.name.encode(), bytes.fromhex(file.sha256 or "")) for file in assets)
    return framed("spine.assets/1", *digests)


def _check_unchanged(sources: dict[str, Source]) -> None:
    """Refuse the bundle if a file was written to while it was read."""
    for source in sources.values():
        source.check_unchanged()


def _refuse(reason: str, hint: str = HINT) -> NoReturn:
    raise BundleRefused(reason, hint)


_ENTRY_1, _ENTRY_2 = "spine.entry/1", "spine.entry/2"
_known_tokenizers: dict[bytes, str] = {}
"""SHA-256 of a tokenizer.json's bytes → SHA-256 of its canonical form."""
