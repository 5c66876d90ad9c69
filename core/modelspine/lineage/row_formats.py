"""The rows of a file: lines of text or JSON, or the records of CSV and TSV, hashed as they are read.

Only the standard library is needed, because the process that searches rows has nothing else. Parquet is made into
lines of JSON first, by ``parquet_rows``. It does not know where files come from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from modelspine.lineage.dvc_hash import Digest, is_text

Format = Literal["lines", "json", "csv", "tsv", "parquet"]
_FORMATS: dict[str, Format] = {
    ".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".parquet": "parquet", ".pq": "parquet", ".txt": "lines", ".text": "lines", ".md": "lines",
}  # fmt: skip
_BLOCK = 512
_DELIMITERS = ",;\t|"
_LONGEST_CELL = 2**27
"""Characters. The library's own limit, 131,072, is shorter than some documents."""


class NotRowsError(ValueError):
    """A file that has no rows in any of the formats; the message says why."""


def format_of(name: str) -> Format | None:
    """The format that a file's name speaks of; None where it speaks of none."""
    return _FORMATS.get(Path(name).suffix.lower())


def texts(file: Path, kind: Format, digest: Digest) -> Iterator[tuple[int, str]]:
    """The number, from 1, and the text of each row; that of a table's row is a JSON object by column.

    ``digest`` is given every byte of the file by the time the last row was taken; do not rely on rows before that.

    Raises:
        NotRowsError: the file is not text, or not CSV.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        lines = _hashed(iter(stream), digest)
        if kind in ("csv", "tsv"):
            for number, record in enumerate(_records(_decoded(lines), kind), 1):
                yield number, as_json(record)
            return
        for number, line in enumerate(_decoded(lines), 1):
            yield number, line.rstrip("\r\n")


def as_json(record: dict[str, Any]) -> str:
    """A table's row as it is searched: by column in alphabetical order and without spaces, whatever the table's order.

    So a pattern that a workload makes for rows of JSON finds the same rows in a table.
    """
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _hashed(lines: Iterator[bytes], digest: Digest) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _decoded(lines: Iterator[bytes]) -> Iterator[str]:
    first = True
    for line in lines:
        if first and not is_readable(line[:_BLOCK]):
            raise NotRowsError("it is not text; rows are read from JSON lines, CSV, TSV, Parquet and plain text")
        text = line.decode("utf-8", "replace")
        # A spreadsheet program writes this mark, which is no part of the first column's name.
        yield text.removeprefix("\ufeff") if first else text
        first = False


def is_readable(block: bytes) -> bool:
    """Whether a file's first bytes may be UTF-8 text, of any script."""
    if b"\0" in block:
        return False
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(block) - 3 or is_text(block)  # a cut within a character, or another 8-bit encoding
    return True


def _records(lines: Iterator[str], kind: Format) -> Iterator[dict[str, str]]:
    """The records of a table by the names in its first one."""
    csv.field_size_limit(_LONGEST_CELL)
    head = next(lines, "")
    delimiter = "\t" if kind == "tsv" else _delimiter(head)
    reader = csv.reader(_again(head, lines), delimiter=delimiter)
    names: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not names:
                names = _unique(cells)
                continue
            more = [str(number) for number in range(len(names) + 1, len(cells) + 1)]
            yield dict(zip([*names, *more], cells, strict=False))
    except csv.Error as error:
        raise NotRowsError(f"line {reader.line_num} is not CSV: {error}") from error


def _again(head: str, lines: Iterator[str]) -> Iterator[str]:
    yield head
    yield from lines


def _delimiter(head: str) -> str:
    """The separator that the first line has most of, not counting what stands in quotes."""
    outside = "".join(head.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _unique(cells: list[str]) -> list[str]:
    """The names of columns; an empty or repeated one is its number."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip()
        names.append(name if name and name not in names else str(number))
    return names
