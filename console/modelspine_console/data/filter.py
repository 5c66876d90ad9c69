"""The filter language: words that must all be found, ``field:value``, and ``!`` to exclude.

It turns a text into a predicate over rows, and does not know what a row is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence

import msgspec

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
"""What reads as the name of a field; the text before the colon of a time or an address does not."""
SLICE = 5_000
"""Rows that are searched in one go, which takes a millisecond or two. Between two goes, keys are handled."""
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

    def narrows(self, other: Filter) -> bool:
        """Whether every row that passes this filter passes the other one too; False where that is not obvious."""
        return all(any(_implies(term, theirs) for term in self.terms) for theirs in other.terms)

    def places(
        self,
        texts: Sequence[str],
        fields: Callable[[int], Fields],
        *,
        complete: bool,
        among: Sequence[int] | None = None,
    ) -> Sequence[int]:
        """The numbers of the rows that pass, given their lower-case texts and what returns the fields of one.

        ``complete`` texts contain those of all fields, so that most rows need no look at their fields. Only the rows
        ``among`` are searched; None searches all of them.
        """
        found: Sequence[int] = range(len(texts)) if among is None else among
        for term in self.terms:  # one loop each, because a list may have a hundred thousand rows
            word, wanted = term.text, not term.inverted
            if not term.field:
                found = [at for at in found if (word in texts[at]) is wanted]
            elif complete:
                found = [at for at in found if (word in texts[at] and _found(term, "", fields(at))) is wanted]
            else:
                found = [at for at in found if _found(term, "", fields(at)) is wanted]
        return found

    def value(self, field: str) -> str | None:
        """The value a field must have, if it is named exactly once and not excluded; a store can look that up."""
        asked = [term.text for term in self.terms if term.field == field and not term.inverted]
        return asked[0] if len(asked) == 1 else None


class _Search(msgspec.Struct):
    """A search that may not have come to all of its rows yet."""

    wanted: Filter
    among: Sequence[int]
    passing: Callable[[Sequence[int]], Sequence[int]]
    """Those of some rows that pass."""
    found: list[int]
    at: int = 0
    """How many of the rows were searched."""

    def go_on(self) -> bool:
        """Search some more rows, and return whether any are left."""
        self.found += self.passing(self.among[self.at : self.at + SLICE])
        self.at += SLICE
        return self.at < len(self.among)

    def has(self, enough: int, row: int) -> bool:
        """Return whether so many rows behind a row have passed."""
        return len(self.found) >= enough and self.found[-enough] > row


class Narrowing:
    """Finds the rows that pass while a filter is typed.

    It keeps what passed for each letter, so that one more letter searches only those rows, and one less searches none.
    """

    def __init__(self) -> None:
        self._texts: Sequence[str] = ()
        self._passed: list[tuple[Filter, Sequence[int]]] = []
        """Filters, each of which narrows the one before it, and the rows that passed."""
        self._search: _Search | None = None
        """The search for the newest filter, while rows are left."""

    def places(
        self,
        wanted: Filter,
        texts: Sequence[str],
        fields: Callable[[int], Fields],
        *,
        complete: bool,
        enough: int | None = None,
        row: int = 0,
    ) -> Sequence[int]:
        """The numbers of the rows that pass, by the arguments of ``Filter.places``.

        Give a new list of ``texts`` when the rows change. With ``enough``, the search may stop once so many rows behind
        ``row`` have passed: then ``unfinished`` is true, and ``go_on`` searches more rows.
        """
        self.stop()
        if texts is not self._texts:
            self._texts, self._passed = texts, []
        while self._passed and not wanted.narrows(self._passed[-1][0]):
            self._passed.pop()
        before, among = self._passed[-1] if self._passed else (Filter(), range(len(texts)))
        if wanted.terms == before.terms:
            return among
        search = _Search(
            wanted, among, lambda some: wanted.places(texts, fields, complete=complete, among=some), found=[]
        )
        self._search = search
        while self.go_on():
            if enough is not None and search.has(enough, row):
                return list(search.found)
        return search.found

    @property
    def unfinished(self) -> bool:
        """Whether rows are left that the newest search has not come to."""
        return self._search is not None

    def go_on(self) -> bool:
        """Search some more rows, and return whether any are left.

        Once none are left, ``places`` with the same filter and texts returns the result.
        """
        search = self._search
        if search is not None and not search.go_on():
            self._passed.append((search.wanted, search.found))
            self._search = None
        return self.unfinished

    def stop(self) -> None:
        """Give up a search that is not finished."""
        self._search = None


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


def _implies(term: Term, other: Term) -> bool:
    """Whether a row that passes one term passes the other; a longer word contains the shorter one."""
    longer = other.text != "" and other.text in term.text and not term.inverted
    return term.field == other.field and term.inverted == other.inverted and (term.text == other.text or longer)


def _found(term: Term, haystack: str, fields: Fields) -> bool:
    if not term.field:
        return term.text in haystack
    value = fields(term.field)
    return value is not None and (term.text in value.lower() if term.text else not value)
