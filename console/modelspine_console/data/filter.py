"""The filter language: words that must all be found, ``field:value``, and ``!`` to exclude.

Pure: it turns a text into a predicate over rows. It does not know which rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

import msgspec

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
"""What reads as the name of a field; the text before the colon of a time or an address does not."""
Fields = Callable[[str], str | None]
"""Returns the text of a named field of one row, or None if there is no such field."""


class Term(msgspec.Struct, frozen=True):
    """One word of a filter, in lower case."""

    text: str
    field: str = ""
    inverted: bool = False


class Filter(msgspec.Struct, frozen=True):
    """The terms of a filter, which must all match."""

    terms: tuple[Term, ...] = ()
    unknown: tuple[str, ...] = ()
    """Names in front of a colon that are no field; such a word is looked for as it stands."""

    def matches(self, haystack: str, fields: Fields) -> bool:
        """Whether a row passes, given its lower-case text and its fields."""
        return all(_found(term, haystack, fields) != term.inverted for term in self.terms)

    def value(self, field: str) -> str | None:
        """The value a field must have, if it is named exactly once and not excluded; a store can look that up."""
        asked = [term.text for term in self.terms if term.field == field and not term.inverted]
        return asked[0] if len(asked) == 1 else None


def parse(text: str, fields: Container[str]) -> Filter:
    """The filter of a text; ``field:value`` counts only for known fields, anything else is a word to find.

    A word that looks like ``field:value`` and names no field is reported in ``unknown``.
    """
    terms, unknown = [], []
    for word in text.split():
        inverted = word.startswith("!")
        bare = word[1:] if inverted else word
        name, colon, value = bare.partition(":")
        known = colon and name.lower() in fields
        if colon and not known and _NAME.fullmatch(name) and not value.startswith("//"):
            unknown.append(name.lower())
        shown = value if known else bare
        if shown or known:
            terms.append(Term(text=shown.lower(), field=name.lower() if known else "", inverted=inverted))
    return Filter(tuple(terms), tuple(dict.fromkeys(unknown)))


def _found(term: Term, haystack: str, fields: Fields) -> bool:
    if not term.field:
        return term.text in haystack
    value = fields(term.field)
    return value is not None and (term.text in value.lower() if term.text else not value)
