"""The figures of one epoch: each arm, the differences between them, and a check for sample-ratio mismatch.

Comparisons are by unit, because the requests of one learner are not independent. Intervals are always valid; a
figure whose name has ``fixed`` is a fixed-horizon test. ``rollout_report`` sets an epoch beside the others of its
rollout. This module draws nothing and does not know where traces are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from miniobserve.evidence import Evidence, Pair, Said, Unit, quantile
from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL, Arm, Guard, Route
from modelspine.stats import SRM_ALARM, SRM_UNITS, Difference, difference, holm, mcnemar, mismatch, sums, welch_fixed_p
from modelspine.times import ledger_time
from modelspine.traffic.epochs import Epoch
from modelspine.traffic.heavy_units import Heavy
from modelspine.traffic.operator_notes import failing_notes, heavy_among, heavy_notes
from modelspine.traffic.votes import votes_by_arm
from modelspine.workload import OF_ANSWER

MOST_BUCKETS = 40
OUTCOMES = ("accepted", "dismissed", "revised")


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one arm."""

    name: str
    sha: str
    semver: str
    set_bp: int
    actual_bp: float | None
    """Its share of the distinct units; for a shadow, the share of requests copied to it. None without requests."""
    requests: int
    units: int
    errors: int
    p50: float | None
    """Seconds of answered requests, accurate to 2.2 % because latencies are stored in a logarithmic histogram."""
    p95: float | None
    p99: float | None
    feedback: dict[str, int]
    graded: Count

    @property
    def answered(self) -> int:
        """How many of its requests were answered."""
        return self.requests - self.errors


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The check for sample-ratio mismatch: whether units were split as the weights say."""

    units: tuple[int, ...]
    bayes_factor: float | None
    """Evidence for a different split; None below ``SRM_UNITS`` units."""
    alarm: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Differences candidate − stable, each with an always-valid interval; None where there are too few units."""

    graded: Difference | None
    accepted: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Of the mean, in seconds. Up to three of an arm's slowest units, and at most 1 % of them (but one at least), count
    no slower than the next one."""
    latency_fixed_p: float | None
    """Welch's fixed-horizon test on the same unit means: valid only for a single look at an n fixed beforehand."""
    coverage: Difference | None = None
    """Of the share of answers that have a grade; None also where every answer has one, or none."""


class Square(msgspec.Struct, frozen=True, kw_only=True):
    """The 2 × 2 table of requests that both the live arm and the shadow answered and that were graded."""

    bucket: str
    both: int
    only_live: int
    only_shadow: int
    neither: int
    p: float
    """Exact McNemar test over units. Each counts once, for the side that did better on it, so that one learner with
    many requests cannot decide the result. For a bucket, corrected by Holm's method over all buckets."""


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of a shadow with the live arm."""

    pairs: Square
    buckets: tuple[Square, ...]
    """The ``MOST_BUCKETS`` buckets with the smallest p."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """When the requests of an epoch started; None where there are none."""

    first: str | None = None
    last: str | None = None
    misdated: bool = False
    """Whether all lie before the epoch although some were not replayed, so that a clock is wrong."""


class EpochReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one epoch."""

    strategy: str
    epoch: int
    rollout: str
    since: str
    until: str | None
    """When the next epoch was opened; None for the active one."""
    window: Window
    arms: tuple[ArmReport, ...]
    split: Split | None
    difference: Comparison | None
    shadow: ShadowReport | None
    labels: bool = False
    """Whether labels grade answers here, so that what has no grade yet may still get one."""
    heavy: tuple[Heavy, ...] = ()
    """Units that sent a large share of their arm's requests, the heaviest first, where arms are compared."""
    notes: tuple[str, ...] = ()
    """What to know beside the figures, safe to display: arms that fail on most requests, and heavy units."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What an epoch's figures were computed from; the figures of several epochs need it too."""

    units: list[Unit]
    """Of the arms whose answers reach learners."""
    said: list[Said]
    copies: list[Unit]
    pairs: list[Pair]
    compared: tuple[str, str] | None
    """The names of the stable arm and of the candidate; None where no two arms are compared."""
    before_ns: int
    from_ns: int
    """The requests that were read started from ``from_ns`` up to, but not including, ``before_ns``."""


def read_epoch(evidence: Evidence, route: Route, before_ns: int, from_ns: int = 0) -> Reading:
    """Read the evidence of the requests of one epoch that started within a time range; writes nothing."""
    scope = route.epoch, before_ns, from_ns
    units, said = evidence.units(*scope, from_files=True), evidence.said(*scope)
    compared = route.learners[1] if len(route.learners) > 1 else None
    return Reading(
        units=units,
        said=said,
        copies=evidence.units(*scope, copies=True, from_files=True) if route.shadow else [],
        pairs=evidence.pairs(route.epoch, before_ns) if route.shadow else [],
        compared=(route.stable.name, compared.name) if compared else None,
        before_ns=before_ns,
        from_ns=from_ns,
    )


