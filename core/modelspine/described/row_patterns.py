"""Regular expressions for rows of a corpus that hold a value, a text or some words, whatever wrote the rows.

A row is searched as a line of JSON, or as a table's row in the form of ``lineage.row_formats``. So a pattern allows for
spaces behind a colon, for characters written as escapes, and for a number with or without quotation marks. Each part is
short enough that the whole stays below the limit of a search. It does not know which columns there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from modelspine.text import visible

_LONGEST_CELL = 90
"""Characters of a pattern for one cell's value; a longer value is matched by its beginning."""
_LONGEST_TEXT = 220
_LONGEST_PATTERN = 500
"""What ``lineage.corpora`` searches for."""
_WORDS = 4
_WORD = re.compile(r"[^\W_]{3,}", re.UNICODE)
_NUMBER = re.compile(r"(?P<whole>-?[0-9]+)(?:\.(?P<part>[0-9]*?)0*)?")


def has_cell(column: str, value: str, casefold: bool = False) -> str:
    """A row in which a column holds a value, as text, as a number or as true and false.

    Tables write a number in several ways, such as 4.0 or 2.50, and true as True; all of their cells are texts.
    """
    if number := _NUMBER.fullmatch(value):
        decimals = rf"\.{number['part']}0*" if number["part"] else r"(?:\.0*)?"
        both = rf'"?{re.escape(number["whole"])}{decimals}"?\s*[,}}]'
    elif value in ("true", "false"):
        both = rf'"?(?i:{value})"?\s*[,}}]'
    else:
        both = _quoted(value, _LONGEST_CELL)
    return f"{_key(column)}{f'(?i:{both})' if casefold else both}"


def has_column(column: str) -> str:
    """A row that has a column, whatever its value."""
    return _key(column)


def has_text(column: str, text: str) -> str:
    """A row in which a column holds a text; of a long one, its beginning."""
    return f"{_key(column)}{_quoted(text, _LONGEST_TEXT)}"


def has_words(text: str) -> str | None:
    """A row that holds the longest words of a text, in any order and case; None for a text without a word."""
    words = sorted({found.casefold() for found in _WORD.findall(text[:2_000])}, key=lambda word: (-len(word), word))
    if not words:
        return None
    return r"(?i)\A" + "".join(f"(?=.*{_spelled(word[:24])})" for word in words[:_WORDS])


def has_list(column: str, values: Sequence[float]) -> str:
    """A row in which a column holds a list that begins with these numbers, as many as fit."""
    found = rf"{_key(column)}\[\s*"
    for number, value in enumerate(values):
        shown = repr(int(value)) if float(value).is_integer() else repr(value)
        zeros = "0*" if "." in shown else r"(?:\.0+)?"
        part = (r"\s*,\s*" if number else "") + re.escape(shown) + zeros
        if len(found) + len(part) > _LONGEST_TEXT:
            return found
        found += part
    return found + r"\s*[,\]]"


def row_with(parts: Sequence[str]) -> str:
    """A row that matches every part; empty without one, and where they are too long to be searched for together."""
    kept = [part for part in parts if part]
    # Anchored, so that a row without the first part is given up at once and not tried at each of its characters.
    found = r"\A" + "".join(f"(?=.*{part})" for part in kept) if len(kept) > 1 else "".join(kept)
    return found if len(found) <= _LONGEST_PATTERN else ""


def _key(column: str) -> str:
    """A column's name in a row, with the colon; of ``meta.topic``, the last part."""
    name = column.rpartition(".")[2] or column
    return rf'"{_spelled(name)}"\s*:\s*'


def _quoted(value: str, longest: int) -> str:
    """A JSON string as any program may write it; without its end where it is too long."""
    found = '"'
    for char in value:
        found += _char(char)
        if len(found) > longest:
            return found
    return f'{found}"'


def _spelled(text: str) -> str:
    return "".join(map(_char, text))


def _char(char: str) -> str:
    """One character of a JSON string, written as it is or escaped."""
    written = json.dumps(char, ensure_ascii=False)[1:-1]
    escaped = json.dumps(char)[1:-1]
    if written == escaped:
        return written if written == " " else re.escape(written)  # a space needs no escape, and people read patterns
    # A character that a reader could not see is named by its number: patterns are shown and pasted.
    plain = re.escape(written) if visible(char) == char else rf"\U{ord(char):08x}"
    return f"(?:{plain}|(?i:{re.escape(escaped)}))"
