"""What each unit of an epoch says about its arm: the (n, amount) pairs that arms are compared by.

A unit is a learner, or a request without one. Its weight is limited, so that a key that many people share, or a
program, cannot decide for everybody else. A failed answer is a wrong answer. Pure. It does not know epochs or
intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from miniobserve.evidence import Said, Unit
from modelspine.traffic.noninferiority import MOST_WEIGHT

Votes = Mapping[str, tuple[float, float]]
"""Unit → its weight and the amount among it: right or failed answers, or seconds."""


class Stratum(msgspec.Struct, frozen=True, kw_only=True):
    """The votes of both arms in one epoch, on one measure."""

    stable: Votes
    candidate: Votes


class Ballot(msgspec.Struct, frozen=True, kw_only=True):
    """The votes of one epoch on every measure."""

    graded: Stratum
    accepted: Stratum
    errors: Stratum
    latency: Stratum


def ballot(units: Sequence[Unit], said: Sequence[Said], *, arms: tuple[str, str]) -> Ballot:
    """Collect the votes of an epoch.

    Args:
        units: the sums of every unit.
        said: the feedback of every learner.
        arms: the names of the stable arm and of the candidate.
    """
    heard: dict[tuple[str, str], tuple[int, int]] = {}
    for each in said:
        n, accepted = heard.get((each.arm, each.u), (0, 0))
        heard[each.arm, each.u] = (n + each.n, accepted + (each.n if each.outcome == "accepted" else 0))
    graded = {(unit.arm, unit.u): (unit.graded, unit.right) for unit in units if unit.graded}
    errors = ((unit, unit.n, unit.failed) for unit in units)
    latency = ((unit, unit.n - unit.failed, unit.seconds) for unit in units)
    return Ballot(
        graded=_stratum(arms, _with_failures(units, graded)),
        accepted=_stratum(arms, _with_failures(units, heard)),
        errors=_stratum(arms, errors),
        latency=_stratum(arms, latency),
    )


def _with_failures(
    units: Sequence[Unit], measured: Mapping[tuple[str, str], tuple[int, int]]
) -> Iterable[tuple[Unit, float, float]]:
    # Not every answer gets a grade or feedback. A failed one counts as wrong as often as an answered one is measured:
    # otherwise one failure would outweigh many answers of a service in which few learners give feedback.
    answered = sum(unit.n - unit.failed for unit in units)
    total = sum(n for n, _ in measured.values())
    coverage = min(1.0, total / answered) if answered else 1.0
    for unit in units:
        n, right = measured.get((unit.arm, unit.u), (0, 0))
        yield unit, n + coverage * unit.failed, right


def _stratum(arms: tuple[str, str], counts: Iterable[tuple[Unit, float, float]]) -> Stratum:
    sides: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in arms}
    for unit, n, amount in counts:
        if n and unit.arm in sides:
            weight = min(n, MOST_WEIGHT)
            sides[unit.arm][unit.u] = (weight, amount * weight / n)
    return Stratum(stable=sides[arms[0]], candidate=sides[arms[1]])
