"""What an operator wants to know first, as far as the ledger and a few rows of the traces say it.

It costs the same however many traces there are, so a console can ask every few seconds. It only gathers what other
modules found out, and does not know how that is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from miniobserve.uptime import Servers
from modelspine.errors import SpineError
from modelspine.ledger.state import State
from modelspine.ledger.store import storage_errors
from modelspine.times import after_ns, ledger_time, nanoseconds
from modelspine.traffic.epochs import Epoch, epochs
from modelspine.traffic.request_rate import pace

if TYPE_CHECKING:
    from modelspine.project import Project

_OLDER = 50
"""Earlier epochs that are searched for the last request, newest first."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The entry in production."""

    sha: str
    semver: str
    since: str
    seq: int
    """The event that last made it the stable arm."""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The entry that is tried out beside production."""

    strategy: str
    sha: str
    semver: str
    weight_bp: int
    since: str
    """When its present weight was set."""
    step: int | None
    """Its step, from 1; only a canary has steps."""
    steps: int | None


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An entry on hold."""

    sha: str
    semver: str
    since: str
    reason: str


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger and a few rows of the traces say."""

    at: str
    """The moment it describes."""
    seq: int
    """The newest event it rests on; 0 for an empty ledger."""
    entries: int
    env: str
    service: str
    """What the project serves; see ``Settings.service_name``."""
    production: Standing | None
    rollout: Rollout | None
    held: tuple[Hold, ...]
    requests_per_second: float | None = None
    """Over the last two minutes; None where traces cannot be read, or were replayed to another time."""
    last_request: str | None = None
    replayed: bool = False
    """Whether the last request was replayed, so that its time is simulated."""
    until: str = ""
    """Where the day of the figures ends: the moment, or the last request of traffic replayed to another time."""
    servers: int | None = None
    """Servers that are running; None where traces cannot be read."""
    server_seen: str | None = None
    """When a server was last seen."""
    recorded: str | None = None
    """When the newest request began, where it was recorded of a server that is not Spine's, and none of Spine's is up.
    """
    problem: str = ""
    """Why nothing is known of traces; empty where it is."""
    hint: str = ""

    @property
    def unserved(self) -> bool:
        """Whether a rollout cannot get a request, because no server is running.

        Replayed traffic needs none, and the requests of a server that is not Spine's are recorded without one.
        """
        return self.rollout is not None and self.servers == 0 and self.recorded is None and not self.replayed


def glance(project: Project, now: datetime, at: str | None = None) -> Glance:
    """Gather what is cheap to read, as of now or of a moment (RFC 3339 UTC)."""
    state, events = project.registry.state(at), project.registry.events()
    known = epochs(state, events)
    moment = now if at is None else datetime.fromisoformat(at)
    found = Glance(
        at=ledger_time(nanoseconds(moment)),
        seq=state.seq,
        entries=len(state.entries),
        env=state.env,
        service=project.settings.service_name,
        production=standing(known),
        rollout=rollout(known),
        held=tuple(_held(state)),
    )
    try:
        running = servers(project, moment)
        seen = None if running.seen_ns is None else ledger_time(running.seen_ns)
        recorded = None if running.recorded_ns is None else ledger_time(running.recorded_ns)
        found = msgspec.structs.replace(found, until=found.at, servers=running.up, server_seen=seen, recorded=recorded)
        with storage_errors():
            return _with_traces(project, found, known, moment)
    except SpineError as error:
        return msgspec.structs.replace(found, until=found.at, problem=error.message, hint=error.hint)


def servers(project: Project, moment: datetime) -> Servers:
    """Which servers are running. None are where there is no trace store: a server makes one when it starts.

    Raises:
        Unavailable, Damaged: the trace store cannot be read.
    """
    file = project.settings.traces.removeprefix("sqlite:///")
    if file != project.settings.traces and not Path(file).exists():
        return Servers(up=0, seen_ns=None)
    with storage_errors():
        return project.traces.requests.servers(nanoseconds(moment))


def standing(known: Sequence[Epoch]) -> Standing | None:
    """The entry in production, since it last became the stable arm; ``known`` are all epochs, newest first."""
    first = None
    for epoch in known:
        if epoch.route.stable.sha != known[0].route.stable.sha:
            break
        first = epoch
    if first is None:
        return None
    arm = known[0].route.stable
    return Standing(sha=arm.sha, semver=arm.semver, since=first.since, seq=first.number)


def rollout(known: Sequence[Epoch]) -> Rollout | None:
    """The rollout in progress; ``known`` are all epochs, newest first."""
    epoch = known[0] if known else None
    if epoch is None or epoch.route.candidate is None:
        return None
    arm, ladder = epoch.route.candidate, epoch.route.ladder
    return Rollout(
        strategy=epoch.route.strategy,
        sha=arm.sha,
        semver=arm.semver,
        weight_bp=arm.weight_bp,
        since=epoch.since,
        step=None if ladder is None else ladder.at + 1,
        steps=None if ladder is None else len(ladder.steps),
    )


def _held(state: State) -> Iterator[Hold]:
    for sha, entry in state.entries.items():
        if entry.held is not None and entry.tombstoned is None:
            event = next((each for each in reversed(entry.history) if each.kind == "held"), None)
            yield Hold(
                sha=sha,
                semver=entry.semvers[-1] if entry.semvers else "",
                since=event.at if event is not None else "",
                reason=entry.held,
            )


def _with_traces(project: Project, found: Glance, known: Sequence[Epoch], moment: datetime) -> Glance:
    if not known:
        project.traces.recent.totals(0, 0)  # raises if the traces cannot be read
        return found
    measured = pace(project.traces, known[0].route, moment)
    found = msgspec.structs.replace(
        found,
        requests_per_second=None if measured.quiet else measured.per_second,
        last_request=measured.last,
        replayed=measured.replayed,
        until=measured.until,
    )
    return found if measured.last is not None else _with_older(project, found, known)


def _with_older(project: Project, found: Glance, known: Sequence[Epoch]) -> Glance:
    """Add the last request of an earlier epoch, where the newest one has none yet."""
    limit = after_ns(found.at)
    earlier = (project.traces.evidence.last(epoch.number, limit) for epoch in known[1:_OLDER])
    last = next((each for each in earlier if each is not None), None)
    if last is None:
        return found
    at = ledger_time(last[1])
    found = msgspec.structs.replace(found, last_request=at)
    if not found.requests_per_second and project.traces.recent.is_replayed(*last):
        return msgspec.structs.replace(found, requests_per_second=None, replayed=True, until=at)
    return found
