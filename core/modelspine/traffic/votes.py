"""What each unit of an epoch says about its arm: the (n, amount) pairs that arms are compared by.

A unit is a learner, or a request without one. Its weight is limited, so that a key that many people share, or a
program, cannot decide for everybody else. A failed answer is a wrong answer. Pure. It does not know epochs or
intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from miniobserve.evidence import Said, Unit

Measure = Literal["graded", "accepted"]
"""What counts as a correct answer: one the workload graded as correct, or one its learner accepted."""
MOST_WEIGHT = 10
"""A unit weighs as much as it has answers, but no more than this. After about ten answers, a learner's own rate is
known as well as learners differ from each other, so further answers say more about that learner than about the arm."""
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
    errors = ((unit, unit.n, unit.failed) for unit in units)
    latency = ((unit, unit.n - unit.failed, unit.seconds) for unit in units)
    return Ballot(
        graded=_stratum(arms, correct_answers(units, said, "graded")),
        accepted=_stratum(arms, correct_answers(units, said, "accepted")),
        errors=_stratum(arms, errors),
        latency=_stratum(arms, latency),
    )


def correct_answers(
    units: Sequence[Unit], said: Sequence[Said], measure: Measure
) -> Iterable[tuple[Unit, float, float]]:
    """Each unit of both arms with its answers that have the measure, and how many of them were correct.

    Not every answer gets a grade or feedback. A failed one counts as wrong as often as an answered one is measured:
    otherwise one failure would outweigh many answers of a service in which few learners give feedback.
    """
    measured = _measured(units, said, measure)
    answered = sum(unit.n - unit.failed for unit in units)
    coverage = min(1.0, sum(n for n, _ in measured.values()) / answered) if answered else 1.0
    for unit in units:
        n, right = measured.get((unit.arm, unit.u), (0, 0))
        yield unit, n + coverage * unit.failed, right


def vote(n: float, amount: float) -> tuple[float, float]:
    """A unit's answers and amount with its weight limited to ``MOST_WEIGHT`` answers; its own rate stays."""
    weight = min(n, MOST_WEIGHT)
    return weight, amount * weight / n if n else 0.0


def _measured(units: Sequence[Unit], said: Sequence[Said], measure: Measure) -> dict[tuple[str, str], tuple[int, int]]:
    """The answered requests of each arm and unit that have the measure, and how many of them were correct."""
    if measure == "graded":
        return {(unit.arm, unit.u): (unit.graded, unit.right) for unit in units if unit.graded}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for each in said:
        n, accepted = found.get((each.arm, each.u), (0, 0))
        found[each.arm, each.u] = (n + each.n, accepted + (each.n if each.outcome == "accepted" else 0))
    return found


def _stratum(arms: tuple[str, str], counts: Iterable[tuple[Unit, float, float]]) -> Stratum:
    sides: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in arms}
    for unit, n, amount in counts:
        if n and unit.arm in sides:
            sides[unit.arm][unit.u] = vote(n, amount)
    return Stratum(stable=sides[arms[0]], candidate=sides[arms[1]])
