"""The rows of closed days as one table in SQL, under the names that searches of the live store use.

Text and features are made searchable here as the live store does it when it writes. This module runs no query.
"""

from __future__ import annotations

from miniobserve.columns import READ, STORED, complete_rows

ROW = ", ".join(STORED)
"""The columns from which ``trace_of`` rebuilds a trace, in the order of ``STORED``."""

# Python's lower case of this one letter is two characters, DuckDB's is one.
_LOWER = "lower(replace(replace({}, '\u0130', 'i\u0307'), chr(0), ''))"
_TEXT = _LOWER.format("coalesce(input, '') || chr(10) || coalesce(output, '')")
_TERM = _LOWER.format("replace(entry.key || '=' || entry.value, '|', '/')")
_TERMS = (
    "CASE WHEN cardinality(features) = 0 THEN '|' ELSE '|' || array_to_string("
    f"list_transform(list_sort(map_entries(features)), lambda entry: {_TERM}), '|') || '|' END"
)
_LATER = " LEFT JOIN later ON later.request_id = held.request_id"
_BUT_LIVE = " ANTI JOIN live ON live.request_id = held.request_id AND live.started_ns = held.started_ns"

_SPELLED = {
    "feedback.outcome": "traces.feedback",
    "feedback.label": "traces.label",
    "feedback.graded": "traces.later_graded",
    "traces.graded": "CAST(traces.graded AS INTEGER)",
    "traces.features": "traces.terms",
    "traces.accepted": "CAST(traces.accepted AS INTEGER)",
}
"""Column of the live store → what it is in the view, whose names are chosen for people who query the files."""


def in_view(sql: str) -> str:
    """Return conditions or columns of the live store as those of the view."""
    for live, here in _SPELLED.items():
        sql = sql.replace(live, here)
    return sql


def view_of(*, later: bool, live: bool, older: bool = False) -> str:
    """Return a table with the columns of a file and those that only searches need; its parameter is a list of files.

    With ``later``, what was said in the table of that name replaces the files' feedback; with ``live``, the rows that
    are in that table are left out. ``older`` is for files that may lack a column; there DuckDB takes longer to find the
    first few rows in an order.
    """
    # A row without an outcome is of feedback that was taken back, or that never had one.
    feedback = "CASE WHEN later.request_id IS NULL THEN held.feedback ELSE nullif(later.outcome, '') END"
    said = f"{feedback} AS feedback, later.label AS label, later.graded AS later_graded"
    if not later:
        said = "held.feedback AS feedback, NULL::VARCHAR AS label, NULL::INTEGER AS later_graded"
    return (
        f"(SELECT held.* EXCLUDE (feedback), {said}, {_TEXT} AS text, input_sha256 AS text_sha256,"  # noqa: S608
        f" {_TERMS} AS terms FROM {complete_rows('?') if older else READ.format('?')} AS held"
        f"{_BUT_LIVE if live else ''}{_LATER if later else ''})"
    )
