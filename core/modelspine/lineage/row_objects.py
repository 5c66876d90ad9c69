"""The rows of a file as objects with a text, whatever columns they have. It does not know where files come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from modelspine.lineage.dvc_hash import Digest
from modelspine.lineage.row_formats import Format, texts

TEXT = "text"
_USUAL = (TEXT, "sentence", "content", "input", "prompt", "question", "utterance", "query", "document", "body", "title")
_DECODE: Callable[[str], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode


def objects(file: Path, kind: Format, digest: Digest, prefer: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield each row as an object with a ``text`` where it has one; lines of JSON that are no objects are skipped.

    ``prefer`` names the columns to take the text from, before the usual ones. ``digest`` is as for ``texts``.

    Raises:
        NotRowsError, OSError: see ``texts``.
    """
    setting, *others = prefer or ("",)
    for number, line in texts(file, kind, digest):
        if kind == "lines" and number == 1 and _is_object(line):
            kind = "json"  # the name of a file with JSON need not say so
        if kind == "lines":
            yield {TEXT: line}
            continue
        with suppress(msgspec.MsgspecError):
            row = _DECODE(line)
            found = _column(row, setting, others)
            yield row | {TEXT: row[found]} if found is not None else row


def _column(row: dict[str, Any], setting: str, prefer: Sequence[str]) -> str | None:
    """The column with the text of a row: the one of the setting, or a usual one, or the only one that is text."""
    if setting:
        return setting if setting in row else None
    for name in (TEXT, *prefer, *_USUAL):
        if isinstance(row.get(name), str):
            return name
    named = {name.casefold(): name for name in row}
    usual = next((named[name] for name in _USUAL if isinstance(row.get(named.get(name, "")), str)), None)
    only = [name for name, value in row.items() if isinstance(value, str)]
    return usual or (only[0] if len(only) == 1 else None)


def _is_object(line: str) -> bool:
    try:
        _DECODE(line)
    except msgspec.MsgspecError:
        return False
    return True
