"""What a filter prompt means: words that must all be found, ``field:value``, and ``!`` for the opposite.

Pure: a text goes in, a predicate over rows comes out. It does not know which rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

Fields = Callable[[str], str | None]
"""Gives the text of a named field of one row, or None where there is no such field."""


class Term(msgspec.Struct, frozen=True):
    """One word of a filter."""

    text: str
    field: str = ""
    inverted: bool = False


class Filter(msgspec.Struct, frozen=True):
    """The terms of a filter; all of them must hold."""

    terms: tuple[Term, ...] = ()

    def matches(self, haystack: str, fields: Fields) -> bool:
        """True where a row, given as its lower-case text and its fields, passes."""
        for term in self.terms:
            found = _found(term, haystack, fields)
            if found == term.inverted:
                return False
        return True

    def value(self, field: str) -> str | None:
        """The value asked of a field, where it is asked plainly and once; a store can look that up."""
        asked = [term.text for term in self.terms if term.field == field and not term.inverted]
        return asked[0] if len(asked) == 1 else None


def parse(text: str, fields: Mapping[str, str] | frozenset[str]) -> Filter:
    """The filter a text means; only known fields count as ``field:value``, all else is a word to find."""
    terms = []
    for word in text.split():
        inverted = word.startswith("!")
        bare = word[1:] if inverted else word
        name, colon, value = bare.partition(":")
        known = colon and name.lower() in fields
        shown = value if known else bare
        if shown or known:
            terms.append(Term(text=shown.lower(), field=name.lower() if known else "", inverted=inverted))
    return Filter(tuple(terms))


def _found(term: Term, haystack: str, fields: Fields) -> bool:
    if not term.field:
        return term.text in haystack
    value = fields(term.field)
    return value is not None and (term.text in value.lower() if term.text else not value)
