"""The gate applied to files: bytes in, a decision out. Bytes that cannot be read give an error, never a pass.

Reports are parsed as strict JSON, so that a repeated key is refused instead of one value silently winning. It does
not know where the bytes came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput
from modelspine.gate.baseline import read_baseline
from modelspine.gate.eval_report import SCHEMA, EvalReport, convert_report
from modelspine.gate.foreign import converter
from modelspine.gate.result import Decision
from modelspine.gate.rule import NO_BASELINE, combine, failed_closed, gate
from modelspine.text import visible

_HINT = "evaluate the entry again to make a new report"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A report as submitted; ``never_regress`` is None unless the report contains such results itself."""

    report: EvalReport
    never_regress: dict[str, bool] | None
    sha256: str


class _Carried(msgspec.Struct):
    never_regress: dict[str, bool] | None = None


def read_submission(raw: bytes, *, what: str = "the report") -> Submission:
    """Decode a report for the gate; ``what`` names it in messages.

    Raises:
        BadInput: it is not strict JSON, lacks a field, or has a field of the wrong type or another schema.
    """
    data = parse_json(raw, what=what)
    report = convert_report(data, what=what)
    try:
        carried = msgspec.convert(data, _Carried)
    except msgspec.ValidationError as error:
        raise BadInput(f"{what} is not a {SCHEMA} report: {visible(str(error), 160)}", _HINT) from error
    return Submission(report=report, never_regress=carried.never_regress, sha256=hashlib.sha256(raw).hexdigest())


def judge(
    candidate: bytes,
    *,
    baseline: bytes | None,
    stable: bytes | None,
    floor: bytes | None = None,
    tolerance_pp: int | None = None,
    never_regress: Mapping[str, bool] | None = None,
) -> Decision:
    """Decide on a candidate's report. Unreadable input gives an error decision; this function does not raise.

    Args:
        candidate: the candidate's report.
        baseline: the committed baseline; None if there is none, which is an error.
        stable: the report of the stable entry; None if nothing is in production.
        floor: the report of the best entry that was ever in production; None if that is the stable one.
        tolerance_pp: percentage points a bucket may lose, for both comparisons; None takes the baseline's.
        never_regress: item id → whether it is answered correctly; None takes the results in the report.
    """
    try:
        submitted = read_submission(candidate)
    except BadInput as error:
        way_out = converter(candidate)
        return failed_closed(f"{error.message}; {way_out}" if way_out else error.message)
    try:
        base = read_baseline(baseline) if baseline is not None else None
        before = read_submission(stable, what="the stable entry's report").report if stable is not None else None
        best = read_submission(floor, what="the floor's report").report if floor is not None else None
    except BadInput as error:
        return failed_closed(error.message)
    if base is None:
        return failed_closed(NO_BASELINE)
    # Results evaluated by the caller take precedence over those in the report, which its author could have written.
    answers = submitted.never_regress if never_regress is None else never_regress
    tolerance = base.tolerance_pp if tolerance_pp is None else tolerance_pp
    against_baseline = gate(submitted.report, base, tolerance_pp=tolerance, never_regress=answers)
    against_stable = gate(submitted.report, before, tolerance_pp=tolerance) if before is not None else None
    against_floor = gate(submitted.report, best, tolerance_pp=tolerance, label="floor") if best is not None else None
    return combine(against_baseline, against_stable, against_floor)


def as_json(decision: Decision) -> dict[str, Any]:
    """The JSON of ``spine gate --json``: unescaped names, every row, and each comparison separately."""
    made: dict[str, Any] = msgspec.to_builtins(decision)
    # Fields of a single comparison are those against the baseline, which is always the first.
    first = made["compared"][0] if made["compared"] else {}
    shared = ("tolerance_pp", "total", "false_accept", "anchor", "never_regress", "pooled_p")
    return {**made, **{name: first.get(name) for name in shared}}


class Stable(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is or was in production, and the bytes of its report."""

    entry_sha: str
    report: bytes


def report_of_floor(sha: str, stable: Stable | None, floor: Stable | None) -> bytes | None:
    """The floor's report, with which a candidate is compared; None if the floor is the candidate or the stable entry.

    The candidate is compared with the stable entry in any case, so the same comparison is not made twice.
    """
    if floor is None or floor.entry_sha in (sha, stable.entry_sha if stable is not None else None):
        return None
    return floor.report


def report_of_rival(sha: str, stable: Stable | None) -> bytes | None:
    """The stable entry's report, with which a candidate is compared; None if the candidate is the stable entry.

    An entry is not compared with itself, so that the entry in production can be evaluated on a new eval set.
    """
    return stable.report if stable is not None and stable.entry_sha != sha else None
