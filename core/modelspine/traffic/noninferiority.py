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
from modelspine.gate.eval_report import Count
from modelspine.ledger.route import FULL, Guard
from modelspine.stats import FEW_UNITS, Difference, Sums, difference, share_worse
from modelspine.traffic.difference_text import milliseconds, points
from modelspine.traffic.graded_share import fewer_grades, ungraded_text
from modelspine.traffic.heavy_units import Heavy
from modelspine.traffic.sides import Side, side
from modelspine.traffic.votes import Measure
from modelspine.words import words

Result = Literal["pass", "fail", "inconclusive", "no_data", "error"]
GROUP_UNITS = 100
"""Of this many units on, learners (or requests without one) must pass by themselves for the whole to pass."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and the numbers it is based on."""

    verdict: Result
    reason: str
    measure: Measure
    """What counts as a correct answer: one the workload graded as correct, or one its learner accepted."""
    samples: int
    """How many of the candidate's answers have that measure; failed answers count as wrong ones."""
    measured: int
    """How many of them did not fail."""
    quality: Difference | None
    errors: Difference | None
    latency: Difference | None
    """Of the mean over answered requests, in seconds. Up to three of an arm's slowest units, and at most 1 % of them
    (but one at least), count no slower than the next one; a pass also needs the mean in which they count in full."""
    worse: Difference | None = None
    """How often a unit of the candidate does worse than one of the stable arm, minus one half. Above zero, most units
    got worse, even if a few that got much better hide it in the mean."""
    heavy: tuple[Heavy, ...] = ()
    """Units that sent a large share of their arm's requests, the heaviest first."""
    stable_fails: tuple[int, int] | None = None
    """Failed and all requests of the stable arm, where it is failing; None where it is not."""
    labelled: bool = False
    """Whether labels grade the answers, so that those without a grade may still get one."""
    graded: tuple[Count, Count] | None = None
    """Where answers are graded: the graded of all answers of the stable arm, and of the candidate."""
    coverage: Difference | None = None
    """The difference of these shares, by unit; None where there are too few units or nothing is graded."""

    @property
    def wanted(self) -> str:
        """What is counted, in the plural; where labels say what is right, with how many of the answers have one."""
        wanted = judged_answers(self.measure)
        if self.graded is None or not self.labelled:
            return wanted
        own = self.graded[1]
        return f"{wanted} ({own.k:,} of its {own.n:,} answers are labelled)"

    @property
    def counted(self) -> str:
        """What ``samples`` counts, in the plural; where all of them failed, nobody graded them or spoke about them."""
        return "failed answers" if self.samples and self.measured == 0 else judged_answers(self.measure)

    @property
    def ungraded(self) -> str:
        """How many answers of both arms are graded, where some are not; else empty."""
        return ungraded_text(self.graded, labels=self.labelled) if self.graded is not None else ""

    def fewer_grades(self, margin: float) -> str:
        """Why answers without a grade prevent a pass at a margin (a share); empty where they do not."""
        return "" if self.graded is None else fewer_grades(self.coverage, self.quality, self.graded, margin)


def judge(guard: Guard, stable: Side, candidate: Side, measure: Measure) -> Judgement:
    """Judge a candidate against the stable arm.

    ``fail`` means that an interval lies wholly beyond a limit. ``pass`` means that the quality interval lies wholly
    within the margin, neither errors nor latency exceed their limits, and the answers have a grade no less often than
    the stable arm's, because those without one may be the wrong ones. ``error`` means that all requests failed. Where
    both arms fail, neither is blamed: the verdict is ``inconclusive``.
    """
    horizon, by_grades = guard.horizon, measure == "graded"
    found = Judgement(
        verdict="inconclusive",
        reason="",
        measure=measure,
        samples=candidate.samples,
        measured=candidate.measured,
        quality=difference(stable.quality, candidate.quality, horizon=horizon),
        errors=difference(stable.errors, candidate.errors, horizon=horizon),
        latency=difference(stable.latency, candidate.latency, horizon=horizon, share=False),
        worse=share_worse(stable.rates, candidate.rates, horizon=horizon),
        heavy=tuple(sorted((*stable.heavy, *candidate.heavy), key=lambda each: -each.requests)),
        stable_fails=stable.failing,
        graded=(stable.graded, candidate.graded) if by_grades else None,
        coverage=difference(stable.coverage, candidate.coverage, horizon=horizon) if by_grades else None,
    )
    verdict, reason = _verdict(guard, stable, candidate, found)
    return msgspec.structs.replace(found, verdict=verdict, reason=reason)


