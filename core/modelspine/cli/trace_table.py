"""The table of requests in a terminal: its columns, and the features and fields that may be columns of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from miniobserve.field_tests import names_of, value_of, value_text
from miniobserve.search import Question
from miniobserve.traces import Found, Trace
from modelspine.cli.output import Out, Piece, status_cell
from modelspine.errors import BadInput
from modelspine.text import short, visible
from modelspine.times import ledger_time
from modelspine.words import words

USUAL = ("at", "request", "arm", "semver", "asked", "answered", "feedback")
COLUMNS = (*USUAL, "ms", "cost", "sha", "status", "graded")


def columns(text: str) -> tuple[str, ...]:
    """The names of columns, separated by commas, for ``type=``.

    Raises:
        BadInput: it names none, or one twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise BadInput(
            f"{visible(text, 80)!r} does not name columns", "write each name once, such as --columns at,request,asked"
        )
    return names


def draw_list(out: Out, page: Found, question: Question | None = None, chosen: tuple[str, ...] | None = None) -> str:
    """Write the rows, with what ``question`` sorts them by; returns how many there are of how many.

    Raises:
        BadInput: a chosen column is neither a usual one nor a feature or field of any of these requests.
    """
    if page.traces:
        from modelspine.traffic.sentences import requests_sentence

        shown = () if question is None or question.order in ("time", "outcome") else (question.feature or "ms",)
        head = chosen or (*USUAL, *shown)
        _check_known(head, page.traces)
        out.paragraph(requests_sentence(page.traces))
        rows = [tuple(_cell(trace, name) for name in head) for trace in page.traces]
        out.table(head, rows, right=("ms", "cost"), optional=() if chosen else ("semver", "arm", "at"))
    matched = "over 10,000" if page.matched is None else f"{page.matched:,}"
    return f"{len(page.traces):,} of {matched}"


def field_texts(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields of an answer as names and texts, in the order of the names."""
    return sorted((name, value_text(value_of(fields, name))) for name in names_of(fields))


def listed(names: Iterable[str]) -> str:
    """Names that came from outside, in order, to print."""
    return visible(", ".join(sorted(set(names))), 400) or "none"


def _check_known(head: Sequence[str], traces: Sequence[Trace]) -> None:
    features = {name for trace in traces for name in trace.features}
    # A field that is an object may be a column as well, so a name is looked up before it counts as unknown.
    unknown = next((name for name in head if name not in COLUMNS and name not in features
                    and all(value_of(trace.fields, name) is None for trace in traces)), None)  # fmt: skip
    if unknown is not None:
        fields = {name for trace in traces for name in names_of(trace.fields)}
        raise BadInput(
            f"none of these requests has a column, a feature or a field {visible(unknown, 40)!r}",
            f"columns: {', '.join(COLUMNS)}; features seen: {listed(features)}; fields seen: {listed(fields)}",
        )


def _cell(trace: Trace, name: str) -> Piece:
    """What a trace shows in a column; a name that no column has is that of a feature, or of a field of the answer."""
    if name in USUAL:
        return row_of(trace)[USUAL.index(name)]
    if name not in COLUMNS:
        return trace.features[name] if name in trace.features else (value_text(value_of(trace.fields, name)) or "–")
    return {
        "ms": f"{1000 * trace.seconds:.1f}",
        "cost": "–" if trace.cost is None else f"{trace.cost:.9f} {trace.currency}",
        "sha": short(trace.entry_sha),
        "status": str(trace.status),
        "graded": {True: "right", False: "wrong", None: "–"}[trace.graded],
    }[name]


def row_of(trace: Trace) -> tuple[Piece, ...]:
    """What a trace shows in the usual columns."""
    at = ledger_time(trace.started_ns)[:19].replace("T", " ")
    asked = trace.input if trace.input is not None else "not kept"
    unchanged = trace.accepted and trace.output == trace.input
    answered = words().accepted if unchanged else trace.output or "–"
    feedback = status_cell(trace.feedback) if trace.feedback else "–"
    arm = f"{trace.assignment.arm}, tester" if trace.assignment.tester else trace.assignment.arm
    return at, trace.request_id, arm, trace.semver, asked, answered, feedback
