"""The reported days side by side, with how many requests each day really had: what shows that a report is due.

Reports are read by digest and hashed again; counts come from the traces' roll-up by the minute, which costs
nothing like counting requests. It makes no report.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from modelspine.drift.days import Reported, days, recorded
from modelspine.errors import Damaged, SpineError
from modelspine.ledger.store import Event, storage_errors
from modelspine.times import nanoseconds

if TYPE_CHECKING:
    from modelspine.spine import Spine


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day with a report, or with requests and none yet."""

    day: str
    answered: int | None
    """Requests that were answered by now and can still be counted; None where nobody knows."""
    event: Event | None = None
    made: Reported | None = None
    damaged: Damaged | None = None
    """Why the recorded report cannot be read."""

    @property
    def uncounted(self) -> int:
        """Requests that came after the report was made."""
        return 0 if self.made is None else max(0, (self.answered or 0) - self.made.report.window.n)


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """Days, oldest first."""

    days: tuple[Day, ...]
    counted: bool
    """False where the traces could not be read, so that a day without a report may be missing."""


def trend(spine: Spine, *, weeks: int | None = None, at: str | None = None) -> Trend:
    """Every day, or those of some weeks up to the newest one; as it was at a moment where one is given."""
    known, counts = days(spine, at), _answered(spine, at)
    names = sorted({*known, *(counts or ())})
    if weeks is not None and names:
        first = (date.fromisoformat(names[-1]) - timedelta(weeks=weeks)).isoformat()
        names = [name for name in names if name > first]
    return Trend(days=tuple(_day(spine, name, known.get(name), counts) for name in names), counted=counts is not None)


def as_object(made: Reported) -> dict[str, Any]:
    """A recorded report as programs read it."""
    fields: dict[str, Any] = msgspec.to_builtins(made.report)
    return {**fields, "seq": made.event.seq, "digest": made.digest, "file": made.event.body.get("file")}


def days_as_object(found: list[Day] | tuple[Day, ...]) -> dict[str, Any]:
    """Days as programs read them: the reports, and the requests of days that have none."""
    return {
        "days": [as_object(day.made) for day in found if day.made is not None],
        "unreported": [{"day": day.day, "answered": day.answered} for day in found if day.event is None],
    }


def _day(spine: Spine, name: str, event: Event | None, counts: dict[str, int] | None) -> Day:
    many = None if counts is None else counts.get(name, 0)
    if event is None:
        return Day(day=name, answered=many)
    try:
        return Day(day=name, answered=many, event=event, made=recorded(spine, event))
    except Damaged as error:
        return Day(day=name, answered=many, event=event, damaged=error)


def _answered(spine: Spine, at: str | None) -> dict[str, int] | None:
    until = 2**63 - 1 if at is None else nanoseconds(at)
    try:
        with storage_errors():
            return dict(spine.traces.requests.answered(until))
    except SpineError:  # whoever reads traces says why; the reports stand in the ledger
        return None
