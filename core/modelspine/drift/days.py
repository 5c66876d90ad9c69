"""Drift reports by day: measuring one, recording it in the ledger, and reading the recorded ones.

The ledger event and the evidence it names are authoritative; ``drift_reports/DAY.json`` is a copy for people and for
git. Recording the same report twice makes one event; more traces make a new report. Days are listed with their present
number of requests, from the per-minute roll-up of the traces. It draws nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from miniobserve.daily import Request, day_range
from modelspine.drift.bins import Tally
from modelspine.drift.reference import Values, reference_of
from modelspine.drift.report import DriftReport, Live, Window, judge_day
from modelspine.errors import BadInput, Damaged, SpineError, Unavailable
from modelspine.files import write_file
from modelspine.ledger.state import State
from modelspine.ledger.store import Draft, Event, storage_errors
from modelspine.ledger.transactions import History, Receipt
from modelspine.text import short, visible
from modelspine.times import ledger_time, nanoseconds

if TYPE_CHECKING:
    from modelspine.project import Project

KIND = "drift_reported"
Step = Callable[[int, int], None]
"""Called with the number of requests read so far and their total."""


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A report and the event that recorded it."""

    report: DriftReport
    digest: str
    event: Event
    created: bool = False
    """False where the same report was recorded before."""


def measure(
    project: Project, day: str, *, against: str | None = None, step: Step = lambda _done, _total: None
) -> DriftReport:
    """Count a day's requests and compare them with a reference; records nothing.

    Args:
        project: the project.
        day: ``YYYY-MM-DD``, UTC.
        against: REF of the entry to compare with; by default the one that answered most requests of the day.
        step: called with the progress.

    Raises:
        BadInput: no request was answered that day, or the entry has no corpus to compare with.
        UnknownRef, AmbiguousRef: ``against`` names no entry, or several.
        Unavailable, Damaged: a corpus is not on this machine, or does not match its hash.
    """
    values = Values(project.workload)
    live, window, answered = _count(project, day, values, step)
    if not window.n:
        raise BadInput(f"no request was answered on {day}", "`spine traces list` shows recent requests")
    sha = project.registry.resolve(against) if against is not None else answered
    reference = reference_of(project, sha, values)
    evaluated = project.registry.get(sha).eval_report
    return judge_day(day=day, entry_sha=sha, reference=reference, live=live, window=window, evaluated=evaluated)


def record(project: Project, report: DriftReport, *, expected: int | None = None) -> Reported:
    """Store a report as evidence, append its event unless the same report was recorded last, and write its file.

    Raises:
        Conflict: ``expected`` is no longer the newest event's seq; nothing was recorded.
        Unavailable: the file cannot be written; the event was recorded.
    """
    raw = msgspec.json.encode(report)
    digest = project.ledger.put(raw)
    # A report against another entry than the one that answered most must not replace the day's main report.
    main = max(report.window.entries, key=lambda sha: report.window.entries[sha], default="") == report.entry_sha
    name = f"{report.day}.json" if main else f"{report.day}-{short(report.entry_sha)}.json"
    body = {
        "day": report.day,
        "entry": report.entry_sha,
        "evidence": {"report": digest},
        "file": name,
        "status": report.status,
        "n": report.window.n,
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
    found: dict[str, Event] = {}
    for event in project.registry.events(at):
        day = str(event.body.get("day"))
        if event.kind == KIND and event.body.get("file") == f"{day}.json":
            found[day] = event
    return dict(sorted(found.items()))


def newest_day(project: Project) -> str:
    """The last day with a request.

    Raises:
        BadInput: there are no requests yet.
    """
    with storage_errors():
        day = project.traces.requests.last_day()
    if day is None:
        raise BadInput("there are no traces yet", "serve requests with `spine serve`")
    return day


def _count(project: Project, day: str, values: Values, step: Step) -> tuple[Live, Window, str]:
    """Count a day's requests; also returns their window and the entry that answered most of them."""
    live, entries, learners, replayed, seen = Live(Tally(), Counter()), Counter[str](), Counter[str](), 0, 0
    since, until = day_range(day)
    with storage_errors():
        requests = project.traces.requests
        total = requests.count(since, until)
        for page in requests.pages(since, until, Request):
            seen += len(page)
            answered = [r for r in page if r.shadow_of is None and r.status < 500 and r.entry_sha]
            entries.update(request.entry_sha for request in answered)
            learners.update(request.learner_hash for request in answered if request.learner_hash)
            replayed += sum(request.source == "replay" for request in answered)
            live.tally.add(values.of_requests(answered))
            live.buckets.update(values.count_buckets(answered))
            step(seen, total)
    window = Window(
        start=ledger_time(since),
        to=ledger_time(until),
        n=entries.total(),
        replayed=replayed,
        learners=len(learners),
        heaviest=max(learners.values(), default=0),
        entries=dict(sorted(entries.items(), key=lambda pair: (-pair[1], pair[0]))),
    )
    return live, window, next(iter(window.entries), "")


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
    event: Event | None = None
    made: Reported | None = None
    damaged: Damaged | None = None
    """Why the recorded report cannot be read."""

    @property
    def uncounted(self) -> int:
        """Requests that are not in the report because they arrived after it was made."""
        return 0 if self.made is None else max(0, (self.answered or 0) - self.made.report.window.n)


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """Days, oldest first."""

    days: tuple[Day, ...]
    counted: bool
    """False where the traces could not be read, so that a day without a report may be missing."""


def trend(project: Project, *, weeks: int | None = None, at: str | None = None) -> Trend:
    """List every day, or the last ``weeks`` up to the newest one; as of ``at`` (RFC 3339 UTC) where given."""
    known, counts = days(project, at), _answered(project, at)
    names = sorted({*known, *(counts or ())})
    if weeks is not None and names:
        first = (date.fromisoformat(names[-1]) - timedelta(weeks=weeks)).isoformat()
        names = [name for name in names if name > first]
    return Trend(days=tuple(_day(project, name, known.get(name), counts) for name in names), counted=counts is not None)


def as_object(made: Reported) -> dict[str, Any]:
    """A recorded report as JSON fields."""
    fields: dict[str, Any] = msgspec.to_builtins(made.report)
    return {**fields, "seq": made.event.seq, "digest": made.digest, "file": made.event.body.get("file")}


def days_as_object(found: list[Day] | tuple[Day, ...]) -> dict[str, Any]:
    """Days as JSON fields: the reports, and the number of requests of days without one."""
    return {
        "days": [as_object(day.made) for day in found if day.made is not None],
        "unreported": [{"day": day.day, "answered": day.answered} for day in found if day.event is None],
    }


def _day(project: Project, name: str, event: Event | None, counts: dict[str, int] | None) -> Day:
    answered = None if counts is None else counts.get(name, 0)
    if event is None:
        return Day(day=name, answered=answered)
    try:
        return Day(day=name, answered=answered, event=event, made=recorded(project, event))
    except Damaged as error:
        return Day(day=name, answered=answered, event=event, damaged=error)


def _answered(project: Project, at: str | None) -> dict[str, int] | None:
    until = 2**63 - 1 if at is None else nanoseconds(at)
    try:
        with storage_errors():
            return dict(project.traces.requests.answered(until))
    except SpineError:  # the reports can be listed without traces; a command that needs traces reports the error
        return None
