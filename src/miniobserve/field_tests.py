"""What a search asks of the fields of answers, such as ``score<0.6``, and whether the fields of one answer meet it.

It is decided here and not in SQL, so that each store gives the same requests, whatever a name or a value holds. A field
that is an object or a list is not compared itself; its members are called as in a drift report: ``probabilities.dog``.
This module reads no store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from miniobserve.rows import undecodable

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
Number = int | float
MOST_NAMES = 100
"""Names of fields that are remembered of those that were seen."""
_DEPTH = 4
"""Objects within each other that a name leads through."""
_TEST = re.compile(r"(?P<name>.*?)(?P<sign><=|>=|!=|==?|<|>)(?P<value>.*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,4300}")
"""As many digits as Python reads."""
_COMPARED = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}


class FieldTest(msgspec.Struct, frozen=True):
    """A comparison that a field must meet, or with ``inverted`` must not; a field that is absent or null meets none.

    A number is compared as a number, a text by equality, whatever its case, and yes or no by equality with ``true`` or
    ``false``.
    """

    name: str
    sign: Sign
    value: str
    inverted: bool = False
    exact: bool = False
    """Only a text is equal, and only in its case."""

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether the fields of an answer meet it."""
        held = value_of(fields, self.name)
        return (held is not None and self._met_by(held)) != self.inverted

    def _met_by(self, held: Any) -> bool:
        if self.sign in _COMPARED:
            wanted = number(self.value)
            if wanted is None or not is_number(held):
                return False
            return (held > wanted) - (held < wanted) in _COMPARED[self.sign]
        if self.exact:
            same = isinstance(held, str) and self.value == held
        elif isinstance(held, bool):
            same = self.value.lower() == ("true" if held else "false")
        elif isinstance(held, str):
            same = self.value.lower() == held.lower()
        elif isinstance(held, int | float):
            same = held == number(self.value)
        else:
            return False
        return same is (self.sign == "=")


def parse_test(text: str) -> FieldTest:
    """The comparison that a text such as ``score<0.6`` means; the name ends at the first sign.

    Raises:
        ValueError: it is none, or it compares the size of something that is no finite number.
    """
    match = _TEST.fullmatch(text)
    if match is None or not match["name"].strip():
        raise ValueError("it is not a name, one of = != < <= > >= and a value")
    sign: Any = "=" if match["sign"] == "==" else match["sign"]
    found = FieldTest(match["name"].strip(), sign, match["value"].strip())
    if found.sign in _COMPARED and number(found.value) is None:
        raise ValueError(f"{found.sign} compares numbers, and there is no finite number behind it")
    return found


def number(text: str) -> Number | None:
    """The finite number that a text is; None if it is none."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if abs(found) != float("inf") else None


def value_of(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field, None if absent; ``probabilities.dog`` is a member where no field has that whole name."""
    return _member(fields, name, _DEPTH)


def value_text(value: Any) -> str:
    """The value of a field as JSON has it, but a text as it is; empty for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def is_number(value: Any) -> bool:
    """Whether the value of a field is a number; yes or no is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def names_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """The names under which the values of an answer's fields are found, without those that are null."""
    yield from _names(fields, "", _DEPTH)


class FieldTests:
    """Some comparisons, all of which must be met, and what fields they met on the way."""

    def __init__(self, tests: Sequence[FieldTest]) -> None:
        self._tests = tests
        self._unseen = {test.name for test in tests}
        self._seen: dict[str, None] = {}
        self._read = False

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that no answer had a field of; none where there was no answer."""
        return tuple(dict.fromkeys(test.name for test in self._tests if self._read and test.name in self._unseen))

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of fields of the answers; complete up to ``MOST_NAMES`` while a name is unknown."""
        return tuple(sorted(self._seen))

    def hold(self, fields: Mapping[str, Any]) -> bool:
        """Whether the fields of one answer meet all of them."""
        self._read = True
        if self._unseen:
            self._unseen -= {name for name in self._unseen if value_of(fields, name) is not None}
            if len(self._seen) < MOST_NAMES:
                for name in names_of(fields):
                    self._seen.setdefault(name)
        return all(test.holds(fields) for test in self._tests)


class _Rest(msgspec.Struct):
    fields: dict[str, Any] = {}


_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


def fields_of(stored: str, *, live: bool) -> dict[str, Any]:
    """The fields of an answer, of the JSON in the column ``rest`` of the live store or ``fields`` of a closed day.

    Raises:
        StorageError: kind ``damaged`` if it cannot be decoded.
    """
    try:
        return _decode_rest(stored).fields if live else _decode_fields(stored)
    except msgspec.MsgspecError as error:
        raise undecodable(error) from error


def _member(held: Any, name: str, depth: int) -> Any:
    if isinstance(held, Mapping) and (found := held.get(name)) is not None:
        return found
    if isinstance(held, list):
        held = {str(place): one for place, one in enumerate(held)}
        if name in held:
            return held[name]
    if not isinstance(held, Mapping) or depth <= 1:
        return None
    dot = name.find(".")
    while dot >= 0:
        inner = held.get(name[:dot])
        if isinstance(inner, Mapping | list) and (found := _member(inner, name[dot + 1 :], depth - 1)) is not None:
            return found
        dot = name.find(".", dot + 1)
    return None


def _names(held: Any, before: str, depth: int) -> Iterator[str]:
    members = held.items() if isinstance(held, Mapping) else enumerate(held)
    for key, member in members:
        name = f"{before}{key}"
        if isinstance(member, Mapping | list):
            if depth > 1:
                yield from _names(member, f"{name}.", depth - 1)
        elif member is not None:
            yield name
