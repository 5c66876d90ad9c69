"""The sums of one arm that a canary is judged by, and whether an arm fails on most of its requests.

A unit (a learner, or a request without one) has one vote whose weight is limited. Pure. It compares no arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, repeat

import msgspec

from miniobserve.evidence import Said, Unit
from modelspine.gate.eval_report import Count
from modelspine.stats import FEW_UNITS, Sums, sums
from modelspine.traffic.heavy_units import Heavy, heavy_of
from modelspine.traffic.votes import Alike, Measure, alike, answer_seconds, correct_answers, vote, votes_of

_FAILING = 0.5
"""An arm fails if its units' requests fail more often than this."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of one arm. Sums are over units of limited weight: one learner's requests are not independent."""

    requests: int
    failed: int
    units: int
    samples: int
    measured: int
    """``samples`` without the failed ones."""
    quality: Sums
    errors: Sums
    latency: Sums
    """With a few of its slowest units limited to the next one."""
    latency_in_full: Sums
    """The same without that limit."""
    coverage: Sums
    """How many of its answers have a grade."""
    graded: Count
    rates: tuple[float, ...]
    """Share of correct answers of each unit that has any measure."""
    heavy: tuple[Heavy, ...]
    failing: tuple[int, int] | None
    """See ``failing``."""

    @property
    def fails(self) -> bool:
        """Whether most of its requests fail, however few its units are."""
        return _most_fail(self.errors)


def measure_of(units: Sequence[Unit]) -> Measure:
    """Grades where the workload gave any, otherwise learners' feedback."""
    return "graded" if any(unit.graded for unit in units) else "accepted"


def side(arm: str, units: Sequence[Unit], said: Sequence[Said], measure: Measure) -> Side:
    """Sum up one arm by the given measure. Units that have the same numbers are summed up at once.

    Args:
        arm: the name of the arm.
        units: the sums of every unit of both arms.
        said: the feedback of the learners of both arms.
        measure: what counts as a correct answer.
    """
    own = [unit for unit in units if unit.arm == arm]
    counted = alike(units, said if measure == "accepted" else ())
    same = [(unit, times) for unit, times in counted if unit.arm == arm]
    quality = Counter[tuple[float, float]]()
    for unit, times, n, right in correct_answers(counted, said, measure):
        if unit.arm == arm:
            quality[n, right] += times
    rates = (repeat(right / n, times) for (n, right), times in quality.items() if n)
    graded = sum(times * unit.graded for unit, times in same)
    errors = _errors(same)
    failed, requests = _failed_of_all(same)
    return Side(
        requests=requests,
        failed=failed,
        units=len(own),
        samples=round(sum(times * n for (n, _), times in quality.items())),
        measured=graded if measure == "graded" else sum(each.n for each in said if each.arm == arm),
        quality=sums(votes_of((n, right, times) for (n, right), times in quality.items())),
        errors=errors,
        latency=sums(vote(n, seconds) for _, n, seconds in answer_seconds(own)),
        latency_in_full=sums(vote(unit.answered, unit.seconds) for unit in own),
        coverage=sums(votes_of((unit.answered, unit.graded, times) for unit, times in same)),
        graded=Count(graded, requests - failed),
        rates=tuple(sorted(chain.from_iterable(rates))),
        heavy=heavy_of(own),
        failing=(failed, requests) if _is_failing(errors) else None,
    )


def failing(own: Sequence[Unit]) -> tuple[int, int] | None:
    """Failed and all requests of an arm's units, if there are enough of them and most of their requests fail."""
    counted = alike(own, ())
    return _failed_of_all(counted) if _is_failing(_errors(counted)) else None


def _failed_of_all(own: Alike) -> tuple[int, int]:
    return sum(times * unit.failed for unit, times in own), sum(times * unit.n for unit, times in own)


def _is_failing(errors: Sums) -> bool:
    return errors.units >= FEW_UNITS and _most_fail(errors)


def _errors(own: Alike) -> Sums:
    return sums(votes_of((unit.n, unit.failed, times) for unit, times in own))


def _most_fail(errors: Sums) -> bool:
    return errors.n > 0 and errors.rate > _FAILING
