"""Reading what cost figures need: from the trace store and the registry, or from a sample file with both.

A sample is a JSON Lines file. Its first line has the entries, their evaluation and the time it was taken; each other
line is a trace. This module computes no figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from miniobserve.cost import WAITING
from miniobserve.daily import day_range
from miniobserve.fold import Bucket, fold
from miniobserve.traces import Assignment, Trace
from miniobserve.uptime import Up
from modelspine.cost.figures import EntryCost, Priced, costs
from modelspine.cost.idle import IdleDay
from modelspine.cost.left_out import LeftOut, Named, left_out
from modelspine.cost.meter import Totals, merged
from modelspine.cost.partial import QUERIES
from modelspine.errors import BadInput
from modelspine.ledger.store import storage_errors
from modelspine.text import visible
from modelspine.times import nanoseconds

if TYPE_CHECKING:
    from modelspine.project import Project
    from modelspine.registry.entries import Entry

Step = Callable[[int, int], None]
"""Called with the number of requests read so far and their total."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a sample."""

    schema: Literal["spine.cost-sample/1"]
    of: str
    """Where its traces come from."""
    at: datetime
    """The time up to which idle time is counted."""
    entries: tuple[Priced, ...]
    uptime: tuple[Up, ...] = ()
    """The recorded uptime of servers between the first of its requests and the last."""


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request of a sample: the fields of a trace that cost figures need."""

    started_ns: int
    entry_sha: str = ""
    stages: dict[str, float] = {}
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    currency: str = "USD"
    rate_per_hour: float | None = None
    workers: int | None = None
    price_version: str = ""
    priced_by: str = WAITING
    input_price: float | None = None
    output_price: float | None = None
    unpriced: str = ""
    status: int = 200
    in_scope: bool = True
    graded: bool | None = None
    features: dict[str, str] = {}
    shadow_of: str | None = None
    unit_hash: str | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """The cost figures of a set of requests."""

    of: str
    at: datetime
    requests: int
    """All that began in the time that the figures are of."""
    entries: tuple[EntryCost, ...]
    future: int = 0
    """Requests left out because they are dated after ``at``."""
    idle: tuple[IdleDay, ...] = ()
    """Rent, prices and idle time of each day, rate and price version."""
    left_out: tuple[LeftOut, ...] = ()
    """The other ``requests``, which are in no entry's figures."""


def measured(
    project: Project, day: str | None, now: datetime, step: Step = lambda _done, _total: None, *, at: str | None = None
) -> Costs:
    """The figures of one day's requests (UTC), or of all; entries without a request are listed without prices.

    With ``at`` (RFC 3339 UTC) they are as of that moment: the entries and requests up to it, and idle time up to it
    instead of ``now``. A request dated after ``now`` is counted and left out.
    """
    listed = project.registry.list(at)
    if at is not None:
        now = datetime.fromisoformat(at)
    with storage_errors():
        requests = project.traces.requests
        since, end = day_range(day) if day is not None else (0, 2**63 - 1)
        # ``now`` has microseconds; this includes requests that started within its last one.
        until = max(since, min(end, nanoseconds(now) + 1000))
        buckets = requests.buckets(since, until, step)
        given = {"since": since, "until": until}
        totals = merged(fold(buckets, QUERIES, given, engine=project.settings.engine, step=step))
        future = requests.count(until, end) if at is None else 0
        uptime = requests.uptime(since, until)
    figures, idle = costs(priced(listed), totals, uptime)
    names = {e.sha: Named(e.semver, tombstoned=e.status == "tombstoned") for e in listed}
    return Costs(
        of=day or "every day",
        at=now,
        requests=sum(total.everything for total in totals.values()),
        entries=figures,
        future=future,
        idle=idle,
        left_out=left_out(totals, {cost.sha for cost in figures}, names),
    )


def priced(entries: Iterable[Entry]) -> tuple[Priced, ...]:
    """What cost figures need of every entry that is not tombstoned, in the order of registration."""
    return tuple(
        Priced(
            sha=e.sha,
            semver=e.semver,
            variant=e.variant,
            parent_sha=e.parent_sha,
            total=e.total,
            held=e.status == "held",
        )
        for e in entries
        if e.status != "tombstoned"
    )


def sampled(file: Path) -> Costs:
    """The figures of a sample file.

    Raises:
        BadInput: it cannot be read or is not a sample.
    """
    try:
        with file.open("rb") as lines:
            head = msgspec.json.decode(next(lines, b""), type=Sample)
            spent = [msgspec.json.decode(line, type=Spent) for line in lines]
    except OSError as error:
        raise BadInput(
            f"{visible(str(file), 120)} cannot be read: {error.strerror or error}", "give the path of a sample file"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{visible(str(file), 120)} is not a sample of traces: {visible(str(error), 120)}",
            "write one with `python bench/costs.py sample FILE`",
        ) from error
    with storage_errors():
        totals = metered(spent)
        figures, idle = costs(head.entries, totals, head.uptime)
    left = left_out(totals, {cost.sha for cost in figures}, {})
    return Costs(of=head.of, at=head.at, requests=len(spent), entries=figures, idle=idle, left_out=left)


def metered(spent: Sequence[Spent]) -> dict[str, Totals]:
    """The totals of some requests, by entry SHA.

    Raises:
        StorageError: DuckDB is not installed.
    """
    nowhere = Assignment(strategy="", epoch=0, salt="", arm="", bucket=0, sticky=False, u="")
    made = tuple(
        Trace(
            **{name: getattr(one, name) for name in Spent.__struct_fields__},
            request_id=f"request-{number}", trace_id="", span_id="", intended_sha="", semver="", assignment=nowhere,
        )
        for number, one in enumerate(spent)
    )  # fmt: skip
    ever = {"since": -(2**63), "until": 2**63 - 1}
    return merged(fold([Bucket(live=made, rows=len(made))], QUERIES, ever))


def sample(project: Project, of: str, limit: int, day: str) -> Iterator[bytes]:
    """The lines of a sample of a day's ``limit`` oldest requests, without text, learner, features or request id."""
    taken: list[Spent] = []
    with storage_errors():
        for page in project.traces.requests.pages(*day_range(day), Spent):
            taken += [_anonymous(spent) for spent in page[: limit - len(taken)]]
            if len(taken) >= limit:
                break
        times = [spent.started_ns for spent in taken]
        uptime = project.traces.requests.uptime(min(times, default=0), max(times, default=0))
    shas = {spent.entry_sha for spent in taken}
    named = tuple(entry for entry in priced(project.registry.list()) if entry.sha in shas)
    at = datetime.fromtimestamp(max(times, default=0) // 10**9 + 1, UTC)
    yield from _lines((Sample(schema="spine.cost-sample/1", of=of, at=at, entries=named, uptime=uptime), *taken))


def _anonymous(spent: Spent) -> Spent:
    """The request without its learner, and with one feature's name, which says that it was in scope."""
    return msgspec.structs.replace(spent, unit_hash=None, features=dict.fromkeys(list(spent.features)[:1], ""))


def _lines(values: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    return (msgspec.json.encode(value) + b"\n" for value in values)
