"""The second of the eight answers: what a day's inputs looked like, from the report the ledger recorded.

The report is read by the digest its event names and hashed again; the file beside the project is only a copy.
It does not make reports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from miniobserve.traces import Trace
from modelspine.drift.days import KIND, digest_of
from modelspine.drift.format import told
from modelspine.drift.report import DriftReport
from modelspine.errors import Damaged
from modelspine.incident.finding import Finding, finding
from modelspine.ledger.store import Event
from modelspine.text import short, visible
from modelspine.times import ledger_time

Evidence = Callable[[str], bytes]
"""Digest → bytes that have it; raises ``Damaged`` otherwise."""


class _Figure(msgspec.Struct, frozen=True):
    psi: float | None = None
    status: str = "?"


class _Copy(msgspec.Struct, frozen=True):
    """A report file nothing in the ledger vouches for, as far as it is quoted."""

    features: dict[str, _Figure]
    status: str = "?"


def inputs_answer(trace: Trace, events: Sequence[Event], evidence: Evidence, folder: Path) -> Finding:
    """The drift report of a request's day; one against the entry that answered comes before any other.

    Raises:
        Damaged: the report's bytes are gone or do not have their digest.
    """
    day = ledger_time(trace.started_ns)[:10]
    command = f"spine drift show --day {day}"
    made = [event for event in events if event.kind == KIND and event.body.get("day") == day]
    own = [event for event in made if event.body.get("entry") == trace.entry_sha]
    if not made:
        return _unvouched(day, folder / f"{day}.json")
    event = (own or made)[-1]
    raw = evidence(digest_of(event))
    try:
        report = msgspec.json.decode(raw, type=DriftReport)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the drift report of #{event.seq} cannot be read: {visible(str(error), 80)}", "run `spine verify`"
        ) from error
    file = folder / str(event.body.get("file"))
    equal = _equal(file, raw)
    parts = [f"{day}  {told(report)}", f"#{event.seq}"]
    if not own:
        parts.append(f"against {short(report.entry_sha)}, which answered most that day")
    if event.at < ledger_time(trace.started_ns):
        parts.append("made before this request came")
    if equal is False:
        parts.append("the file beside it was changed since")
    found = {
        "day": day,
        "event": f"#{event.seq}",
        "report": digest_of(event),
        "file": str(file),
        "file_equal": equal,
        "drift": msgspec.to_builtins(report),
    }
    return finding(2, visible("; ".join(parts), 300), "verified", found, command)


def _unvouched(day: str, file: Path) -> Finding:
    """Nothing in the ledger says what the day looked like."""
    command = f"spine drift report --day {day}"
    if not file.is_file():
        return finding(2, f"there is no drift report for {day}", "missing", {"day": day}, command)
    try:
        copy = msgspec.json.decode(file.read_bytes(), type=_Copy)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        what = f"the drift report of {day} cannot be read: {visible(str(error), 120)}"
        return finding(2, what, "mismatch", {"day": day, "file": str(file)}, command)
    answer = f"{day}  {copy.status}, by a file that no event of the ledger vouches for"
    found = {"day": day, "file": str(file), "features": msgspec.to_builtins(copy.features)}
    return finding(2, visible(answer), "recorded", found, command)


def _equal(file: Path, raw: bytes) -> bool | None:
    """Whether the file says what was recorded; None where there is none."""
    try:
        return bool(msgspec.json.decode(file.read_bytes()) == msgspec.json.decode(raw))
    except OSError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
