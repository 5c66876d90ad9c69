"""Whether a candidate does no worse than the stable arm beside it: a verdict on the units of both.

The question is non-inferiority with the gate's margin, asked by a confidence sequence, so it may be asked as often
as one likes. Pure. It does not know routes' steps, windows or the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from miniobserve.evidence import Said, Unit
from modelspine.ledger.route import FULL, Guard
from modelspine.stats import FEW_UNITS, Difference, Sums, difference, sums

Result = Literal["pass", "fail", "inconclusive", "no_data", "error"]
Measure = Literal["graded", "accepted"]
WORDS = {"graded": "graded answers", "accepted": "answers learners spoke about"}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, and the numbers it stands on."""

    verdict: Result
    reason: str
    measure: Measure
    """What a right answer is: the workload graded it so, or its learner accepted it."""
    samples: int
    """The candidate's answers that were measured."""
    quality: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Mean seconds."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One arm, each unit counted once in every sum."""

    requests: int
    failed: int
    units: int
    quality: Sums
    errors: Sums
    latency: Sums


def measure_of(units: Sequence[Unit]) -> Measure:
    """Grades where the workload gives any, else what learners said."""
    return "graded" if any(unit.graded for unit in units) else "accepted"


def side(arm: str, units: Sequence[Unit], said: Sequence[Said], measure: Measure) -> Side:
    """The sums of one arm."""
    own = [unit for unit in units if unit.arm == arm]
    if measure == "graded":
        quality = [(unit.graded, unit.right) for unit in own]
    else:
        told: dict[str, tuple[int, int]] = {}
        for each in said:
            if each.arm == arm:
                n, accepted = told.get(each.u, (0, 0))
                told[each.u] = (n + each.n, accepted + (each.n if each.outcome == "accepted" else 0))
        quality = list(told.values())
    return Side(
        requests=sum(unit.n for unit in own),
        failed=sum(unit.failed for unit in own),
        units=len(own),
        quality=sums(quality),
        errors=sums((unit.n, unit.failed) for unit in own),
        latency=sums((unit.n, unit.seconds) for unit in own),
    )


def judge(guard: Guard, stable: Side, candidate: Side, measure: Measure) -> Judgement:
    """The verdict on a candidate.

    ``fail`` needs proof of harm beyond the margin; ``pass`` needs proof of none for the answers, and no sign of it
    in errors and latency; ``error`` is a candidate that answers nothing at all.
    """
    horizon = guard.horizon
    quality = difference(stable.quality, candidate.quality, horizon=horizon)
    errors = difference(stable.errors, candidate.errors, horizon=horizon)
    latency = difference(stable.latency, candidate.latency, horizon=horizon, share=False)
    verdict, reason = _verdict(guard, stable, candidate, measure, quality, errors, latency)
    samples = int(candidate.quality.n)
    return Judgement(
        verdict=verdict,
        reason=reason,
        measure=measure,
        samples=samples,
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
    margin, more_errors = guard.margin_bp / FULL, guard.error_bp / FULL
    longer = guard.latency_pct / 100 * stable.latency.rate if stable.requests else 0.0
    if not candidate.requests:
        untaken = "no request came under this route yet; a server that cannot take it says why at /readyz"
        return "no_data", "no request has reached the canary" if stable.requests else untaken
    if candidate.failed == candidate.requests:
        return "error", f"all {candidate.requests:,} of its requests failed"
    if quality is not None and quality.high < -margin:
        return "fail", f"{measure} {points(quality)}: worse by more than {100 * margin:g} pp"
    if errors is not None and errors.low > more_errors:
        return "fail", f"errors {points(errors)}: more by over {100 * more_errors:g} pp"
    if latency is not None and latency.low > longer:
        return "fail", f"latency {milliseconds(latency)}: longer by over {guard.latency_pct} %"
    if not candidate.quality.n:
        return "no_data", f"none of its {candidate.requests:,} answers was graded, and no learner spoke about one"
    if quality is None:
        return "inconclusive", _too_few(stable, candidate)
    if quality.low < -margin:
        return "inconclusive", f"{measure} {points(quality)} does not rule out {-100 * margin:g} pp"
    if errors is not None and errors.value > more_errors:
        return "inconclusive", f"errors {points(errors)} may be over {100 * more_errors:g} pp"
    if latency is not None and latency.value > longer:
        return "inconclusive", f"latency {milliseconds(latency)} may be over {guard.latency_pct} %"
    return "pass", f"{measure} {points(quality)}: not worse by {100 * margin:g} pp"


def points(found: Difference) -> str:
    """A difference of shares with its interval, in percentage points."""
    return f"{100 * found.value:+.1f} pp [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def milliseconds(found: Difference) -> str:
    """A difference of seconds with its interval, in milliseconds."""
    return f"{1000 * found.value:+.1f} ms [{1000 * found.low:+.1f}, {1000 * found.high:+.1f}]"


def _too_few(stable: Side, candidate: Side) -> str:
    name, units = min((("stable", stable.quality.units), ("canary", candidate.quality.units)), key=lambda each: each[1])
    if units < FEW_UNITS:
        some = "1 learner of the {} arm was" if units == 1 else f"{units} learners of the {{}} arm were"
        return f"{some.format(name)} measured; {FEW_UNITS} are the fewest that tell anything"
    return "a few learners sent nearly all requests; what they share is not known yet"
