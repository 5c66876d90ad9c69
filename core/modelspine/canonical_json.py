"""Strict JSON parsing and canonical JSON output: the bytes that every digest is computed over.

``parse_json`` accepts only JSON (RFC 8259) that every parser reads the same way, so that no two programs disagree
about what was hashed; ``canonical`` writes RFC 8785. It does not know what the JSON describes.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from itertools import accumulate
from typing import Any, NoReturn

import rfc8785

from modelspine.errors import BadInput
from modelspine.text import visible

# Limits far above any real manifest or report, low enough that parsing a hostile file is harmless.
MAX_DEPTH = 64
MAX_ITEMS = 500_000
MAX_INTEGER = 2**53 - 1  # larger integers are not exact in readers that use doubles, such as JavaScript

# An unterminated string matches up to the end of the text, and the quantifiers are possessive, so that the scan never
# backtracks and stays linear on hostile input.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},"))
_STEP = bytes({ord("["): 1, ord("{"): 1, ord("]"): 255, ord("}"): 255}.get(byte, 0) for byte in range(256))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_HINT = "write it again with a standard JSON library; JSON that parsers read differently cannot be hashed"


def canonical(obj: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises:
        ValueError: the value cannot be represented in strict JSON.
    """
    return rfc8785.dumps(obj)


def parse_json(
    raw: bytes,
    *,
    what: str,
    error: type[BadInput] = BadInput,
    items: int = MAX_ITEMS,
    constants: list[str] | None = None,
) -> Any:
    """The value of one strict JSON text.

    Args:
        raw: the text.
        what: names the text in messages.
        error: the class to raise.
        items: how many items the text may have.
        constants: a list that collects each NaN and Infinity; without one they are refused.

    Raises:
        BadInput: the text is not UTF-8, has a byte order mark, a repeated key (compared after unescaping), a lone
            surrogate, NaN or Infinity, a number that overflows a double, an integer beyond ±(2^53 − 1), nesting
            deeper than 64, or more than ``items`` items.
    """
    strict = _Strict(what, error, items, constants)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        strict.refuse(f"is not UTF-8 at byte {exc.start}")
    if text.startswith("\ufeff"):  # RFC 8259 lets readers ignore it or fail, so they disagree
        strict.refuse("starts with a byte order mark")
    strict.check_structure(raw)
    try:
        value = json.loads(
            text,
            object_pairs_hook=strict.pairs,
            parse_int=strict.integer,
            parse_float=strict.real,
            parse_constant=strict.constant,
        )
    except json.JSONDecodeError as exc:
        strict.refuse(f"is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}")
    if _SURROGATE.search(text):  # an escaped surrogate may be half of a valid pair, so the parsed value decides
        strict.check_surrogates(value)
    return value


class _Strict:
    """The decoder hooks and checks of one parse; each refusal names the text."""

    def __init__(self, what: str, error: type[BadInput], items: int, constants: list[str] | None) -> None:
        self.what = what
        self.error = error
        self.items = items
        self.constants = constants

    def refuse(self, reason: str) -> NoReturn:
        raise self.error(f"{visible(self.what, 120)} {reason}", _HINT)

    def check_structure(self, raw: bytes) -> None:
        """Limit depth and item count on the raw bytes, before the recursive parser sees them."""
        # Counted by C loops over bytes: strings are cut out, brackets become +1 and −1, and a running sum gives the
        # depth. Parsing hostile input first could exhaust the stack or the memory.
        if raw.count(b'"') > 4 * self.items:  # a cheap first bound; a member takes four
            self.refuse(f"has more than {self.items:,} items")
        structure = _STRING.sub(b"", raw).translate(None, _NOT_STRUCTURE)
        if len(structure) > 2 * self.items or structure.count(b",") > self.items:
            self.refuse(f"has more than {self.items:,} items")
        steps = array("b", structure.translate(_STEP))
        if max(accumulate(steps), default=0) > MAX_DEPTH:
            self.refuse(f"nests deeper than {MAX_DEPTH}")

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):  # parsers disagree on which of two equal keys wins
            seen: set[str] = set()
            repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            self.refuse(f"has the key “{visible(repeated, 60)}” more than once in one object")
        return found

    def integer(self, token: str) -> int | float:
        if token == "-0":  # noqa: S105  (a JSON token, no secret)
            return -0.0  # as a double, because an integer would lose the sign
        # Converting a long decimal string to int takes quadratic time, so the length is checked first.
        if len(token) > 17 or abs(number := int(token)) > MAX_INTEGER:
            self.refuse(f"has the integer {visible(token, 40)}, beyond ±(2^53 − 1)")
        return number

    def real(self, token: str) -> float:
        number = float(token)
        if math.isinf(number):
            self.refuse(f"has the number {visible(token, 40)}, too large for a double")
        return number

    def constant(self, token: str) -> float:
        if self.constants is None:
            self.refuse(f"has {token}, which is not a JSON number")
        self.constants.append(token)
        return float(token)

    def check_surrogates(self, value: Any) -> None:
        """Search a value, whose depth is already limited, for strings that UTF-8 cannot encode."""
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                self.refuse(f"has a lone surrogate in “{visible(value, 60)}”")
        elif isinstance(value, dict):
            for key, item in value.items():
                self.check_surrogates(key)
                self.check_surrogates(item)
        elif isinstance(value, list):
            for item in value:
                self.check_surrogates(item)