def judge_units(
    guard: Guard,
    units: Sequence[Unit],
    said: Sequence[Said],
    measure: Measure,
    *,
    arms: tuple[str, str],
    labels: bool = False,
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
        labels: whether labels grade answers, so that those without a grade may still get one.
    """

    def judged(own: Sequence[Unit]) -> Judgement:
        known = {(unit.arm, unit.u) for unit in own} if said else ()
        spoken = [each for each in said if (each.arm, each.u) in known]
        stable, candidate = (side(name, own, spoken, measure) for name in arms)
        return judge(guard, stable, candidate, measure)

    whole = judged(units)
    whole = msgspec.structs.replace(whole, labelled=labels and measure == "graded")
    groups = {
        words().units: [unit for unit in units if unit.is_learner],
        f"requests without a {words().unit}": [unit for unit in units if not unit.is_learner],
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


def judged_answers(measure: Measure) -> str:
    """What is counted under a measure, in the plural."""
    return "graded answers" if measure == "graded" else f"answers {words().units} spoke about"


def _unproven(part: Judgement, units: int, margin: float) -> str:
    """Why a group of units does not support a pass of the whole; empty where it does."""
    if units >= GROUP_UNITS:
        return "" if part.verdict == "pass" else part.reason
    if fewer := part.fewer_grades(margin):
        return fewer
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
    quality, errors = found.quality, found.errors
    latency, worse = found.latency, found.worse
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
        return "fail", f"{found.measure} {points(quality)}: worse by more than {100 * margin:g} pp"
    if worse is not None and worse.low > 0:
        return "fail", _most_got_worse(worse)
    if latency is not None and latency.low > _latency_limit(guard, stable.latency):
        return "fail", f"latency {milliseconds(latency)}: higher by more than {guard.latency_pct} %"
    return None


def _most_got_worse(worse: Difference) -> str:
    share = f"{100 * (worse.value + 0.5):.0f} %"
    return f"most {words().units} got worse: {share} do worse than a {words().unit} of stable"


def _doubt(guard: Guard, stable: Side, candidate: Side, found: Judgement) -> tuple[Result, str]:
    """Whether the canary passes, or what is still open."""
    measure, quality, errors, latency = found.measure, found.quality, found.errors, found.latency
    margin, error_limit = guard.margin_bp / FULL, guard.error_bp / FULL
    if not candidate.quality.n:
        return "no_data", f"none of its {candidate.requests:,} answers has a grade or feedback"
    if quality is None:
        return "inconclusive", _too_few(stable, candidate)
    if fewer := found.fewer_grades(margin):
        return "inconclusive", fewer
    if quality.low < -margin:
        return "inconclusive", f"{measure} {points(quality)} does not rule out {-100 * margin:g} pp"
    if errors is not None and errors.value > error_limit:
        return "inconclusive", f"errors {points(errors)} may be higher by more than {100 * error_limit:g} pp"
    if latency is not None and latency.value > _latency_limit(guard, stable.latency):
        return "inconclusive", f"latency {milliseconds(latency)} may be higher by more than {guard.latency_pct} %"
    if slower := _slower_in_full(guard, stable.latency_in_full, candidate.latency_in_full):
        return "inconclusive", slower
    return "pass", f"{measure} {points(quality)}: not worse by more than {100 * margin:g} pp"


def _latency_limit(guard: Guard, stable: Sums) -> float:
    return guard.latency_pct / 100 * stable.rate if stable.n else 0.0


def _slower_in_full(guard: Guard, stable: Sums, candidate: Sums) -> str:
    """Why the mean latency in which every unit counts in full prevents a pass; empty where it does not.

    A single unit can decide this mean, so it only holds a canary and never aborts it.
    """
    if not stable.n or not candidate.n or candidate.rate - stable.rate <= _latency_limit(guard, stable):
        return ""
    slower = f"{1000 * (candidate.rate - stable.rate):+.1f} ms"
    return (
        f"latency {slower} where the slowest requests count in full: higher by more than {guard.latency_pct} %;"
        " `spine traces list --sort latency` shows them. If they say nothing about the model, such as a wrong clock,"
        " `spine route advance --weight` opens an epoch without them, whose steps are taken by hand;"
        " if they do, `spine route abort` ends the canary"
    )


def _too_few(stable: Side, candidate: Side) -> str:
    name, units = min((("stable", stable.quality.units), ("canary", candidate.quality.units)), key=lambda each: each[1])
    if units < FEW_UNITS:
        return f"not enough data: {words().count_units(units)} in the {name} arm, minimum {FEW_UNITS}"
    return f"not enough data: a few {words().units} sent nearly all requests"
