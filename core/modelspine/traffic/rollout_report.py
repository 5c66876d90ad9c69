"""The report of a route: one epoch, beside the whole rollout it belongs to, and what neither of them counts.

A change of weights opens an epoch and leaves the rollout going, so the newest epoch alone forgets what the rollout
already knows. Over a rollout each epoch is compared by itself; ``stratified`` says how the differences are combined.
It draws nothing and does not know how traces are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from miniobserve.reader import TraceReader
from modelspine.errors import BadInput
from modelspine.gate.eval_report import Count
from modelspine.ledger.event import Event
from modelspine.ledger.route import Route
from modelspine.stats import FEW_UNITS
from modelspine.times import after_ns, nanoseconds
from modelspine.traffic.epoch_scope import TOLERANCE_NS, Scope, scope_of
from modelspine.traffic.epochs import Epoch, Move, moves, rollout_of
from modelspine.traffic.report import (
    OUTCOMES,
    EpochReport,
    Reading,
    ShadowReport,
    epoch_report,
    horizon_of,
    read_epoch,
    shadow_report,
    some_graded,
)
from modelspine.traffic.stratified import Pooled, pooled
from modelspine.traffic.votes import Ballot, Stratum, ballot
from modelspine.words import words


class ArmTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One arm over all epochs of a rollout."""

    name: str
    requests: int
    units: int
    errors: int
    feedback: dict[str, int]
    graded: Count

    @property
    def answered(self) -> int:
        """How many of its requests were answered."""
        return self.requests - self.errors


class PooledComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Differences candidate − stable over a rollout; None where no epoch has enough units in both arms."""

    graded: Pooled | None
    accepted: Pooled | None
    errors: Pooled | None
    latency: Pooled | None
    """Of the mean, in seconds, limited as in ``Comparison``."""
    coverage: Pooled | None = None
    """Of the share of answers that have a grade; None also where every answer has one, or none."""


class RolloutReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a whole rollout."""

    rollout: str
    since: str
    until: str | None
    """When it ended; None while it is in progress."""
    requests: int
    units: int
    """Distinct units over all epochs."""
    switched: int
    """Units that changed arm when the weight changed."""
    epochs: tuple[EpochReport, ...]
    """Oldest first."""
    moved: tuple[Move, ...]
    arms: tuple[ArmTotal, ...]
    difference: PooledComparison | None
    shadow: ShadowReport | None


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """Something the comparison does not count."""

    what: str
    n: int
    """Requests or answers."""
    why: str


class RouteReport(EpochReport, frozen=True, kw_only=True):
    """The figures of one epoch, and those of its rollout."""

    whole: RolloutReport | None
    """None if the rollout has only this epoch, or if one epoch was asked for."""
    left_out: tuple[NotCompared, ...]
    epochs_in_rollout: int


def chosen_epoch(known: Sequence[Epoch], *, epoch: int | None = None, rollout: int | None = None) -> Epoch:
    """The epoch to report: the given one, the newest of the given rollout, or the newest of all.

    Raises:
        BadInput: there is no such epoch or rollout, or nothing is routed yet.
    """
    hint = "`spine route epochs` lists the epochs"
    if rollout is not None:
        found = next((each for each in known if each.route.salt == str(rollout)), None)
        problem = f"#{rollout} is no rollout; a rollout is named by its first epoch"
    else:
        found = next((each for each in known if epoch in (None, each.number)), None)
        problem = "nothing is routed yet" if epoch is None else f"#{epoch} is no route event"
    if found is None:
        raise BadInput(problem, hint)
    return found


def route_report(
    traces: TraceReader,
    known: Sequence[Epoch],
    events: Sequence[Event],
    epoch: Epoch,
    *,
    now: datetime,
    at: str | None = None,
    alone: bool = False,
) -> RouteReport:
    """Sum up the traces of an epoch and of its rollout; writes nothing.

    Args:
        traces: the trace store.
        known: every epoch, newest first.
        events: all events up to the moment of the report.
        epoch: the epoch to report.
        now: the present; requests that claim to have started later are set aside.
        at: count only requests that started up to this moment, as the ledger writes it; None counts all.
        alone: leave the other epochs of the rollout out.
    """
    limit = nanoseconds(now) + TOLERANCE_NS
    before = limit if at is None else min(limit, after_ns(at))
    rollout = rollout_of(known, epoch)
    scopes = {each.number: scope for each in rollout if (scope := _scope(traces, each, before)) is not None}
    readings = {
        each.number: read_epoch(
            traces.evidence, each.route, before, scopes[each.number].from_ns if each.number in scopes else 0
        )
        for each in rollout
    }
    taken = [epoch] if alone else [*rollout]
    reports = {each.number: epoch_report(traces.evidence, each, readings[each.number]) for each in taken}
    left_out = [*_other_epochs(rollout, readings, reports)]
    whole = None
    if len(taken) > 1:
        ballots, unfit = _comparable(epoch.route, taken, readings, reports)
        left_out += unfit
        whole = _whole(epoch.route, taken, readings, reports, ballots, moves(rollout, events))
    ahead = sum(found.n for each in taken if (found := traces.evidence.ahead(each.number, limit)))
    if ahead:
        left_out.append(
            NotCompared(what="requests from the future", n=ahead, why="they claim to have started after now")
        )
    behind = sum(scope.behind.n for each in taken if (scope := scopes.get(each.number)) and scope.behind)
    if behind:
        why = "they claim to have started before their epoch: replayed, or by a clock that is behind"
        left_out.append(NotCompared(what="requests from before the epoch", n=behind, why=why))
    left_out += _uncounted([readings[each.number] for each in taken], labels=reports[epoch.number].labels)
    by_testers = sum(traces.tester_requests(each.number) for each in taken)
    if by_testers:
        left_out.append(NotCompared(what="requests of testers", n=by_testers, why="they chose their arm themselves"))
    figures = {name: getattr(reports[epoch.number], name) for name in EpochReport.__struct_fields__}
    return RouteReport(**figures, whole=whole, left_out=tuple(left_out), epochs_in_rollout=len(rollout))


