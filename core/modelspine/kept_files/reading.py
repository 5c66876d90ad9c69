"""Whether the bytes of files are kept, read again and compared with their digests, and copies of them in a folder.

It writes nothing into the store, and knows no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from miniobserve.objects import Exists, Missing, Objects, open_objects
from miniobserve.sql.protocol import StorageError
from modelspine.errors import BadInput
from modelspine.kept_files.digests import MOST_BYTES, FileDigest, key_of
from modelspine.ledger.failures import in_own_words
from modelspine.text import size, visible

MOST_CHECKED = 100
"""Files of one request whose bytes are read to be checked."""
_UNSET = "the setting `files` is not set"
_RESTORE = "restore the object from a backup, or from the bucket's versions"
State = Literal["kept", "not_kept", "damaged", "not_checked"]
_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpg"), (0, b"GIF8", "gif"), (8, b"WEBP", "webp"),
    (8, b"WAVE", "wav"), (0, b"OggS", "ogg"), (0, b"fLaC", "flac"), (0, b"ID3", "mp3"), (4, b"ftyp", "mp4"),
    (0, b"%PDF-", "pdf"),
)  # fmt: skip
"""Offset and bytes by which a kind of file is known, and its extension."""


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a trace names, and what is known of its bytes."""

    sha256: str
    bytes: int
    state: State
    where: str = ""
    """The path or URL of the bytes; empty where no place is set."""
    why: str = ""
    """Why they are not kept, damaged or not checked."""
    saved: str = ""
    """The path of a copy that was made of them."""


def looked_up(place: str, digests: Iterable[FileDigest], folder: Path | None = None) -> Iterator[KeptFile]:
    """Yield what is known of each file; bytes that are kept were read, and have their digest.

    Args:
        place: the setting ``files``.
        digests: the files.
        folder: where to copy the kept ones to, under their digest; it is made.

    Raises:
        BadInput: a file of that name is in the folder and has other bytes; it is left as it is.
        Unavailable: the folder cannot be written.
    """
    problem, store = "", None
    try:
        store = open_objects(place) if place else None
    except StorageError as error:
        problem = error.message
    for number, digest in enumerate(digests):
        if store is None and not problem:
            yield KeptFile(sha256=digest.sha256, bytes=digest.size, state="not_kept", why=_UNSET)
            continue
        where = f"{place}/{key_of(digest.sha256)}"
        if number >= MOST_CHECKED and folder is None:
            problem = problem or f"only the first {MOST_CHECKED} are looked at"
        found = KeptFile(sha256=digest.sha256, bytes=digest.size, state="not_checked", where=where, why=problem)
        if store is None or problem:
            yield found
            continue
        try:
            content = kept_bytes(store, digest.sha256)
        except Missing as error:
            yield msgspec.structs.replace(found, state="not_kept", why=error.message)
        except StorageError as error:
            damaged = error.kind == "damaged"
            # A store that does not answer is not waited for again at each file.
            problem = "" if damaged else error.message
            yield msgspec.structs.replace(found, state="damaged" if damaged else "not_checked", why=error.message)
        else:
            saved = _copied(content, digest.sha256, folder) if folder is not None else ""
            yield msgspec.structs.replace(found, state="kept", saved=saved)


def kept_bytes(store: Objects, sha256: str) -> bytes:
    """The kept bytes with a digest, read again and compared with it.

    Raises:
        Missing: they are not kept.
        StorageError: kind ``damaged`` if other bytes are in their place, ``unavailable`` if they cannot be read.
    """
    key = key_of(sha256)
    try:
        content = store.get(key, 0, MOST_BYTES + 1)
    except Missing:
        # A part of an object is asked for by its size first, and that question has the same answer where the whole
        # bucket is missing.
        content = store.get(key)
    if len(content) > MOST_BYTES:
        wrong = f"{store.name}/{key} has over {size(MOST_BYTES)}, which no kept file has"
        raise StorageError("damaged", wrong, _RESTORE)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        wrong = f"{store.name}/{key} has the SHA-256 {found}, and not {sha256}"
        raise StorageError("damaged", wrong, _RESTORE)
    return content


def _copied(content: bytes, sha256: str, folder: Path) -> str:
    """Write a copy; its name is made of its digest and kind alone, and never of what a request says."""
    from miniobserve.objects.folder import Folder

    kind = next((kind for at, magic, kind in _MAGIC if content[at : at + len(magic)] == magic), "")
    name = f"{sha256}.{kind}" if kind else sha256
    target = Folder(folder)
    try:
        target.put(name, content)
    except Exists:
        with suppress(StorageError):
            if not (folder / name).is_symlink() and target.sha256(name) == sha256:
                return str(folder / name)
        hint = "nothing was overwritten; give another folder"
        raise BadInput(f"{visible(str(folder / name), 300)} exists and is another file", hint) from None
    except StorageError as error:
        raise in_own_words(error) from error
    return str(folder / name)
