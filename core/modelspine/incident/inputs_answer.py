"""Answer 2 of a walk: what the inputs looked like on the day of the request, from the recorded drift report.

The report is read from the evidence store by the digest in its ledger event and hashed again. The file in the
project folder is only a copy. This module makes no reports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from miniobserve.traces import Trace
from modelspine.drift.days import KIND, digest_of
from modelspine.drift.format import summary
from modelspine.drift.report import DriftReport
from modelspine.errors import Damaged
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.store import Event
from modelspine.text import short, visible
from modelspine.times import ledger_time

Evidence = Callable[[str], bytes]
"""Digest → the bytes with that digest; raises ``Damaged`` where they are missing or differ."""


class _FeatureCopy(msgspec.Struct, frozen=True):
    psi: float | None = None
    status: str = "?"


class _ReportCopy(msgspec.Struct, frozen=True):
    """The quoted fields of a report file that no ledger event names; anybody may have written it."""

    features: dict[str, _FeatureCopy]
    status: str = "?"


def inputs_answer(trace: Trace, events: Sequence[Event], evidence: Evidence, folder: Path) -> Finding:
    """Quote the drift report of the request's day, preferably one made for the entry that answered.

    Raises:
        Damaged: the report's bytes are missing or do not match their digest.
    """
    day = ledger_time(trace.started_ns)[:10]
    command = f"spine drift show --day {day}"
    reports = [event for event in events if event.kind == KIND and event.body.get("day") == day]
    # A report against another day says less about what the model was trained on, so it is quoted only if it is alone.
    reports = [event for event in reports if not event.body.get("against_day")] or reports
    own = [event for event in reports if event.body.get("entry") == trace.entry_sha]
    if not reports:
        return _unrecorded_report(day, folder / f"{day}.json")
    event = (own or reports)[-1]
    raw = evidence(digest_of(event))
    try:
        report = msgspec.json.decode(raw, type=DriftReport)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the drift report of #{event.seq} cannot be read: {visible(str(error), 80)}", "run `spine verify`"
        ) from error
    file = folder / str(event.body.get("file"))
    equal = _same_json(file, raw)
    parts = [f"{day}  {summary(report)}", f"#{event.seq}"]
    if not own:
        parts.append(f"against {short(report.entry_sha)}, which answered most that day")
    if event.time < ledger_time(trace.started_ns):
        parts.append("made before this request arrived")
    if equal is False:
        parts.append(f"the copy {event.body.get('file')} was changed afterwards")
    details = {
        "day": day,
        "event": f"#{event.seq}",
        "report": digest_of(event),
        "file": str(file),
        "file_equal": equal,
        "drift": msgspec.to_builtins(report),
    }
    return finding(2, visible("; ".join(parts), 300), "verified", details, command)


def _unrecorded_report(day: str, file: Path) -> Finding:
    """Answer from a report file alone, because no ledger event records a report for the day."""
    command = f"spine drift report --day {day}"
    if not file.is_file():
        return finding(2, f"there is no drift report for {day}", "missing", {"day": day}, command)
    try:
        raw = file.read_bytes()
    except OSError as error:
        why = f"the drift report of {day} cannot be read: {error.strerror}"
        return finding(2, why, "not_checked", {"day": day, "file": str(file), "why": why}, command)
    try:
        copy = msgspec.json.decode(raw, type=_ReportCopy)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        problem = f"the drift report of {day} cannot be read: {visible(str(error), 120)}"
        return finding(2, problem, "mismatch", {"day": day, "file": str(file)}, command)
    answer = f"{day}  {copy.status}, according to a file that is not recorded in the ledger"
    details = {"day": day, "file": str(file), "features": msgspec.to_builtins(copy.features)}
    return finding(2, visible(answer), "recorded", details, command)


def _same_json(file: Path, raw: bytes) -> bool | None:
    """Whether the file has the recorded content, whatever its whitespace; None where there is no file."""
    try:
        return bool(msgspec.json.decode(file.read_bytes()) == msgspec.json.decode(raw))
    except OSError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
