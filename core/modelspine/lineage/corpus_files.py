"""The files of a corpus made ready to be read as rows, and compared with their hashes. It does not know rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.dvc_lookup import CHANGED, Part, digest_of
from modelspine.lineage.row_formats import Format, NotRowsError, format_of, is_readable, texts
from modelspine.lineage.row_search import Source
from modelspine.text import visible

_BLOCK = 512
_PIECE = 2**20


@contextmanager
def file_errors() -> Iterator[None]:
    """Translate an error of the system, such as a missing permission: it says nothing about the bytes.

    Raises:
        Unavailable: a file could not be read.
    """
    try:
        yield
    except OSError as error:
        where = f" {visible(str(error.filename), 160)}" if error.filename is not None else ""
        raise Unavailable(
            f"a corpus cannot be read:{where} {error.strerror or error}", "check who may read it, then repeat"
        ) from error


def row_format(part: Part) -> Format | None:
    """How the rows of a file are read; None where it has none."""
    with part.file.open("rb") as stream:
        return format_of(part.name) or ("lines" if is_readable(stream.read(_BLOCK)) else None)


def source_of(part: Part, folder: Path) -> Source:
    """What a search reads of a file; of a Parquet file that is a verified copy of its rows in ``folder``."""
    kind = row_format(part) or "lines"
    if kind != "parquet":
        return Source(str(part.file), kind, part.legacy, part.md5)
    from modelspine.lineage.parquet_rows import write_lines

    # What is parsed must be what was hashed: a copy, which nobody else writes to.
    number = len(list(folder.iterdir()))
    copy, lines = folder / f"{number}.parquet", folder / f"{number}.jsonl"
    shutil.copyfile(part.file, copy)
    check(part, digest_of(copy, legacy=part.legacy).md5(part.md5))
    write_lines(copy, lines)
    copy.unlink()
    return Source(str(lines), "json")


def counted_rows(part: Part) -> tuple[Digest, int | None]:
    """The digests of a file, and its number of rows: 0 where it has none, None where they cannot be counted here."""
    kind = row_format(part)
    if kind is not None and kind != "parquet":
        digest, rows = Digest(legacy=part.legacy), 0
        try:
            for _ in texts(part.file, kind, digest):
                rows += 1
        except NotRowsError:
            pass
        else:
            return digest, rows
    digest = digest_of(part.file, legacy=part.legacy)
    if kind != "parquet":
        return digest, 0
    from modelspine.lineage.parquet_rows import number_of_rows

    return digest, number_of_rows(part.file)


def digests_of(part: Part) -> tuple[str, str]:
    """The MD5 and the SHA-256 of a file's bytes."""
    digest = digest_of(part.file, legacy=part.legacy)
    return digest.md5(part.md5), digest.sha256()


@file_errors()
def sha256_of(root: Path, path: str) -> str | None:
    """The SHA-256 of a file of the project; None where there is none, or its path leads out of the project.

    Raises:
        Unavailable: it may not be read.
    """
    file = (root / path).resolve() if path and "\0" not in path else root
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        return None
    return digest_of(file, legacy=False).sha256()


def verified_pieces(part: Part) -> Iterator[bytes]:
    """Yield a file's bytes in pieces, and verify the hash after the last one; do not rely on them before that.

    Raises:
        Damaged: the bytes do not match the hash.
    """
    digest = Digest(legacy=part.legacy)
    with part.file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            yield piece
    check(part, digest.md5(part.md5))


def check(part: Part, found: str) -> None:
    """Compare the MD5 of a part's bytes with the recorded one.

    Raises:
        Damaged: they differ.
    """
    if found != part.md5:
        name = visible(part.name, 80)
        raise Damaged(f"{name} has MD5 {found[:12]}, but DVC recorded {part.md5[:12]}", CHANGED)


def refuse(part: Part, error: NotRowsError) -> NoReturn:
    """Say that a file has no rows.

    Raises:
        BadInput: always.
    """
    raise BadInput(
        f"the rows of {visible(part.name, 80)} cannot be read: {error}", "name another corpus, or convert this one"
    ) from error
