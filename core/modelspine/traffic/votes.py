"""What each unit of an epoch says about its arm: the (n, amount) pairs that arms are compared by.

A unit is a learner, or a request without one. Its weight is limited, so that a key that many people share, or a
program, cannot decide for everybody else. A failed answer is a wrong answer. Pure. It does not know epochs or
intervals.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Literal

import msgspec

from miniobserve.evidence import Said, Unit

_SLOWEST_SHARE = 0.01
"""This share of an arm's units, at least one of them, count no slower than the next one. A mean has no bound: one wrong
clock, or one request that hung for a night, would decide it and widen its interval until nothing could be judged."""
_MOST_SLOWEST = 3
"""They are at most so many: more are no accident, and a share alone would hide any slowness of fewer requests."""
Measure = Literal["graded", "accepted"]
"""What counts as a correct answer: one the workload graded as correct, or one its learner accepted."""
MOST_WEIGHT = 10
"""A unit weighs as much as it has answers, but no more than this. After about ten answers, a learner's own rate is
known as well as learners differ from each other, so further answers say more about that learner than about the arm."""
Votes = Mapping[str, tuple[float, float]]
"""Unit → its weight and the amount among it: right or failed answers, or seconds."""
Alike = Sequence[tuple[Unit, int]]
"""Units, each with the number of those like it."""
_NO_NAME = "\0"
"""Replaces the names of units that are counted together. No stored unit has this name, so none of them has feedback."""
_NUMBERS = itemgetter(*map(Unit._fields.index, ("arm", "n", "failed", "graded", "right")))


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
    coverage: Stratum
    """How many of a unit's answers have a grade."""


def ballot(units: Sequence[Unit], said: Sequence[Said], *, arms: tuple[str, str]) -> Ballot:
    """Collect the votes of an epoch, unit by unit, as the figures of several epochs need them.

    Args:
        units: the sums of every unit.
        said: the feedback of every learner.
        arms: the names of the stable arm and of the candidate.
    """
    one_by_one = [(unit, 1) for unit in units]
    return Ballot(**{name: _stratum(arms, counts) for name, counts in _measured(units, one_by_one, said).items()})


def votes_by_arm(
    units: Sequence[Unit], said: Sequence[Said], *, arms: tuple[str, str]
) -> dict[str, list[Mapping[tuple[float, float], int]]]:
    """Return each field of ``Ballot`` with the votes of the stable arm and of the candidate, counted by vote.

    Of many thousand units there are few different ones, so this is faster than the votes unit by unit.
    """
    found: dict[str, list[Mapping[tuple[float, float], int]]] = {}
    for name, counts in _measured(units, alike(units, said), said).items():
        votes: dict[str, Counter[tuple[float, float]]] = {arm: Counter() for arm in arms}
        for unit, times, n, amount in counts:
            if n and unit.arm in votes:
                votes[unit.arm][vote(n, amount)] += times
        found[name] = [votes[arm] for arm in arms]
    return found


def alike(units: Sequence[Unit], said: Sequence[Said]) -> Alike:
    """Count the units that have the same arm and the same numbers. Their names and seconds are left out.

    Units with feedback are returned one by one, because their feedback is found by their name.
    """
    spoke = {(each.arm, each.u) for each in said}
    silent = [unit for unit in units if unit[:2] not in spoke] if spoke else units
    counted = Counter(map(_NUMBERS, silent)).items()
    same = [
        (Unit(arm, _NO_NAME, n, failed, 0.0, graded, right), times)
        for (arm, n, failed, graded, right), times in counted
    ]
    return same + ([(unit, 1) for unit in units if unit[:2] in spoke] if spoke else [])


def _measured(
    units: Sequence[Unit], counted: Alike, said: Sequence[Said]
) -> dict[str, Iterable[tuple[Unit, int, float, float]]]:
    """Each field of ``Ballot`` with the units, how many are like each, their answers and the amount among these."""
    return {
        "graded": correct_answers(counted, said, "graded"),
        "accepted": correct_answers(counted, said, "accepted"),
        "errors": ((unit, times, unit.n, unit.failed) for unit, times in counted),
        "latency": ((unit, 1, n, seconds) for unit, n, seconds in answer_seconds(units)),
        "coverage": ((unit, times, unit.answered, unit.graded) for unit, times in counted),
    }


