"""The list of requests: its columns, the signs in it with their legend, and what its filter and its order know.

Pure drawing of traces. The words that a reply changed are coloured in the sentence itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from msgspec import structs

from miniobserve.field_tests import FieldTest, is_number, names_of, parse_test, value_of, value_text
from modelspine.times import ledger_time
from modelspine.words import words
from modelspine_console.data.filter import Term
from modelspine_console.draw.format import age, dash, milliseconds, status
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.widgets.column import Column

LATENCY, FEEDBACK, OWN = 3, 2, 6
"""Numbers of the columns by which the store can be sorted; features and fields of answers come last."""
Own = tuple[Literal["feature", "field"], str]
"""A feature, or a field of the answer, that requests have a column of."""
NO_REQUESTS = "no requests yet\nstart the server with `spine serve`; every answer leaves a trace"
_ID = 14
"""Cells of a request's id in a list."""
_LEAST_TEXT = 40
"""Cells that the input has at least, before any column but the age gets room."""
_MOST_TEXT = 1000
"""Characters of a text that are compared and drawn."""
_ALIKE = 0.5
"""Share of words that a reply keeps, from which on it reads as an edited sentence and not as another text."""
_MARGIN = 2
"""Words kept in front of the first change where the beginning of a long sentence is left out."""
_WORST_FIRST = ("dismissed", "revised", "accepted")
_SIGNS: dict[str, tuple[str, Role, str]] = {
    "failed": ("✖", "bad", "failed"),
    "out of scope": ("○", "muted", "out of scope"),
    "wrong": ("≠", "bad", "graded wrong"),
    "accepted": ("=", "muted", ""),
    "answered": ("→", "accent", ""),
}
"""What became of a request → its sign, the sign's colour, and its words in the legend (empty: the workload's)."""


# columns ------------------------------------------------------------------------------------------------


def request_columns(now: Callable[[], datetime], own: Sequence[Own] = ()) -> tuple[Column, ...]:
    """The columns of a request, the same in every list of requests; ``own`` are shown while they are the order."""
    return (
        Column("age", 7, lambda t: age(ledger_time(t.started_ns), now()), right=True),
        Column("request → reply", _LEAST_TEXT, _exchange_in_full, grow=True, fitted=exchange),
        Column("feedback", 11, _feedback, _worst_first, rank=1),
        Column("ms", 6, lambda t: safe(milliseconds(t.seconds)), lambda t: -t.seconds, right=True, rank=2),
        Column("id", _ID, lambda t: safe(_end(t.request_id), "muted"), rank=4),
        Column("arm", 8, lambda t: dash(t.assignment.arm), rank=3),
        *(_feature_column(name) if kind == "feature" else _field_column(name) for kind, name in own),
    )


def _feature_column(name: str) -> Column:
    value = feature_of(name)

    def last_if_missing(trace: Any) -> tuple[bool, str]:
        return not value(trace), value(trace)

    return Column(name, 12, lambda trace: dash(value(trace)), last_if_missing, only_sorted=True)


def feature_of(name: str) -> Callable[[Any], str]:
    """Returns the value of a feature in a trace; empty without it."""

    def value(trace: Any) -> str:
        text: str = trace.features.get(name, "")
        return text

    return value


def _field_column(name: str) -> Column:
    value = field_of(name)

    def last_without_number(trace: Any) -> tuple[bool, float]:
        held = value_of(trace.fields, name)
        missing = not is_number(held)
        return missing, 0 if missing else held

    return Column(name, 12, lambda trace: dash(value(trace)), last_without_number, only_sorted=True)


def field_of(name: str) -> Callable[[Any], str]:
    """Returns the value of a field of an answer, as JSON has it; empty without it."""

    def value(trace: Any) -> str:
        return value_text(value_of(trace.fields, name))

    return value


def told_in(traces: Sequence[Any]) -> dict[str, bool]:
    """The fields of some answers by name, as far as one can be typed in a filter: whether any is a number."""
    found: dict[str, bool] = {}
    for trace in traces:
        for name in names_of(trace.fields):
            if not found.get(name) and not any(map(str.isspace, name)):
                found[name] = is_number(value_of(trace.fields, name))
    return found


class Divided(NamedTuple):
    """The words of a filter, by what they are about."""

    terms: tuple[Term, ...]
    """Those that are looked for in texts."""
    tests: tuple[FieldTest, ...]
    """Those that compare a field of the answers."""
    unfinished: tuple[str, ...]
    """Those that name such a field, and are no comparison."""


def divided(terms: Sequence[Term], fields: Mapping[str, str]) -> Divided:
    """Divide the words of a filter.

    ``fields`` are the names that compare, in lower case, each with the name as it stands in the answers. Without a sign
    ``=`` is meant.
    """
    tests, unfinished = [], []
    for term in terms:
        if term.field in fields:
            try:
                bare = term.text[:1] not in ("", "=", "!", "<", ">")
                test = parse_test(f"x{'=' if bare else ''}{term.text}")
                tests.append(structs.replace(test, name=fields[term.field], inverted=term.inverted))
            except ValueError:
                unfinished.append(f"{term.field}:{term.text}")
    return Divided(tuple(term for term in terms if term.field not in fields), tuple(tests), tuple(unfinished))


