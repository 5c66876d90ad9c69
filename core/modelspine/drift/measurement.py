"""Measuring one day: counting its requests and comparing them with corpora or with another day; records nothing.

A request that is dated ahead of this machine's clock is left out of the day, counted and named: one wrong clock must
not move what "today" is for everybody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from miniobserve.daily import Request, Requests, day_range
from modelspine.drift.bins import fix
from modelspine.drift.counting import Span, count_requests
from modelspine.drift.figures import left_out
from modelspine.drift.reference import Values, reference_of
from modelspine.drift.report import DriftReport, Live, Reference, Window, judge_day
from modelspine.drift.vectors import fixed
from modelspine.errors import BadInput
from modelspine.ledger.store import storage_errors
from modelspine.times import ledger_time
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.project import Project

Step = Callable[[int, int], None]
"""Called with the number of requests read so far and their total."""
TOLERANCE_NS = 300 * 10**9
"""How far a request may be dated ahead of this machine's clock: clocks of two hosts may disagree by minutes."""
_NAMED = 5
"""Requests ahead of the clock that are named."""
_EXACT = 1_000
"""Up to so many traces ahead of the clock are looked at one by one, to leave copies and testers out of their number."""


class Named(msgspec.Struct, frozen=True):
    """A request and its time."""

    request_id: str
    at: str


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that are dated ahead of this machine's clock."""

    n: int = 0
    first: tuple[Named, ...] = ()
    """The earliest of them."""


class _Counted(NamedTuple):
    """The counts of one day."""

    live: Live
    window: Window
    needs_text: set[str]


def clock_limit() -> int:
    """The first nanosecond at which a request counts as dated ahead of this machine's clock."""
    return time.time_ns() + TOLERANCE_NS


def measure(
    project: Project,
    day: str,
    *,
    against: str | None = None,
    against_day: str | None = None,
    step: Step = lambda _done, _total: None,
) -> DriftReport:
    """Count a day's requests and compare them with a reference; records nothing.

    Args:
        project: the project.
        day: ``YYYY-MM-DD``, UTC.
        against: REF of the entry to compare with; by default the one that answered most requests of the day, or on a
            day without answers, failed on most.
        against_day: the day to compare with instead of corpora.
        step: called with the progress.

    Raises:
        BadInput: no request was answered on one of the days, nor did an entry fail on one of ``day``; or the entry
            has no corpus to compare with.
        UnknownRef, AmbiguousRef: ``against`` names no entry, or several.
        Unavailable, Damaged: a corpus is not on this machine, or does not match its hash.
    """
    if day == against_day:
        raise BadInput(f"{day} cannot be compared with itself", "name another day: `--against-day YYYY-MM-DD`")
    values = Values(project.workload)
    found = _count(project, day, values, step)
    if not found.window.main:
        left = left_out(found.window.left_out)
        why = f"; left out: {left}" if left else ""
        raise BadInput(f"no request was answered on {day}{why}", "`spine traces list` shows recent requests")
    sha = project.registry.resolve(against) if against is not None else found.window.main
    if against_day is None:
        reference = reference_of(project, sha, values)
    else:
        reference = _reference_day(project, against_day, values, step)
    evaluated = project.registry.get(sha).eval_report
    with storage_errors():
        return judge_day(
            day=day,
            entry_sha=sha,
            reference=reference,
            live=found.live,
            window=found.window,
            evaluated=evaluated,
        )


def same_weekday(day: str) -> str:
    """The same weekday one week before.

    Raises:
        BadInput: the calendar begins later.
    """
    try:
        return (date.fromisoformat(day) - timedelta(weeks=1)).isoformat()
    except OverflowError as error:
        raise BadInput(f"there is no day one week before {day}", "name a later day: `--day YYYY-MM-DD`") from error


def newest_day(project: Project) -> str:
    """The last day, at most today (UTC), on which learners asked, whether they were answered or not.

    Raises:
        BadInput: there is no such day yet.
    """
    limit = clock_limit()
    # Just before midnight, a request that is dated within the tolerance may be one of tomorrow.
    today = ledger_time(limit - TOLERANCE_NS)[:10]
    with storage_errors():
        requests = project.traces.requests
        # A day on which only testers asked has nothing to compare, and must not become the default.
        asked, last = requests.asked(limit), requests.last_day()
    if past := [each.day for each in asked if each.day <= today]:
        return past[-1]
    if last is None:
        raise BadInput("there are no traces yet", "serve requests with `spine serve`")
    if day_range(last)[1] > limit:
        raise BadInput(
            f"every request is dated ahead of this machine's clock, the last on {last}",
            f"set the clock, or measure that day: `spine drift report --day {last}`",
        )
    raise BadInput(f"no {words().unit} sent a request yet", "`spine traces list` shows recent requests")


def requests_ahead(project: Project) -> Ahead:
    """The requests dated ahead of this machine's clock, beyond the tolerance."""
    with storage_errors():
        return _ahead(project.traces.requests, clock_limit(), 2**63 - 1)


def _ahead(requests: Requests, since: int, until: int) -> Ahead:
    total = requests.count(since, until)
    if not total:
        return Ahead()
    pages = requests.pages(since, until, Request, size=_EXACT)
    # Testers' requests are in the total and on no page, so only all pages together say how many there are.
    some = [r for page in pages for r in page] if total <= _EXACT else next(pages, [])
    own = sorted((r for r in some if r.shadow_of is None), key=lambda r: (r.started_ns, r.request_id))
    first = tuple(Named(r.request_id, ledger_time(r.started_ns)) for r in own[:_NAMED])
    return Ahead(n=len(own) if total <= _EXACT else total, first=first)


def _reference_day(project: Project, day: str, values: Values, step: Step) -> Reference:
    found = _count(project, day, values, step, keep_rows=True)
    if not found.window.n:
        raise BadInput(
            f"no request was answered on {day}, the day to compare with",
            "name a day that `spine drift show` lists: `--against-day YYYY-MM-DD`",
        )
    features = fix(found.live.tally, found.needs_text)
    with storage_errors():
        embedding = fixed(found.live.sample().vectors, values.axes) if found.live.sample is not None else None
    return Reference(
        day=day, n=found.window.n, features=features, mixes=sorted(found.live.mixes.items()), embedding=embedding
    )


def _count(project: Project, day: str, values: Values, step: Step, *, keep_rows: bool = False) -> _Counted:
    """Count a day's requests."""
    since, end = day_range(day)
    # A day that lies ahead altogether was asked for by name: then all of its requests count.
    until = min(end, limit) if since < (limit := clock_limit()) else end
    with storage_errors():
        requests = project.traces.requests
        span = Span(since, until, project.settings.engine)
        found = count_requests(requests.buckets(since, until, step), span, values, step, keep_rows=keep_rows)
        left = {"shadow": found.copies, "failed": found.failed.total(), "no entry": found.unassigned}
        left["testers"] = found.testers
        if until < end:
            left["ahead"] = _ahead(requests, until, end).n
    window = Window(
        start=ledger_time(since),
        to=ledger_time(end),
        n=found.n,
        replayed=found.replayed,
        learners=found.learners,
        heaviest=found.heaviest,
        entries=_most_first(found.entries),
        outside=found.outside,
        left_out={name: n for name, n in left.items() if n},
        failed=_most_first(found.failed),
    )
    needs_text = set(found.live.tally.counts) - found.without_text
    return _Counted(found.live, window, needs_text)


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
