"""Recognising the result of another tool where a report of Spine was expected, to name the way to convert it.

It only looks at the shape of the bytes; ``release.result_import`` reads them. A guess is a suggestion and decides
nothing.
"""

from __future__ import annotations

import csv
import json
from typing import Any, Final, Literal, get_args

from modelspine.gate.eval_report import is_foreign

Format = Literal["jsonl", "csv", "sklearn", "lm-eval", "hf"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_LOOKED_AT = 1 << 20
"""Bytes of the first line that are looked at."""


def guess_format(raw: bytes) -> Format | None:
    """The format that a foreign result seems to have; None for a file of Spine, and where nothing fits."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return _guess_lines(raw)
    if isinstance(data, list):
        return "jsonl" if data and all(isinstance(row, dict) for row in data) else None
    if not isinstance(data, dict) or not is_foreign(data):
        return None
    if isinstance(data.get("results"), dict):
        return "lm-eval"
    if "macro avg" in data or "weighted avg" in data:
        return "sklearn"
    if "doc_id" in data and "doc" in data:  # a file of samples with one line is one object
        return "lm-eval"
    return "hf" if any(_is_number(value) for value in data.values()) else None


def converter(raw: bytes) -> str | None:
    """The command that makes a report of a foreign result, as a hint; None for bytes that are no such result."""
    found = guess_format(raw)
    if found is None:
        return None
    command = f"`spine eval import FILE --format {found}`"
    return f"it looks like a result of the format {found}, of which {command} makes a report"


def _guess_lines(raw: bytes) -> Format | None:
    """The format of a file with an item on each line."""
    line = raw[:_LOOKED_AT].partition(b"\n")[0].strip()
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return "csv" if _is_header(text) else None
    if not isinstance(row, dict) or not is_foreign(row):
        return None
    return "lm-eval" if "doc_id" in row and "doc" in row else "jsonl"


def _is_header(text: str) -> bool:
    """Whether a line could be the header of a table: at least two names, each of them short and printable."""
    if text.startswith(("{", "[")):  # JSON that is damaged, or laid out on several lines
        return False
    try:
        names = next(csv.reader([text], delimiter=delimiter_of(text)), [])
    except csv.Error:
        return False
    return len(names) > 1 and all(0 < len(name.strip()) <= 100 and name.isprintable() for name in names)


def delimiter_of(header: str) -> str:
    """The character between the columns of a table with this header: a comma, a semicolon or a tab."""
    return max((",", ";", "\t"), key=header.count)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