def correct_answers(counted: Alike, said: Sequence[Said], measure: Measure) -> Iterable[tuple[Unit, int, float, float]]:
    """Each unit, how many are like it, its answers that have the measure, and how many of these were correct.

    Not every answer gets a grade or feedback. A failed one counts as wrong as often as an answered one is measured:
    otherwise one failure would outweigh many answers of a service in which few learners give feedback. Nothing is
    yielded where no answer has the measure.

    Args:
        counted: every unit of both arms, which together say how often an answer is measured; see ``alike``.
        said: the feedback of the learners of both arms.
        measure: what counts as a correct answer.
    """
    answered = sum(times * unit.answered for unit, times in counted)
    if measure == "graded":
        coverage = _share(sum(times * unit.graded for unit, times in counted), answered)
        for unit, times in counted if coverage else ():
            yield unit, times, unit.graded + coverage * unit.failed, unit.right if unit.graded else 0
        return
    spoken = _spoken(said)
    coverage = _share(sum(n for n, _ in spoken.values()), answered)
    for unit, times in counted if coverage else ():
        n, right = spoken.get((unit.arm, unit.u), (0, 0))
        yield unit, times, n + coverage * unit.failed, right


def answer_seconds(units: Sequence[Unit]) -> Iterator[tuple[Unit, int, float]]:
    """Each unit with its answered requests and their seconds, a few of the slowest of each arm limited to the next one.

    At most three units of an arm are limited, and at most 1 % of them (but one at least).
    """
    answered = [(unit, unit.n - unit.failed) for unit in units]
    rates: dict[str, list[float]] = defaultdict(list)
    for unit, n in answered:
        if n:
            rates[unit.arm].append(unit.seconds / n)
    most = {arm: _slowest_that_counts(own) for arm, own in rates.items()}
    for unit, n in answered:
        yield unit, n, min(unit.seconds, most[unit.arm] * n) if n else 0.0


def _slowest_that_counts(rates: Sequence[float]) -> float:
    """The mean seconds of the slowest of an arm's units that counts in full."""
    limited = min(_MOST_SLOWEST, math.ceil(_SLOWEST_SHARE * len(rates)), len(rates) - 1)
    return heapq.nlargest(limited + 1, rates)[-1]


def vote(n: float, amount: float) -> tuple[float, float]:
    """A unit's answers and amount with its weight limited to ``MOST_WEIGHT`` answers; its own rate stays."""
    weight = min(n, MOST_WEIGHT)
    return weight, amount * weight / n if n else 0.0


def votes_of(counts: Iterable[tuple[float, float, int]]) -> Mapping[tuple[float, float], int]:
    """Count units by their votes, given their answers, the amount among these, and how many are alike."""
    found = Counter[tuple[float, float]]()
    for n, amount, times in counts:
        found[vote(n, amount)] += times
    return found


def _share(measured: int, answered: int) -> float:
    return min(1.0, measured / answered) if answered else 1.0


def _spoken(said: Sequence[Said]) -> dict[tuple[str, str], tuple[int, int]]:
    """The answers of each arm and unit that its learner spoke about, and how many of them were accepted."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for each in said:
        n, accepted = found.get((each.arm, each.u), (0, 0))
        found[each.arm, each.u] = (n + each.n, accepted + (each.n if each.outcome == "accepted" else 0))
    return found


def _stratum(arms: tuple[str, str], counts: Iterable[tuple[Unit, int, float, float]]) -> Stratum:
    sides: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in arms}
    for unit, _, n, amount in counts:
        if n and unit.arm in sides:
            sides[unit.arm][unit.u] = vote(n, amount)
    return Stratum(stable=sides[arms[0]], candidate=sides[arms[1]])