def _end(name: str) -> str:
    """The end of an id: ids of the same hour differ only there."""
    return name if len(name) <= _ID else f"…{name[1 - _ID :]}"


def _worst_first(trace: Any) -> int:
    return _WORST_FIRST.index(trace.feedback) if trace.feedback in _WORST_FIRST else len(_WORST_FIRST)


def _feedback(trace: Any) -> Line:
    return status(trace.feedback) if trace.feedback else dash(None)


def haystack(trace: Any) -> str:
    """The lower-case text in which a word of the filter is looked for, in the page as in the store."""
    parts = (trace.input, trace.output, trace.request_id, trace.assignment.arm, trace.feedback)
    return "\n".join(part or "" for part in parts).lower()


FIELDS: dict[str, Callable[[Any], str]] = {
    "id": lambda t: t.request_id,
    "arm": lambda t: t.assignment.arm,
    "outcome": lambda t: t.feedback or "",
    "sha": lambda t: t.entry_sha,
    "day": lambda t: ledger_time(t.started_ns)[:10],
    "text": lambda t: f"{t.input or ''}\n{t.output or ''}",
    "source": lambda t: t.source,
}
"""The fields that every trace has; its features are fields too."""


# one request and its reply ------------------------------------------------------------------------------


def outcome_of(trace: Any) -> str:
    """What became of a request: a key of the signs."""
    if trace.error:
        return "failed"
    if not trace.in_scope:
        return "out of scope"
    if trace.graded is False:
        return "wrong"
    unchanged = trace.accepted if trace.input is None else trace.output == trace.input
    return "accepted" if unchanged else "answered"


def legend(width: int) -> Line:
    """What the signs of the list mean; the last ones are left out where there is no room."""
    own = {"accepted": words().accepted, "answered": words().answered}
    signs = [(sign, role, text or own[name]) for name, (sign, role, text) in reversed(_SIGNS.items())]
    parts = [row(safe(f"{sign} ", role), safe(text, "muted")) for sign, role, text in signs]
    parts[1:1] = [row(safe("a", "bad"), safe(" → ", "faint"), safe("b", "good"), safe(" changed words", "muted"))]
    while len(parts) > 1 and sum(part.cell_length + 3 for part in parts) > width:
        parts.pop()
    return row(safe("   "), row(*parts, gap=3))


def exchange(trace: Any, room: int) -> Line:
    """The sign, and the sentence with what the reply changed, in about ``room`` cells.

    Where the first change would be cut off, the beginning of the sentence is left out instead.
    """
    sign, role, _ = _SIGNS[outcome_of(trace)]
    front = safe(f"{sign} ", role)
    if trace.input is None:
        return row(front, safe("text not stored", "faint"))
    sentence, reply = trace.input[:_MOST_TEXT], trace.output
    if trace.error:
        return row(front, safe(sentence, limit=200), safe(f"  {trace.error}", "bad"))
    if reply is None or reply == trace.input:
        return row(front, safe(sentence, limit=_MOST_TEXT))
    found = changes(sentence, reply[:_MOST_TEXT])
    if not found:
        return row(front, safe(sentence, limit=200), safe(" → ", "faint"), safe(reply, "accent", limit=_MOST_TEXT))
    pieces = [_piece(before, after) for before, after in found]
    if found[0][0] == found[0][1] and len(pieces) > 1:
        more = len(pieces) > 2  # then the last cell is needed for the sign that something was cut off
        if front.cell_length + pieces[0].cell_length + 1 + pieces[1].cell_length + more > room:
            pieces[0] = safe(f"… {' '.join(found[0][0].split()[-_MARGIN:])}")
    return row(front, row(*pieces, gap=1))


def _exchange_in_full(trace: Any) -> Line:
    return exchange(trace, _MOST_TEXT)


def _piece(before: str, after: str) -> Line:
    """A run of words that the reply kept, changed, added or removed."""
    if before == after:
        return safe(before, limit=_MOST_TEXT)
    if not before:
        return safe(f"+{after}", "good", limit=_MOST_TEXT)
    if not after:
        return safe(f"−{before}", "bad", limit=_MOST_TEXT)
    return row(safe(before, "bad", limit=_MOST_TEXT), safe(" → ", "faint"), safe(after, "good", limit=_MOST_TEXT))


@lru_cache(maxsize=4096)
def changes(sentence: str, reply: str) -> tuple[tuple[str, str], ...]:
    """Runs of words as (in the sentence, in the reply), in order; empty if the reply is another text altogether."""
    a, b = sentence.split(), reply.split()
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return ()
    return tuple((" ".join(a[i:j]), " ".join(b[k:n])) for _, i, j, k, n in matcher.get_opcodes())
