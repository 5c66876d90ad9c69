"""The non-inferiority test: whether a candidate is not worse than the stable arm by more than a margin.

It uses confidence sequences, whose intervals are valid at every look, so the test may be repeated without
inflating the error rate. A unit (a learner, or a request without one) has one vote whose weight is limited: a key
that many people share, or a program, cannot decide for the others. A failed answer is a wrong answer. Pure. It does
not know steps, windows or the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from miniobserve.evidence import Said, Unit
from modelspine.ledger.route import FULL, Guard
from modelspine.stats import FEW_UNITS, Difference, Sums, difference, share_worse, sums
from modelspine.text import counted
from modelspine.traffic.votes import Measure, correct_answers, vote

Result = Literal["pass", "fail", "inconclusive", "no_data", "error"]
WORDS = {"graded": "graded answers", "accepted": "answers learners spoke about"}
HEAVY_SHARE, HEAVY_REQUESTS = 0.2, 50
"""A unit is named as heavy if it sent at least this share, and this number, of its arm's requests."""
GROUP_UNITS = 100
"""Of this many units on, learners (or requests without one) must pass by themselves for the whole to pass."""
_FAILING = 0.5
"""An arm is failing if its units' requests fail more often than this."""


class Heavy(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that sent a large share of an arm's requests: often an id that many people share, or a program."""

    arm: str
    u: str
    requests: int
    of: int
    """Requests of the whole arm."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and the numbers it is based on."""

    verdict: Result
    reason: str
    measure: Measure
    """What counts as a correct answer: one the workload graded as correct, or one its learner accepted."""
    samples: int
    """How many of the candidate's answers have that measure; failed answers count as wrong ones."""
    quality: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Of the mean over answered requests, in seconds."""
    worse: Difference | None = None
    """How often a unit of the candidate does worse than one of the stable arm, minus one half. Above zero, most units
    got worse, even if a few that got much better hide it in the mean."""
    heavy: tuple[Heavy, ...] = ()
    """Units that sent a large share of their arm's requests, the heaviest first."""
    stable_fails: tuple[int, int] | None = None
    """Failed and all requests of the stable arm, where it is failing; None where it is not."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of one arm. Sums are over units of limited weight: one learner's requests are not independent."""

    requests: int
    failed: int
    units: int
    samples: int
    quality: Sums
    errors: Sums
    latency: Sums
    rates: tuple[float, ...] = ()
    """Share of correct answers of each unit that has any measure."""
    heavy: tuple[Heavy, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether most of its requests fail."""
        return self.errors.n > 0 and self.errors.rate > _FAILING


def measure_of(units: Sequence[Unit]) -> Measure:
    """Grades where the workload gave any, otherwise learners' feedback."""
    return "graded" if any(unit.graded for unit in units) else "accepted"


def side(arm: str, units: Sequence[Unit], said: Sequence[Said], measure: Measure) -> Side:
    """Sum up one arm by the given measure.

    Args:
        arm: the name of the arm.
        units: the sums of every unit of both arms.
        said: the feedback of the learners of both arms.
        measure: what counts as a correct answer.
    """
    own = [unit for unit in units if unit.arm == arm]
    # Those of both arms together say how often an answer is measured, so this arm's are picked out afterwards.
    quality = [(n, right) for unit, n, right in correct_answers(units, said, measure) if unit.arm == arm]
    requests = sum(unit.n for unit in own)
    return Side(
        requests=requests,
        failed=sum(unit.failed for unit in own),
        units=len(own),
        samples=round(sum(n for n, _ in quality)),
        quality=sums(vote(n, right) for n, right in quality),
        errors=sums(vote(unit.n, unit.failed) for unit in own),
        latency=sums(vote(unit.n - unit.failed, unit.seconds) for unit in own),
        rates=tuple(sorted(right / n for n, right in quality if n)),
        heavy=_heavy(own, requests),
    )


def judge(guard: Guard, stable: Side, candidate: Side, measure: Measure) -> Judgement:
    """Judge a candidate against the stable arm.

    ``fail`` means that an interval lies wholly beyond a limit. ``pass`` means that the quality interval lies wholly
    within the margin and neither errors nor latency exceed their limits. ``error`` means that all requests failed.
    Where both arms fail, neither is blamed: the verdict is ``inconclusive``.
    """
    horizon = guard.horizon
    found = Judgement(
        verdict="inconclusive",
        reason="",
        measure=measure,
        samples=candidate.samples,
        quality=difference(stable.quality, candidate.quality, horizon=horizon),
        errors=difference(stable.errors, candidate.errors, horizon=horizon),
        latency=difference(stable.latency, candidate.latency, horizon=horizon, share=False),
        worse=share_worse(stable.rates, candidate.rates, horizon=horizon),
        heavy=tuple(sorted((*stable.heavy, *candidate.heavy), key=lambda each: -each.requests)),
        stable_fails=(stable.failed, stable.requests) if stable.fails and stable.units >= FEW_UNITS else None,
    )
    verdict, reason = _verdict(guard, stable, candidate, found)
    return msgspec.structs.replace(found, verdict=verdict, reason=reason)


def judge_units(
    guard: Guard, units: Sequence[Unit], said: Sequence[Said], measure: Measure, *, arms: tuple[str, str]
) -> Judgement:
    """Judge a candidate by the sums of the units of both arms.

    Learners, and requests without a learner, are also judged apart where there are both: a program that asks
    thousands of times without an id must not hide that learners get worse answers.

    Args:
        guard: the limits.
        units: the sums of every unit.
        said: the feedback of every learner.
        measure: what counts as a correct answer.
        arms: the names of the stable arm and of the candidate.
    """

    def judged(own: Sequence[Unit]) -> Judgement:
        known = {(unit.arm, unit.u) for unit in own}
        spoken = [each for each in said if (each.arm, each.u) in known]
        stable, candidate = (side(name, own, spoken, measure) for name in arms)
        return judge(guard, stable, candidate, measure)

    whole = judged(units)
    groups = {
        "learners": [unit for unit in units if unit.is_learner],
        "requests without a learner": [unit for unit in units if not unit.is_learner],
    }
    if whole.verdict not in ("pass", "inconclusive") or not all(groups.values()):
        return whole
    margin = guard.margin_bp / FULL
    for name, own in groups.items():
        part = judged(own)
        if part.verdict == "fail":
            return msgspec.structs.replace(whole, verdict="fail", reason=f"{name}: {part.reason}")
        if whole.verdict == "pass" and (problem := _unproven(part, len(own), margin)):
            whole = msgspec.structs.replace(whole, verdict="inconclusive", reason=f"{name}: {problem}")
    return whole


def _unproven(part: Judgement, units: int, margin: float) -> str:
    """Why a group of units does not support a pass of the whole; empty where it does."""
    if units >= GROUP_UNITS:
        return "" if part.verdict == "pass" else part.reason
    # So few units may never prove anything, so they hold a pass only while they speak against it.
    if part.quality is not None and part.quality.value < -margin:
        return f"{part.measure} {points(part.quality)} may be worse by more than {100 * margin:g} pp"
    return ""


def _verdict(guard: Guard, stable: Side, candidate: Side, found: Judgement) -> tuple[Result, str]:
    if not candidate.requests:
        idle = "no traffic on this route yet; if a server cannot load it, its /readyz says why"
        return "no_data", "no request has reached the canary" if stable.requests else idle
    # The order matters: evidence of harm comes first, so that missing grades never hide it.
    return _harm(guard, stable, candidate, found) or _doubt(guard, stable, candidate, found)


def _harm(guard: Guard, stable: Side, candidate: Side, found: Judgement) -> tuple[Result, str] | None:
    """A verdict that speaks against the canary, or that neither arm can be blamed; None where nothing does."""
    measure, quality, errors, latency, worse = (
        found.measure, found.quality, found.errors, found.latency, found.worse,
    )  # fmt: skip
    margin, error_limit = guard.margin_bp / FULL, guard.error_bp / FULL
    more_errors = errors is not None and errors.low > error_limit
    if stable.fails and candidate.fails and not more_errors:
        counts = (
            f"stable {stable.failed:,} of {stable.requests:,}, canary {candidate.failed:,} of {candidate.requests:,}"
        )
        return "inconclusive", f"both arms fail ({counts} requests), so neither is blamed; look at what they share"
    if candidate.failed == candidate.requests:
        return "error", f"all {candidate.requests:,} of its requests failed"
    if errors is not None and more_errors:
        return "fail", f"errors {points(errors)}: higher by more than {100 * error_limit:g} pp"
    if quality is not None and quality.high < -margin:
        return "fail", f"{measure} {points(quality)}: worse by more than {100 * margin:g} pp"
    if worse is not None and worse.low > 0:
        return "fail", f"most learners got worse: {100 * (worse.value + 0.5):.0f} % do worse than a learner of stable"
    if latency is not None and latency.low > _latency_limit(guard, stable):
        return "fail", f"latency {milliseconds(latency)}: higher by more than {guard.latency_pct} %"
    return None


def _doubt(guard: Guard, stable: Side, candidate: Side, found: Judgement) -> tuple[Result, str]:
    """Whether the canary passes, or what is still open."""
    measure, quality, errors, latency = found.measure, found.quality, found.errors, found.latency
    margin, error_limit = guard.margin_bp / FULL, guard.error_bp / FULL
    if not candidate.quality.n:
        return "no_data", f"none of its {candidate.requests:,} answers has a grade or feedback"
    if quality is None:
        return "inconclusive", _too_few(stable, candidate)
    if quality.low < -margin:
        return "inconclusive", f"{measure} {points(quality)} does not rule out {-100 * margin:g} pp"
    if errors is not None and errors.value > error_limit:
        return "inconclusive", f"errors {points(errors)} may be higher by more than {100 * error_limit:g} pp"
    if latency is not None and latency.value > _latency_limit(guard, stable):
        return "inconclusive", f"latency {milliseconds(latency)} may be higher by more than {guard.latency_pct} %"
    return "pass", f"{measure} {points(quality)}: not worse by more than {100 * margin:g} pp"


def _heavy(own: Sequence[Unit], requests: int) -> tuple[Heavy, ...]:
    # Of a few units each has a large share; then only one that sent more than all others together is remarkable: an id
    # that everybody shares leaves its arm with hardly any unit, which is why there is no verdict.
    share = HEAVY_SHARE if len(own) >= FEW_UNITS else 0.5 + 1e-9
    least = max(HEAVY_REQUESTS, share * requests)
    return tuple(Heavy(arm=unit.arm, u=unit.u, requests=unit.n, of=requests) for unit in own if unit.n >= least)


def _latency_limit(guard: Guard, stable: Side) -> float:
    return guard.latency_pct / 100 * stable.latency.rate if stable.latency.n else 0.0


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
    return "not enough data: a few learners sent nearly all requests"
