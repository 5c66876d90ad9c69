"""Drift reports by day: recording one in the ledger, and reading the recorded ones.

The ledger event and the evidence it names are authoritative; ``drift_reports/DAY.json`` is a copy for people and for
git. Recording the same report twice makes one event; more traces make a new report. Days are listed with their present
number of requests, from the per-minute roll-up of the traces. It draws nothing.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from miniobserve.daily import Asked
from modelspine.drift.measurement import Ahead, clock_limit, requests_ahead
from modelspine.drift.report import DriftReport
from modelspine.drift.sentences import sentence
from modelspine.drift.weekdays import by_weekday, trend_sentence, weekday_sentence
from modelspine.errors import Damaged, SpineError, Unavailable
from modelspine.files import write_file
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, Event, storage_errors
from modelspine.ledger.transactions import History, Receipt
from modelspine.text import short, visible
from modelspine.times import ledger_time, nanoseconds

if TYPE_CHECKING:
    from modelspine.project import Project

KIND = "drift_reported"
ALL_WEEKS = 5200
"""A hundred years: every day there is."""


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A report and the event that recorded it."""

    report: DriftReport
    digest: str
    event: Event
    created: bool = False
    """False where the same report was recorded before."""


def record(project: Project, report: DriftReport, *, expected: int | None = None) -> Reported:
    """Store a report as evidence, append its event unless the same report was recorded last, and write its file.

    Raises:
        Conflict: ``expected`` is no longer the newest event's seq; nothing was recorded.
        Unavailable: the file cannot be written; the event was recorded.
    """
    raw = msgspec.json.encode(report)
    digest = project.ledger.put(raw)
    name = file_name(report)
    body = {
        "day": report.day,
        "entry": report.entry_sha,
        "evidence": {"report": digest},
        "file": name,
        "status": report.status,
        "n": report.window.n,
        **({"against_day": report.reference.day} if report.reference.day else {}),
    }

    def decide(state: State) -> list[Draft]:
        last = newest(project, state.seq, name)
        # The kind is a literal, because a test reads from the source which functions may draft which events.
        return [] if last is not None and digest_of(last) == digest else [Draft(kind="drift_reported", body=body)]

    done: Receipt | None = History(project.ledger).change(decide, sha=report.entry_sha, expected=expected)
    event = done.event if done is not None else newest(project, None, name)
    assert event is not None
    _write(project.settings.drift_reports / name, msgspec.json.format(raw, indent=1) + b"\n")
    return Reported(report=report, digest=digest, event=event, created=done is not None)


def file_name(report: DriftReport) -> str:
    """The file of a report. Only the day's main report has the day's name.

    A report against another day, or against another entry than the one that answered most, must not replace it.
    """
    if report.reference.day is not None:
        return against_day_file(report.day, report.reference.day)
    main = report.window.main == report.entry_sha
    return f"{report.day}.json" if main else f"{report.day}-{short(report.entry_sha)}.json"


def against_day_file(day: str, reference: str) -> str:
    """The file of a day's report against another day."""
    return f"{day}-against-{reference}.json"


def newest(project: Project, upto: int | None, name: str) -> Event | None:
    """The newest event, up to seq ``upto`` where given, whose report has this file name."""
    events = [e for e in reversed(project.registry.events()) if e.kind == KIND and e.body.get("file") == name]
    return next((event for event in events if upto is None or event.seq <= upto), None)


def digest_of(event: Event) -> str:
    """The digest of the report that an event recorded; empty where the event names none."""
    evidence = event.body.get("evidence")
    return str(evidence.get("report")) if isinstance(evidence, dict) else ""


def recorded(project: Project, event: Event) -> Reported:
    """Read the report that an event recorded, verifying its digest.

    Raises:
        Damaged: the bytes are missing, do not match their digest, or are not a report.
    """
    digest = digest_of(event)
    try:
        report = msgspec.json.decode(project.ledger.get(digest), type=DriftReport)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the report of event #{event.seq} cannot be read: {visible(str(error), 120)}", "run `spine verify`"
        ) from error
    return Reported(report=report, digest=digest, event=event)


def days(project: Project, at: str | None = None) -> dict[str, Event]:
    """The newest event of each day's main report, oldest day first; as of ``at`` (RFC 3339 UTC) where given."""
    return {day: files[name] for day, files in _by_day(project, at).items() if (name := f"{day}.json") in files}


def reports_of(project: Project, day: str, at: str | None = None) -> dict[str, Event]:
    """The newest event of each report of a day by its file name: the main one, and those against something else."""
    return _by_day(project, at).get(day, {})


def others(project: Project, day: str, event: Event, at: str | None = None) -> tuple[Event, ...]:
    """The newest events of a day's further reports, beside the one of ``event``."""
    file = event.body.get("file")
    return tuple(each for name, each in reports_of(project, day, at).items() if name != file)


def _by_day(project: Project, at: str | None) -> dict[str, dict[str, Event]]:
    found: dict[str, dict[str, Event]] = {}
    for event in project.registry.events(at):
        if event.kind == KIND:
            found.setdefault(str(event.body.get("day")), {})[str(event.body.get("file"))] = event
    return dict(sorted(found.items()))


