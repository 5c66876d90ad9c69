"""Exporting what a screen shows to a file, unsanitized, for programs to read: JSON, CSV, or the screen itself as SVG.

The file appears complete or not at all. It does not know what it writes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Unavailable
from modelspine.files import write_file

FORMATS = ("json", "csv", "svg")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would run as a formula."""


def as_json(value: Any) -> bytes:
    """``value`` as JSON, indented; half of a surrogate pair, which is no text of UTF-8, is written as an escape."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), indent=2).encode() + b"\n"


def as_csv(value: Any) -> bytes:
    """The first list of objects in ``value`` as CSV in UTF-8: a line for each object, a column for each field.

    The fields of an object inside an object are columns too, ``cost.usd``; a list is written as JSON. A text that a
    spreadsheet would run as a formula gets an apostrophe in front, because texts may come from outside.

    Raises:
        BadInput: there is no list of objects.
    """
    rows = [dict(_cells("", item)) for item in _table(msgspec.to_builtins(value))]
    if not rows:
        raise BadInput("there are no rows to export as CSV here", ":export json writes everything that is shown")
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _table(value: Any) -> list[Mapping[str, Any]]:
    for part in value.values() if isinstance(value, Mapping) else [value]:
        if isinstance(part, list | tuple) and part and all(isinstance(item, Mapping) for item in part):
            return list(part)
    return []


def _cells(prefix: str, item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, Mapping):
            yield from _cells(f"{prefix}{name}.", value)
        elif isinstance(value, list | tuple):
            yield _tame(f"{prefix}{name}"), json.dumps(value, ensure_ascii=False)
        else:
            yield _tame(f"{prefix}{name}"), _tame(value) if isinstance(value, str) else value


def _tame(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def write(folder: Path, name: str, suffix: str, raw: bytes, now: datetime) -> str:
    """Write a new file in ``folder``; returns its path.

    Raises:
        Unavailable: the folder or the file cannot be written.
    """
    # Names may come from data, such as request ids: nothing in them may leave the folder.
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80].strip("-.") or "export"
    path = folder / f"{stem}-{now:%Y%m%dT%H%M%S}.{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, raw)
    except OSError as error:
        raise Unavailable(
            f"{path.name} could not be written: {error.strerror or error}", f"check that {folder} is writable"
        ) from error
    return str(path)
