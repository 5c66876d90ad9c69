"""Adding an element to an array in the text of a JSON file, with every other character of the file left as it is.

Line endings, indentation, the order of the keys and the end of the file stay what a person chose, so that a review
shows the addition alone. It does not know what the JSON describes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_START = re.compile(r"(\r\n|\n|\r)([ \t]*)\Z")
_DECODER = json.JSONDecoder()


class _Part(NamedTuple):
    """A member of an object or an element of an array: where it begins, where its value begins, and where it ends."""

    key: str
    begin: int
    value: int
    end: int


class _Style(NamedTuple):
    """How the parts of one object or array are laid out."""

    gap: str
    """What stands before each part: a line break and its indentation, or the space between parts of one line."""
    unit: str | None
    """One step of indentation, for what a part contains; None where it stays on its line."""


def with_element(text: str, key: str, element: Any, place: int) -> str:
    """The text of an object with an element added to one of its arrays; a missing array is added with it.

    Args:
        text: one strict JSON object with at least one member; no key in it is repeated.
        key: the member that is the array.
        element: what to add.
        place: the index that it gets.
    """
    begin = _skip(text, 0)
    members = _parts(text, begin, keyed=True)
    outer = _style(text, begin, members)
    array = next((part for part in members if part.key == key), None)
    if array is None:
        keys = [part.key for part in members]
        at = sum(each < key for each in keys) if keys == sorted(keys) else len(keys)
        rendered = f"{json.dumps(key)}{_colon(text)}{_alone(text, outer, element)}"
        return _inserted(text, members, at, rendered, outer.gap)
    elements = _parts(text, array.value, keyed=False)
    if not elements:
        return text[: array.value] + _alone(text, outer, element) + text[array.end :]
    inner = _style(text, array.value, elements)
    neighbour = elements[min(place, len(elements) - 1)]
    if not re.search(r"[\r\n]", text[neighbour.begin : neighbour.end]):
        inner = inner._replace(unit=None)
    return _inserted(text, elements, place, _rendered(text, inner, element), inner.gap)


def _inserted(text: str, parts: Sequence[_Part], place: int, rendered: str, gap: str) -> str:
    """The text with a part put before the one at ``place``, or after the last one."""
    if place < len(parts):
        at = parts[place].begin
        return f"{text[:at]}{rendered},{gap}{text[at:]}"
    at = parts[-1].end
    return f"{text[:at]},{gap}{rendered}{text[at:]}"


def _alone(text: str, outer: _Style, element: Any) -> str:
    """An array of one element, as the value of a member of the outermost object."""
    if outer.unit is None:
        return f"[{_rendered(text, outer, element)}]"
    inner = outer._replace(gap=outer.gap + outer.unit)
    return f"[{inner.gap}{_rendered(text, inner, element)}{outer.gap}]"


def _rendered(text: str, style: _Style, value: Any) -> str:
    """A value as it is written in this text: in ASCII, so that a reviewer sees every character."""
    if style.unit is None:
        tight = _colon(text) == ":"
        return json.dumps(value, sort_keys=True, separators=(",", ":") if tight else (", ", ": "))
    lines = json.dumps(value, sort_keys=True, indent=style.unit, separators=(",", _colon(text))).split("\n")
    return style.gap.join(lines)


def _colon(text: str) -> str:
    """What stands between a key and its value in this text: a colon, and a space after it if the first key has one."""
    first = _parts(text, _skip(text, 0), keyed=True)[0]
    return ": " if text[first.value - 1] in " \t" else ":"


def _style(text: str, opened: int, parts: Sequence[_Part]) -> _Style:
    """The layout of the parts of the object or array that begins at ``opened``."""
    line = _LINE_START.search(text, 0, parts[0].begin)
    if line is None:
        # On one line: what stands between two parts, or a space where nothing says.
        gap = text[_skip_back(text, parts[1].begin) : parts[1].begin] if len(parts) > 1 else " "
        return _Style(gap=gap if _colon(text) == ": " else gap.strip(" "), unit=None)
    outer = re.match(r"[ \t]*", text[_line_of(text, opened) :])
    before = outer[0] if outer is not None else ""
    unit = line[2].removeprefix(before) or "  "
    return _Style(gap=line[0], unit=unit)


def _line_of(text: str, at: int) -> int:
    """Where the line of a position begins."""
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _skip_back(text: str, at: int) -> int:
    while text[at - 1] in " \t\r\n":
        at -= 1
    return at


def _parts(text: str, opened: int, *, keyed: bool) -> list[_Part]:
    """The parts of the object or array whose bracket stands at ``opened``."""
    parts: list[_Part] = []
    at = _skip(text, opened + 1)
    while text[at] not in "]}":
        begin, key = at, ""
        if keyed:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # over the colon
        end = _DECODER.raw_decode(text, at)[1]
        parts.append(_Part(key, begin, at, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return parts
