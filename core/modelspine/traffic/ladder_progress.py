"""How far a canary has climbed: each step of its ladder with its target and actual share, and its evidence.

A step is ``skipped`` if the canary never stood on it, or if a person left it before its minimum time or samples. Pure:
everything is derived from the rollout's epochs, their figures and the decision on the newest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from modelspine.ledger.route import Ladder, Step
from modelspine.text import visible
from modelspine.traffic.canary import BY_HAND, VERDICT_PASS, Decision
from modelspine.traffic.epochs import Epoch
from modelspine.traffic.report import EpochReport

State = Literal["done", "skipped", "here", "ahead"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One minimum of a step, and how much of it there is."""

    name: str
    have: float
    need: float
    unit: str

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, max(0.0, self.have / self.need)) if self.need > 0 else 1.0


class StepProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a ladder."""

    state: State
    target_bp: int
    """The weight in force on the step that the canary is on, else the step's own."""
    actual_bp: float | None = None
    """Its share of the learners, in basis points; None where the canary was not on this step or had no traffic."""
    epoch: int | None = None
    """The newest epoch of the step."""
    seconds: float | None = None
    """How long the canary was on it, by the ledger's clock."""
    why: str = ""
    """Why a step counts as skipped, safe to display; else empty."""
    evidence: tuple[Evidence, ...] = ()
    """The minimums of the step that the canary is on."""


def ladder_steps(
    rollout: Sequence[Epoch], reports: Mapping[int, EpochReport], decision: Decision | None
) -> tuple[StepProgress, ...]:
    """The steps of a canary's ladder, lowest first; none where the rollout is no canary.

    Args:
        rollout: its epochs up to the one that is shown, oldest first.
        reports: the figures of its epochs by number; an epoch may be missing.
        decision: the decision on the newest epoch; None where it ended or its traces cannot be read.
    """
    ladder = rollout[-1].route.ladder if rollout else None
    if ladder is None:
        return ()
    return tuple(_progress(number, ladder, rollout, reports, decision) for number in range(len(ladder.steps)))


def progress_of(
    known: Sequence[Epoch], shown: Epoch, reports: Sequence[EpochReport], decision: Decision | None
) -> tuple[StepProgress, ...]:
    """``ladder_steps`` of the rollout that an epoch belongs to, up to that epoch; ``known`` are all, newest first."""
    rollout = [each for each in reversed(known) if each.route.salt == shown.route.salt and each.number <= shown.number]
    return ladder_steps(rollout, {each.epoch: each for each in reports}, decision)


def _progress(
    number: int,
    ladder: Ladder,
    rollout: Sequence[Epoch],
    reports: Mapping[int, EpochReport],
    decision: Decision | None,
) -> StepProgress:
    step = ladder.steps[number]
    stood = [n for n, each in enumerate(rollout) if each.route.ladder is not None and each.route.ladder.at == number]
    if number > ladder.at:
        return StepProgress(state="ahead", target_bp=step.weight_bp)
    if not stood:
        return StepProgress(state="skipped", target_bp=step.weight_bp, why="the canary never stood on it")
    last = rollout[stood[-1]]
    report = reports.get(last.number)
    actual = report.arms[-1].actual_bp if report is not None else None
    if number == ladder.at:
        candidate = last.route.candidate
        target = candidate.weight_bp if candidate is not None else step.weight_bp
        found = _evidence(step, decision)
        return StepProgress(state="here", target_bp=target, actual_bp=actual, epoch=last.number, evidence=found)
    seconds = sum(_lasted(rollout[n]) or 0.0 for n in stood)
    following = rollout[stood[-1] + 1] if stood[-1] + 1 < len(rollout) else None
    why = _left_early(step, seconds, report, following)
    return StepProgress(
        state="skipped" if why else "done",
        target_bp=step.weight_bp,
        actual_bp=actual,
        epoch=last.number,
        seconds=seconds,
        why=why,
    )


def _lasted(epoch: Epoch) -> float | None:
    if epoch.until is None:
        return None
    try:
        return (datetime.fromisoformat(epoch.until) - datetime.fromisoformat(epoch.since)).total_seconds()
    except ValueError:  # a damaged ledger may hold any text here
        return None


def _left_early(step: Step, seconds: float, report: EpochReport | None, following: Epoch | None) -> str:
    """Why a step counts as skipped although the canary stood on it; empty where its minimums were met."""
    # The controller counts replayed time too, which the ledger's clock does not show.
    if following is None or following.by_controller:
        return ""
    short = []
    if seconds < step.min_seconds:
        short.append(f"after {duration(seconds)} of {duration(step.min_seconds)}")
    answers = _answers(report)
    if answers is not None and answers < step.min_samples:
        short.append(f"with {answers:,} of {step.min_samples:,} answers")
    return f"left by {visible(following.actor, 40)} {' '.join(short)}" if short else ""


def _answers(report: EpochReport | None) -> int | None:
    """The candidate's judged answers: graded ones, or where none was graded, those that learners spoke about."""
    if report is None:
        return None
    arm = report.arms[-1]
    return arm.graded.n or sum(arm.feedback.values())


def _evidence(step: Step, decision: Decision | None) -> tuple[Evidence, ...]:
    if decision is None:
        return ()
    found = []
    if step.min_seconds and decision.seconds is not None:
        found.append(Evidence(name="time", have=decision.seconds, need=step.min_seconds, unit="s"))
    if step.min_samples and decision.judgement is not None:
        judged = decision.judgement
        found.append(Evidence(name="answers", have=judged.samples, need=step.min_samples, unit=judged.counted))
    return tuple(found)


def skipped_by_advancing(decision: Decision | None, problem: str = "") -> tuple[str, ...]:
    """What a canary would skip if a person advanced it now, each as text; ``problem`` says why nothing is known.

    It is empty where the canary is about to advance by itself.
    """
    if decision is None:
        return (f"its verdict, which is unknown: {problem}",) if problem else ()
    if decision.action == "advance":
        return ()
    found = [each for each in decision.waits_for if each != VERDICT_PASS and not each.startswith(BY_HAND)]
    if decision.verdict != "pass":
        found.append(f"a passing verdict: it is {decision.verdict}, {decision.reason}")
    return tuple(found)


def amount(evidence: Evidence) -> str:
    """How much of a minimum there is, as text: ``12 min of 30 min``, ``39 of 200 graded answers``."""
    if evidence.unit == "s":
        have, need, unit = duration(evidence.have), duration(evidence.need), ""
    else:
        have, need, unit = f"{evidence.have:,.0f}", f"{evidence.need:,.0f}", f" {evidence.unit}"
    return f"{have}{unit}, {need} needed" if evidence.have >= evidence.need else f"{have} of {need}{unit}"


def duration(seconds: float) -> str:
    """A length of time in one unit: ``40 s``, ``12 min``, ``3.5 h``, ``2.0 d``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
