"""One epoch of a route as numbers: each arm, the difference between them, and whether the split was as set.

Everything that compares is by unit; what may be looked at at any time and what only once says so in its name. It
does not draw, and does not know where traces are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from miniobserve.evidence import EVER, Evidence, Pair, Said, Unit, quantile
from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL, Arm, Guard, Route
from modelspine.stats import SRM_ALARM, SRM_UNITS, Difference, difference, holm, mcnemar, mismatch, welch_fixed_p
from modelspine.times import after_ns
from modelspine.traffic.noninferiority import Measure, Side, side
from modelspine.workload import OF_ANSWER

MOST_BUCKETS = 40
OUTCOMES = ("accepted", "dismissed", "revised")


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm did."""

    name: str
    sha: str
    semver: str
    set_bp: int
    actual_bp: float | None
    """Its share of the distinct units; of a shadow, the share of requests copied to it. None of none."""
    requests: int
    units: int
    errors: int
    p50: float | None
    """Seconds, right to within 2.2 %."""
    p95: float | None
    p99: float | None
    feedback: dict[str, int]
    graded: Count


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the units were split as the weights say."""

    units: tuple[int, ...]
    bayes_factor: float | None
    """Evidence for another split; None under ``SRM_UNITS`` units."""
    alarm: bool


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate less stable: each with an interval that holds at every look, None where units are too few."""

    graded: Difference | None
    accepted: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Mean seconds."""
    latency_fixed_p: float | None
    """Welch's test on unit means: only for one look at an n fixed beforehand."""


class Square(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of a live answer and its copy's, both graded."""

    bucket: str
    both: int
    only_live: int
    only_shadow: int
    neither: int
    p: float
    """Exact McNemar over units, each counted once by which side did better for it: a heavy one decides nothing. Of a
    bucket, after Holm over all buckets."""


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """The shadow beside what was live."""

    pairs: Square
    buckets: tuple[Square, ...]
    """The ``MOST_BUCKETS`` that differ most."""


class RouteReport(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch."""

    strategy: str
    epoch: int
    rollout: str
    since: str
    arms: tuple[ArmReport, ...]
    split: Split | None
    difference: Comparison | None
    shadow: ShadowReport | None


def route_report(evidence: Evidence, route: Route, since: str, *, at: str | None = None) -> RouteReport:
    """Read the traces of an epoch and sum them up. Reads, and writes nothing.

    Args:
        evidence: the trace store's.
        route: the route the epoch opened.
        since: when that was, as the ledger writes it.
        at: as of this moment, as the ledger writes it: requests that started later do not count; None for now.
    """
    asked = route.epoch, EVER if at is None else after_ns(at)
    units, said, times = evidence.units(*asked), evidence.said(*asked), evidence.latencies(*asked)
    copies = evidence.units(*asked, copies=True) if route.shadow else []
    live = len({(unit.arm, unit.u) for unit in units})
    requests = sum(unit.n for unit in units)
    arms = []
    for arm in route.arms:
        rows = copies if arm is route.shadow else units
        whole = requests if arm is route.shadow else live
        arms.append(_arm(arm, rows, said, times.get(arm.name, []), whole, by_unit=arm is not route.shadow))
    compared = route.learners[1] if len(route.learners) > 1 else None
    horizon = (route.ladder.guard if route.ladder else Guard()).horizon
    return RouteReport(
        strategy=route.strategy,
        epoch=route.epoch,
        rollout=route.salt,
        since=since,
        arms=tuple(arms),
        split=_split(route.learners, units) if compared else None,
        difference=_compared(route.stable, compared, units, said, horizon) if compared else None,
        shadow=_shadow(evidence.pairs(*asked)) if route.shadow else None,
    )


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


def _compared(stable: Arm, candidate: Arm, units: Sequence[Unit], said: Sequence[Said], horizon: float) -> Comparison:
    def sides(measure: Measure) -> tuple[Side, Side]:
        return side(stable.name, units, said, measure), side(candidate.name, units, said, measure)

    (one, other), told = sides("graded"), sides("accepted")
    means = [[unit.seconds / unit.n for unit in units if unit.arm == arm.name] for arm in (stable, candidate)]
    return Comparison(
        graded=difference(one.quality, other.quality, horizon=horizon),
        accepted=difference(told[0].quality, told[1].quality, horizon=horizon),
        errors=difference(one.errors, other.errors, horizon=horizon),
        latency=difference(one.latency, other.latency, horizon=horizon, share=False),
        latency_fixed_p=welch_fixed_p(*means),
    )


def _shadow(pairs: Sequence[Pair]) -> ShadowReport:
    named: dict[str, list[Pair]] = {}
    for pair in pairs:
        # What an answer did is no stratum: it depends on the arm that gave it.
        strata = (name for name in pair.features.split("|") if name and not name.startswith(OF_ANSWER))
        for feature in strata:
            named.setdefault(feature, []).append(pair)
    squares = {name: _square(name, own) for name, own in named.items()}
    after = holm({name: square.p for name, square in squares.items()})
    buckets = [msgspec.structs.replace(square, p=after[name]) for name, square in squares.items()]
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
