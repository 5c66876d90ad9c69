"""Reads what was said of answers, for figures and for people: the grade by a label or score goes before a trace's own.

Figures add the difference that it makes: the sums over traces are made without it, and a row of ``feedback`` has the
trace's own grade, so that no figure reads the traces for it. This module never writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from miniobserve.schema import storable
from miniobserve.sql.protocol import Database
from miniobserve.traces import Trace

_MANY = 5_000
_CHANGED = "COALESCE(SUM(CASE WHEN own IS NULL THEN 1 ELSE 0 END), 0), COALESCE(SUM(graded - COALESCE(own, 0)), 0)"
"""What labels add to the number of graded answers, and to that of right ones."""

Change = tuple[str, str, int, int]
"""Arm, unit, and what labels add to its graded and its right answers."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of an answer at one time, and what counted from then on."""

    at_ns: int
    said_by: str
    """``http`` or ``import``."""
    taken_back: bool
    outcome: str
    label: str | None
    score: float | None
    text: str | None
    graded: bool | None


def labelled(database: Database, traces: Sequence[Trace]) -> list[Trace]:
    """Return traces with what counts of what was said of them."""
    said: dict[str, tuple[Any, ...]] = {}
    ids = [trace.request_id for trace in traces]
    for start in range(0, len(ids), _MANY):
        condition, params = database.among("request_id", ids[start : start + _MANY])
        query = f"SELECT request_id, outcome, label, score, said_text, graded FROM feedback WHERE {condition}"  # noqa: S608
        said |= {row[0]: row[1:] for row in database.read(query, params)}
    return [_with(trace, *said[trace.request_id]) if trace.request_id in said else trace for trace in traces]


def _with(
    trace: Trace, outcome: str, label: str | None, score: float | None, text: str | None, graded: int | None
) -> Trace:
    return msgspec.structs.replace(
        trace, feedback=outcome or None, label=label, score=score, said_text=text,
        graded=trace.graded if graded is None else bool(graded),
    )  # fmt: skip


def history(database: Database, request_id: str) -> tuple[Version, ...]:
    """Return all that was said of an answer, oldest first; empty where all of it is older than the history."""
    rows = database.read(
        "SELECT at_ns, said_by, taken_back, outcome, label, score, said_text, graded FROM feedback_history"
        " WHERE request_id = ? ORDER BY id",
        (request_id,),
    )
    return tuple(
        Version(
            at_ns=at, said_by=by, taken_back=bool(back), outcome=outcome or "", label=label, score=score, text=text,
            graded=None if graded is None else bool(graded),
        )
        for at, by, back, outcome, label, score, text, graded in rows
    )  # fmt: skip


def any_labels(database: Database) -> bool:
    """Whether anything that was ever said graded an answer."""
    return bool(database.read("SELECT 1 FROM feedback WHERE graded IS NOT NULL LIMIT 1"))


def unit_changes(database: Database, epoch: int, from_ns: int, before_ns: int, *, copies: bool = False) -> list[Change]:
    """Return what labels add to the units of an epoch's requests within a time range, or of their shadow copies."""
    shadow = "shadow_of IS NOT NULL" if copies else "shadow_of IS NULL"
    rows = database.read(
        f"SELECT arm, u, {_CHANGED} FROM feedback WHERE epoch = ? AND started_ns >= ? AND started_ns < ?"  # noqa: S608
        f" AND graded IS NOT NULL AND counted = 1 AND {shadow} GROUP BY arm, u",
        (epoch, storable(from_ns), storable(before_ns)),
    )
    return [(arm, u, int(graded), int(right)) for arm, u, graded, right in rows]


def span_changes(
    database: Database, epochs: Sequence[int], since_ns: int, until_ns: int
) -> dict[str, tuple[int, int, int]]:
    """Return what labels add to each entry's graded, right and falsely accepted answers, of some epochs in a span."""
    if not epochs:
        return {}
    among, params = database.among("epoch", epochs, "BIGINT")
    passed = "CASE WHEN accepted = 1 AND {} = 0 THEN 1 ELSE 0 END"
    rows = database.read(
        f"SELECT entry_sha, {_CHANGED}, COALESCE(SUM({passed.format('graded')} - {passed.format('own')}), 0)"  # noqa: S608
        f" FROM feedback WHERE {among} AND started_ns >= ? AND started_ns < ? AND graded IS NOT NULL"
        " AND counted = 1 AND shadow_of IS NULL GROUP BY entry_sha",
        (*params, storable(since_ns), storable(until_ns)),
    )
    return {sha: (int(graded), int(right), int(false_accepts)) for sha, graded, right, false_accepts in rows}


def grades_of(database: Database, epoch: int) -> dict[str, bool]:
    """Return the grades by labels of an epoch's requests and shadow copies, by request id."""
    rows = database.read("SELECT request_id, graded FROM feedback WHERE epoch = ? AND graded IS NOT NULL", (epoch,))
    return {row[0]: bool(row[1]) for row in rows}
