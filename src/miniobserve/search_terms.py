"""What a search asks for, as SQL: the conditions of its terms, and the key it sorts by.

The SQL has the live store's names of columns. This module runs no query.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

import msgspec

from miniobserve.conditions import GRADED, bindable, like_pattern
from miniobserve.days import day_range
from miniobserve.schema import searchable

Order = Literal["time", "latency", "outcome", "feature", "field"]
Fragment = tuple[str, list[Any]]
"""A piece of SQL with its parameters."""

_COLUMNS = {
    "id": "LOWER(traces.request_id)",
    "arm": "LOWER(traces.arm)",
    "outcome": "COALESCE(feedback.outcome, '')",
    "label": "LOWER(COALESCE(feedback.label, ''))",
    "graded": GRADED,
    "sha": "traces.entry_sha",
    "text": "traces.text",
}
"""Field → the lower-case text that its terms are looked for in."""
_ANYWHERE = ("text", "id", "arm", "outcome")
"""Fields in which a term without a field is looked for."""
_WORST_FIRST = "CASE feedback.outcome WHEN 'dismissed' THEN 0 WHEN 'revised' THEN 1 WHEN 'accepted' THEN 2 ELSE 3 END"
_HASH = "COALESCE(traces.text_sha256, '')"
_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_MONTHS = 12


class Term(msgspec.Struct, frozen=True):
    """Text to find in one field, or anywhere if ``field`` is empty; with ``inverted``, text that must not be there.

    Case does not matter. A whole sentence in the field ``text`` is also found where only its hash was kept. A term
    with a field and no text asks for traces whose field is empty.
    """

    text: str
    field: str = ""
    inverted: bool = False
    exact: bool = False
    """The field must be the text, and not only contain it."""
    feature: bool = False
    """The field is a feature, even if every trace has a field of that name."""


def condition(term: Term, find: str) -> Fragment | None:
    """The condition of one term; ``find`` is the database's function for the position of a text in another.

    None for a day that is neither ``YYYY``, ``YYYY-MM`` nor ``YYYY-MM-DD``, as while it is typed: it excludes nothing.
    """
    found = _condition(term, searchable(term.text), find)
    if found is None:
        return None
    sql, params = found
    return (f"NOT ({sql})" if term.inverted else f"({sql})"), [bindable(value) for value in params]


def sort_key(order: Order, feature: str, find: str, bytewise: str) -> tuple[Fragment, Fragment]:
    """What traces are sorted by: 1 where they have no key, and the key, a number or a text.

    ``latency`` puts the slowest first, ``outcome`` dismissed before revised and accepted. ``bytewise`` makes the
    database compare texts as Python does.
    """
    if order == "latency":
        return ("CASE WHEN traces.seconds IS NULL THEN 1 ELSE 0 END", []), ("COALESCE(-traces.seconds, 0)", [])
    if order == "outcome":
        return ("CASE WHEN COALESCE(feedback.outcome, '') = '' THEN 1 ELSE 0 END", []), (_WORST_FIRST, [])
    sql, params = _feature(feature, find)
    bound = [bindable(value) for value in params]
    return (f"CASE WHEN ({sql}) = '' THEN 1 ELSE 0 END", bound), (f"({sql}){bytewise}", bound)


def span_of(terms: Sequence[Term]) -> tuple[int, int] | None:
    """The first nanosecond, and the one after the last, of what the days leave that all of the terms ask for."""
    asked = [term for term in terms if term.field == "day" and not term.feature and not term.inverted]
    spans = [span for span in (day_span(searchable(term.text)) for term in asked) if span is not None]
    return (max(first for first, _ in spans), min(end for _, end in spans)) if spans else None


def _condition(term: Term, text: str, find: str) -> Fragment | None:
    if not term.field:
        parts = [f"{_COLUMNS[name]} LIKE ? ESCAPE '!'" for name in _ANYWHERE]
        return " OR ".join(parts), [like_pattern(text)] * len(parts)
    field = "" if term.feature else term.field
    if field == "day":
        span = day_span(text)
        return None if span is None else ("traces.started_ns >= ? AND traces.started_ns < ?", [*span])
    if field == "source":
        return "traces.source LIKE ? ESCAPE '!'", [like_pattern(text)[1:]]
    if field == "text" and text:
        return f"{_COLUMNS[field]} LIKE ? ESCAPE '!' OR {_HASH} = ?", [like_pattern(text), _sha256(term.text)]
    if field in _COLUMNS:
        fragment: Fragment = _COLUMNS[field], []
    else:
        fragment, text = _feature(term.field, find), text.replace("|", "/")  # as a feature's value is stored
    sql, params = fragment
    if term.exact or not text:
        return f"{sql} = ?", [*params, text]
    return f"{sql} LIKE ? ESCAPE '!'", [*params, like_pattern(text)]


def _sha256(text: str) -> str:
    import hashlib  # here, because it loads OpenSSL and few searches need it

    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _feature(name: str, find: str) -> Fragment:
    """The value of a feature in the column of features, which is ``|name=value|name=value|``; empty without it."""
    marker = f"|{searchable(name)}="
    rest = f"substr(traces.features, {find}(traces.features, ?) + {len(marker)})"
    value = f"substr({rest}, 1, {find}({rest}, '|') - 1)"
    return f"CASE WHEN {find}(traces.features, ?) > 0 THEN {value} ELSE '' END", [marker] * 3


def day_span(text: str) -> tuple[int, int] | None:
    """The first nanosecond of a year, month or day and of the next one; None if the text is none of these."""
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, month, day = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        if day:
            following = first + timedelta(days=1)
        elif month:
            following = date(first.year + first.month // _MONTHS, first.month % _MONTHS + 1, 1)
        else:
            following = date(first.year + 1, 1, 1)
    except (ValueError, OverflowError):
        return None
    return day_range(first.isoformat())[0], day_range(following.isoformat())[0]