def epoch_report(evidence: Evidence, epoch: Epoch, read: Reading) -> EpochReport:
    """Sum up one epoch by what was read of it."""
    route = epoch.route
    scope = route.epoch, read.before_ns, read.from_ns
    times, span = evidence.latencies(*scope), evidence.span(*scope)
    live = len(read.units)  # one for each arm and unit
    requests = sum(unit.n for unit in read.units)
    arms = []
    for arm in route.arms:
        shadow = arm is route.shadow
        rows, whole = (read.copies, requests) if shadow else (read.units, live)
        arms.append(_arm(arm, rows, read.said, times.get(arm.name, []), whole, by_unit=not shadow))
    heavy = heavy_among(route, read.units)
    failing = failing_notes(route.arms, [*read.units, *read.copies], ended=epoch.until is not None)
    return EpochReport(
        strategy=route.strategy,
        epoch=route.epoch,
        rollout=route.salt,
        since=epoch.since,
        until=epoch.until,
        window=_window(evidence, epoch, read, span) if span else Window(),
        arms=tuple(arms),
        split=_split(route.learners, read.units) if len(route.learners) > 1 else None,
        difference=_comparison(read, read.compared, horizon_of(route)) if read.compared else None,
        shadow=shadow_report(read.pairs) if route.shadow else None,
        labels=evidence.has_labels,
        heavy=tuple(heavy),
        notes=(*failing, *heavy_notes(heavy)),
    )


def _window(evidence: Evidence, epoch: Epoch, read: Reading, span: tuple[int, int]) -> Window:
    first, last = map(ledger_time, span)
    # Live requests, too, lie before an epoch that was dated by a clock that is ahead.
    misdated = last < epoch.since and evidence.first_live(epoch.number, read.before_ns, read.from_ns) is not None
    return Window(first=first, last=last, misdated=misdated)


def horizon_of(route: Route) -> float:
    """The number of units at which the intervals of a route are narrowest."""
    return (route.ladder.guard if route.ladder else Guard()).horizon


def _arm(
    arm: Arm, rows: Sequence[Unit], said: Sequence[Said], times: list[tuple[float, int]], whole: int, *, by_unit: bool
) -> ArmReport:
    own = [unit for unit in rows if unit.arm == arm.name]
    requests = sum(unit.n for unit in own)
    share = len(own) if by_unit else requests
    outcomes = {name: sum(each.n for each in said if (each.arm, each.outcome) == (arm.name, name)) for name in OUTCOMES}
    return ArmReport(
        name=arm.name,
        sha=arm.sha,
        semver=arm.semver,
        set_bp=arm.weight_bp,
        actual_bp=FULL * share / whole if whole else None,
        requests=requests,
        units=len(own),
        errors=sum(unit.failed for unit in own),
        p50=quantile(times, 0.50),
        p95=quantile(times, 0.95),
        p99=quantile(times, 0.99),
        feedback=outcomes,
        graded=Count(sum(unit.right for unit in own), sum(unit.graded for unit in own)),
    )


def _split(arms: Sequence[Arm], units: Sequence[Unit]) -> Split:
    counts = tuple(sum(unit.arm == arm.name for unit in units) for arm in arms)
    enough = sum(counts) >= SRM_UNITS
    factor = mismatch(counts, [arm.weight_bp for arm in arms]) if enough else None
    return Split(units=counts, bayes_factor=factor, alarm=factor is not None and factor > SRM_ALARM)


def _comparison(read: Reading, arms: tuple[str, str], horizon: float) -> Comparison:
    votes = votes_by_arm(read.units, read.said, arms=arms)

    def compared(measure: str, *, share: bool = True) -> Difference | None:
        stable, candidate = map(sums, votes[measure])
        return difference(stable, candidate, horizon=horizon, share=share)

    means = [[y / n for (n, y), times in own.items() for _ in range(times)] for own in votes["latency"]]
    return Comparison(
        graded=compared("graded"),
        accepted=compared("accepted"),
        errors=compared("errors"),
        latency=compared("latency", share=False),
        latency_fixed_p=welch_fixed_p(*means),
        coverage=compared("coverage") if some_graded(read.units) else None,
    )


def some_graded(units: Sequence[Unit]) -> bool:
    """Whether some answers have a grade and others do not."""
    return 0 < sum(unit.graded for unit in units) < sum(unit.answered for unit in units)


def shadow_report(pairs: Sequence[Pair]) -> ShadowReport:
    """Compare the shadow with the live arm over pairs of their answers to the same requests."""
    by_bucket: dict[str, list[Pair]] = {}
    for pair in pairs:
        # Features of the answer depend on the arm that gave it; only features of the input may stratify.
        strata = (name for name in pair.features.split("|") if name and not name.startswith(OF_ANSWER))
        for feature in strata:
            by_bucket.setdefault(feature, []).append(pair)
    squares = {name: _square(name, own) for name, own in by_bucket.items()}
    corrected = holm({name: square.p for name, square in squares.items()})
    buckets = [msgspec.structs.replace(square, p=corrected[name]) for name, square in squares.items()]
    buckets.sort(key=lambda each: (each.p, -abs(each.only_live - each.only_shadow), each.bucket))
    return ShadowReport(pairs=_square("all", pairs), buckets=tuple(buckets[:MOST_BUCKETS]))


def _square(bucket: str, pairs: Iterable[Pair]) -> Square:
    counts = {(live, shadow): 0 for live in (True, False) for shadow in (True, False)}
    net: dict[str, int] = {}
    for pair in pairs:
        counts[pair.live, pair.shadow] += pair.n
        net[pair.u] = net.get(pair.u, 0) + pair.n * (pair.shadow - pair.live)
    worse, better = sum(value < 0 for value in net.values()), sum(value > 0 for value in net.values())
    return Square(
        bucket=bucket,
        both=counts[True, True],
        only_live=counts[True, False],
        only_shadow=counts[False, True],
        neither=counts[False, False],
        p=mcnemar(worse, better),
    )