def _write(file: Path, raw: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or file.read_bytes() != raw:
            write_file(file, raw)
    except OSError as error:
        raise Unavailable(
            f"the report could not be written to {file}: {error.strerror or error}",
            "free disk space or fix the folder's permissions, then repeat the command; the ledger event was recorded",
        ) from error


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day that has a report, requests, or both."""

    day: str
    answered: int | None
    """Answered requests that can be counted now; None where the traces cannot be read."""
    failed: int = 0
    """Failed requests that can be counted now."""
    event: Event | None = None
    made: Reported | None = None
    damaged: Damaged | None = None
    """Why the recorded report cannot be read."""
    others: tuple[Event, ...] = ()
    """The day's reports against another day or another entry."""

    @property
    def uncounted(self) -> int:
        """Requests that are not in the report because they arrived after it was made."""
        if self.made is None:
            return 0
        report = self.made.report
        # Reports of older versions do not count failures by themselves.
        failed = max(0, self.failed - report.failed.k) if report.failed is not None else 0
        return max(0, (self.answered or 0) - report.window.n) + failed


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """Days up to today, oldest first."""

    days: tuple[Day, ...]
    counted: bool
    """False where the traces could not be read, so that a day without a report may be missing."""
    first: str = ""
    """The first day of the window."""
    last: str = ""
    """Its last day: today, or that of the moment asked for."""
    older: int = 0
    """Days before the window that have a report or requests."""
    ahead: Ahead = Ahead()
    """Requests that are dated ahead of this machine's clock; their days are not in ``days``."""
    ahead_reports: tuple[str, ...] = ()
    """Days ahead of the clock that have a report."""


def trend(project: Project, *, weeks: int = ALL_WEEKS, at: str | None = None) -> Trend:
    """List the days of the last ``weeks`` up to today; as of ``at`` (RFC 3339 UTC) where given."""
    reports, counts = _by_day(project, at), _asked(project, at)
    today = ledger_time(time.time_ns() if at is None else nanoseconds(at))[:10]
    past = [name for name in sorted({*reports, *(counts or ())}) if name <= today]
    first = _weeks_before(today, weeks)
    return Trend(
        days=tuple(_day(project, name, reports.get(name, {}), counts) for name in past if name >= first),
        counted=counts is not None,
        first=first,
        last=today,
        older=sum(name < first for name in past),
        ahead=requests_ahead(project) if at is None and counts is not None else Ahead(),
        ahead_reports=tuple(name for name in reports if name > today),
    )


def _weeks_before(today: str, weeks: int) -> str:
    """The first of the last ``weeks`` weeks' days; the calendar's first day where they reach beyond it."""
    try:
        return (date.fromisoformat(today) - timedelta(weeks=weeks) + timedelta(days=1)).isoformat()
    except OverflowError:
        return date.min.isoformat()


def as_object(made: Reported, others: tuple[Event, ...] = ()) -> dict[str, Any]:
    """A recorded report as JSON fields, with the day's reports against something else."""
    fields: dict[str, Any] = msgspec.to_builtins(made.report)
    more = [
        {"seq": event.seq, **{name: event.body.get(name) for name in ("status", "entry", "against_day", "file")}}
        for event in others
    ]
    found = {
        **fields,
        "sentence": sentence(made.report),
        "seq": made.event.seq,
        "digest": made.digest,
        "file": made.event.body.get("file"),
    }
    return {**found, "others": more}


def trend_as_object(found: Trend) -> dict[str, Any]:
    """Days as JSON fields: the window, the reports, the days without one, and what is dated ahead of the clock."""
    reports = [day.made.report for day in found.days if day.made is not None]
    return {
        "sentences": {"trend": trend_sentence(reports), "weekdays": weekday_sentence(reports)},
        "weekdays": msgspec.to_builtins(by_weekday(reports)),
        "window": {"from": found.first, "to": found.last, "older": found.older, "counted": found.counted},
        "days": [as_object(day.made, day.others) for day in found.days if day.made is not None],
        "unreported": [
            {"day": day.day, "answered": day.answered, "failed": day.failed} for day in found.days if day.event is None
        ],
        "ahead": {**msgspec.to_builtins(found.ahead), "reports": found.ahead_reports},
    }


def _day(project: Project, name: str, reports: dict[str, Event], counts: dict[str, Asked] | None) -> Day:
    main = f"{name}.json"
    event, others = reports.get(main), tuple(event for file, event in reports.items() if file != main)
    asked = None if counts is None else counts.get(name, Asked(name, 0, 0))
    answered, failed = (None, 0) if asked is None else (asked.answered, asked.failed)
    day = Day(day=name, answered=answered, failed=failed, event=event, others=others)
    if event is None:
        return day
    try:
        return msgspec.structs.replace(day, made=recorded(project, event))
    except Damaged as error:
        return msgspec.structs.replace(day, damaged=error)


def _asked(project: Project, at: str | None) -> dict[str, Asked] | None:
    until = clock_limit() if at is None else nanoseconds(at)
    try:
        with storage_errors():
            return {each.day: each for each in project.traces.requests.asked(until)}
    except SpineError:  # the reports can be listed without traces; a command that needs traces reports the error
        return None
