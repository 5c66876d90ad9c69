"""Storing a large file of several bundles once: equal files in the cache are hard links to one.

An index names a stored file by the digest of its content. Nothing depends on it: a name that is missing or out of date
only means that a file is stored twice. A bundle is hashed before each use whether its files are shared or not.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from modelspine.identity.bundle import Bundle
from modelspine.identity.hashing import framed

FOLDER = ".files"
SHARED_FROM = 2**20
"""Smallest size in bytes of a file that is shared; a link to a smaller one saves nothing worth its directory entry."""
_CHUNK = 2**20


def share(cache: Path, staging: Path, sha: str, bundle: Bundle) -> int:
    """Replace large files of a staged bundle by links to equal ones in the cache; returns how many bytes that saved.

    Raises:
        OSError: the cache cannot be written.
    """
    saved = 0
    for name, key, size in _large(bundle, staging):
        pointer = cache / FOLDER / key
        other = _target(cache, pointer)
        if other is not None and _linked(other, staging / name):
            saved += size
            continue
        # A symbolic link keeps no data alive, so that deleting an entry's folder frees its space.
        pointer.parent.mkdir(exist_ok=True)
        fresh = pointer.with_name(f"{key}.{os.urandom(6).hex()}")
        fresh.symlink_to(Path("..", sha, name))
        fresh.replace(pointer)
    return saved


def _large(bundle: Bundle, staging: Path) -> Iterator[tuple[str, str, int]]:
    """The path, content key and size of each file worth sharing."""
    for file in bundle.files:
        if file.size < SHARED_FROM:
            continue
        if file.sha256 is not None:
            yield file.name, file.sha256, file.size
            continue
        # A shard's own bytes have no digest yet; its header and the digests of its tensors determine them, so hashing
        # the header alone names the content.
        digests = {tensor.name: bytes.fromhex(tensor.data_sha256) for tensor in bundle.tensors}
        head, names = _header(staging / file.name)
        parts = (digests[name] for name in names)
        yield file.name, framed("shard", hashlib.sha256(head).digest(), *parts).hex(), file.size


def _header(shard: Path) -> tuple[bytes, list[str]]:
    """The header of a shard that was just checked and stored, and the names of its tensors in ascending order."""
    import msgspec

    with shard.open("rb") as stream:
        raw = stream.read(int.from_bytes(stream.read(8), "little"))
    return raw, sorted(name for name in msgspec.json.decode(raw) if name != "__metadata__")


def _target(cache: Path, pointer: Path) -> Path | None:
    """The stored file that a name of the index leads to, if it is one of this cache."""
    with suppress(OSError, ValueError):
        named = pointer.readlink()
        if named.parts[0] == ".." and ".." not in named.parts[1:] and not named.is_absolute():
            other = cache.joinpath(*named.parts[1:])
            if stat.S_ISREG(other.lstat().st_mode):
                return other
    return None


def _linked(other: Path, staged: Path) -> bool:
    """Replace a staged file by a link to a stored one, if that has the same bytes now."""
    # Compared byte by byte and not by name: the stored file may have been damaged since, and a link to it would
    # damage this bundle as well.
    if not _equal(other, staged):
        return False
    fresh = staged.with_name(f".{os.urandom(6).hex()}")
    try:
        os.link(other, fresh)
    except OSError:  # this file system has no hard links, or the file has as many as it may
        return False
    fresh.replace(staged)
    return True


def _equal(a: Path, b: Path) -> bool:
    try:
        with a.open("rb") as left, b.open("rb") as right:
            while one := left.read(_CHUNK):
                if one != right.read(_CHUNK):
                    return False
            return not right.read(1)
    except OSError:
        return False