def _scope(traces: TraceReader, epoch: Epoch, before_ns: int) -> Scope | None:
    """The requests of a canary's epoch that its judge counts; None where nobody is judged, so that all count."""
    if epoch.route.ladder is None:
        return None
    try:
        since_ns = nanoseconds(epoch.since)
    except ValueError:  # a damaged ledger may hold any text here
        return None
    return scope_of(traces.evidence, epoch.number, since_ns, before_ns - TOLERANCE_NS)


def _whole(
    route: Route,
    taken: Sequence[Epoch],
    readings: Mapping[int, Reading],
    reports: Mapping[int, EpochReport],
    ballots: Sequence[tuple[int, Ballot]],
    moved: tuple[Move, ...],
) -> RolloutReport:
    arms_of: dict[str, set[str]] = {}
    units = [unit for each in taken for unit in readings[each.number].units]
    for unit in units:
        arms_of.setdefault(unit.u, set()).add(unit.arm)
    return RolloutReport(
        rollout=route.salt,
        since=taken[0].since,
        until=taken[-1].until,
        requests=sum(unit.n for unit in units),
        units=len(arms_of),
        switched=sum(len(arms) > 1 for arms in arms_of.values()),
        epochs=tuple(reports[each.number] for each in taken),
        moved=moved,
        arms=tuple(_total(arm.name, [readings[each.number] for each in taken]) for arm in route.learners),
        difference=_pooled(ballots, horizon_of(route), graded=some_graded(units)) if len(route.learners) > 1 else None,
        shadow=shadow_report([pair for each in taken for pair in readings[each.number].pairs])
        if route.shadow
        else None,
    )


def _total(name: str, readings: Sequence[Reading]) -> ArmTotal:
    own = [unit for read in readings for unit in read.units if unit.arm == name]
    said = [each for read in readings for each in read.said if each.arm == name]
    return ArmTotal(
        name=name,
        requests=sum(unit.n for unit in own),
        units=len({unit.u for unit in own}),
        errors=sum(unit.failed for unit in own),
        feedback={outcome: sum(each.n for each in said if each.outcome == outcome) for outcome in OUTCOMES},
        graded=Count(sum(unit.right for unit in own), sum(unit.graded for unit in own)),
    )


def _pooled(ballots: Sequence[tuple[int, Ballot]], horizon: float, *, graded: bool) -> PooledComparison:
    def over(votes: Callable[[Ballot], Stratum], *, share: bool = True) -> Pooled | None:
        return pooled([(number, votes(each)) for number, each in ballots], horizon=horizon, share=share)

    return PooledComparison(
        graded=over(lambda each: each.graded),
        accepted=over(lambda each: each.accepted),
        errors=over(lambda each: each.errors),
        latency=over(lambda each: each.latency, share=False),
        coverage=over(lambda each: each.coverage) if graded else None,
    )


def _comparable(
    route: Route, taken: Sequence[Epoch], readings: Mapping[int, Reading], reports: Mapping[int, EpochReport]
) -> tuple[list[tuple[int, Ballot]], list[NotCompared]]:
    """The votes of the epochs that may be compared, and the epochs that may not, with the reason."""
    shas = [arm.sha for arm in route.learners]
    ballots: list[tuple[int, Ballot]] = []
    unfit: list[NotCompared] = []
    for each in taken:
        read, split = readings[each.number], reports[each.number].split
        if read.compared is None:
            continue
        why, votes = "", ballot(read.units, read.said, arms=read.compared)
        if [arm.sha for arm in each.route.learners] != shas:
            why = "it compares other entries"
        elif split is not None and split.alarm:
            why = f"sample-ratio mismatch: its {words().units} are not divided as the weights say"
        elif min(len(votes.errors.stable), len(votes.errors.candidate)) < FEW_UNITS:
            why = f"fewer than {FEW_UNITS} {words().units} in an arm"
        if why:
            unfit.append(NotCompared(what=f"epoch #{each.number}", n=sum(unit.n for unit in read.units), why=why))
        else:
            ballots.append((each.number, votes))
    return ballots, unfit


def _other_epochs(
    rollout: Sequence[Epoch], readings: Mapping[int, Reading], reports: Mapping[int, EpochReport]
) -> list[NotCompared]:
    return [
        NotCompared(what=f"epoch #{each.number}", n=n, why="another epoch of this rollout")
        for each in rollout
        if each.number not in reports and (n := sum(unit.n for unit in readings[each.number].units))
    ]


def _uncounted(readings: Sequence[Reading], *, labels: bool) -> list[NotCompared]:
    units = [unit for read in readings for unit in read.units]
    answered = sum(unit.answered for unit in units)
    graded = sum(unit.graded for unit in units)
    if graded and answered > graded:
        why = "the workload cannot tell whether they are correct"
        if labels:
            why = f"no label says whether they are correct: {graded:,} of {answered:,} are labelled"
        return [NotCompared(what="answers without a grade", n=answered - graded, why=why)]
    return []
