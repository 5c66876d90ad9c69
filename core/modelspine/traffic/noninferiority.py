"""The non-inferiority test: whether a candidate is not worse than the stable arm by more than a margin.

It uses confidence sequences, whose intervals are valid at every look, so the test may be repeated without
inflating the error rate. Pure. It does not know steps, windows or the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from miniobserve.evidence import Said, Unit
from modelspine.ledger.route import FULL, Guard
from modelspine.stats import FEW_UNITS, Difference, Sums, difference, sums
from modelspine.text import counted

Result = Literal["pass", "fail", "inconclusive", "no_data", "error"]
Measure = Literal["graded", "accepted"]
WORDS = {"graded": "graded answers", "accepted": "answers learners spoke about"}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and the numbers it is based on."""

    verdict: Result
    reason: str
    measure: Measure
    """What counts as a correct answer: one the workload graded as correct, or one its learner accepted."""
    samples: int
    """How many of the candidate's answers have that measure."""
    quality: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Of the mean, in seconds."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of one arm. A sum is over units, because the requests of one learner are not independent."""

    requests: int
    failed: int
    units: int
    quality: Sums
    errors: Sums
    latency: Sums


def measure_of(units: Sequence[Unit]) -> Measure:
    """Grades where the workload gave any, otherwise learners' feedback."""
    return "graded" if any(unit.graded for unit in units) else "accepted"


def side(arm: str, units: Sequence[Unit], said: Sequence[Said], measure: Measure) -> Side:
    """Sum up one arm by the given measure; ``said`` is its learners' feedback."""
    own = [unit for unit in units if unit.arm == arm]
    if measure == "graded":
        quality = [(unit.graded, unit.right) for unit in own]
    else:
        feedback: dict[str, tuple[int, int]] = {}
        for each in said:
            if each.arm == arm:
                n, accepted = feedback.get(each.u, (0, 0))
                feedback[each.u] = (n + each.n, accepted + (each.n if each.outcome == "accepted" else 0))
        quality = list(feedback.values())
    return Side(
        requests=sum(unit.n for unit in own),
        failed=sum(unit.failed for unit in own),
        units=len(own),
        quality=sums(quality),
        errors=sums((unit.n, unit.failed) for unit in own),
        latency=sums((unit.n, unit.seconds) for unit in own),
    )


def judge(guard: Guard, stable: Side, candidate: Side, measure: Measure) -> Judgement:
    """Judge a candidate against the stable arm.

    ``fail`` means that an interval lies wholly beyond a limit. ``pass`` means that the quality interval lies wholly
    within the margin and neither errors nor latency exceed their limits. ``error`` means that all requests failed.
    """
    horizon = guard.horizon
    quality = difference(stable.quality, candidate.quality, horizon=horizon)
    errors = difference(stable.errors, candidate.errors, horizon=horizon)
    latency = difference(stable.latency, candidate.latency, horizon=horizon, share=False)
    verdict, reason = _verdict(guard, stable, candidate, measure, quality, errors, latency)
    return Judgement(
        verdict=verdict,
        reason=reason,
        measure=measure,
        samples=int(candidate.quality.n),
        quality=quality,
        errors=errors,
        latency=latency,
    )


def _verdict(
    guard: Guard,
    stable: Side,
    candidate: Side,
    measure: Measure,
    quality: Difference | None,
    errors: Difference | None,
    latency: Difference | None,
) -> tuple[Result, str]:
    # The order matters: evidence of harm comes first, so that missing grades never hide it.
    margin, error_limit = guard.margin_bp / FULL, guard.error_bp / FULL
    latency_limit = guard.latency_pct / 100 * stable.latency.rate if stable.requests else 0.0
    if not candidate.requests:
        idle = "no traffic on this route yet; if a server cannot load it, its /readyz says why"
        return "no_data", "no request has reached the canary" if stable.requests else idle
    if candidate.failed == candidate.requests:
        return "error", f"all {candidate.requests:,} of its requests failed"
    if quality is not None and quality.high < -margin:
        return "fail", f"{measure} {points(quality)}: worse by more than {100 * margin:g} pp"
    if errors is not None and errors.low > error_limit:
        return "fail", f"errors {points(errors)}: higher by more than {100 * error_limit:g} pp"
    if latency is not None and latency.low > latency_limit:
        return "fail", f"latency {milliseconds(latency)}: higher by more than {guard.latency_pct} %"
    if not candidate.quality.n:
        return "no_data", f"none of its {candidate.requests:,} answers has a grade or feedback"
    if quality is None:
        return "inconclusive", _too_few(stable, candidate)
    if quality.low < -margin:
        return "inconclusive", f"{measure} {points(quality)} does not rule out {-100 * margin:g} pp"
    if errors is not None and errors.value > error_limit:
        return "inconclusive", f"errors {points(errors)} may be higher by more than {100 * error_limit:g} pp"
    if latency is not None and latency.value > latency_limit:
        return "inconclusive", f"latency {milliseconds(latency)} may be higher by more than {guard.latency_pct} %"
    return "pass", f"{measure} {points(quality)}: not worse by more than {100 * margin:g} pp"


def points(found: Difference) -> str:
    """Format a difference of proportions and its interval in percentage points."""
    return f"{100 * found.value:+.1f} pp [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def milliseconds(found: Difference) -> str:
    """Format a difference of seconds and its interval in milliseconds."""
    return f"{1000 * found.value:+.1f} ms [{1000 * found.low:+.1f}, {1000 * found.high:+.1f}]"


def _too_few(stable: Side, candidate: Side) -> str:
    name, units = min((("stable", stable.quality.units), ("canary", candidate.quality.units)), key=lambda each: each[1])
    if units < FEW_UNITS:
        return f"not enough data: {counted(units, 'learner')} in the {name} arm, minimum {FEW_UNITS}"
    # With enough units, ``difference`` gives no interval only where a few of them outweigh all others.
    return "not enough data: a few learners sent nearly all requests"
