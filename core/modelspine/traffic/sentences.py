"""What the figures of a route say, each in one plain sentence. The command line and the console show the same ones.

Names come from the ledger, so control characters are made visible. It measures and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from modelspine.gate.eval_report import Count
from modelspine.ledger.route import Route
from modelspine.stats import FEW_UNITS, Difference
from modelspine.text import counted, short, visible
from modelspine.times import age
from modelspine.traffic.canary import Decision
from modelspine.traffic.epochs import Epoch
from modelspine.traffic.ladder_progress import StepProgress
from modelspine.traffic.report import ArmReport, EpochReport, ShadowReport
from modelspine.words import words

if TYPE_CHECKING:
    from miniobserve.traces import Trace

_SURE = 0.05
"""The p-value of an exact test below which a difference is called one."""


def report_sentence(report: EpochReport) -> str:
    """What the figures of an epoch say."""
    if report.shadow is not None:
        return shadow_sentence(report.shadow)
    if len(report.arms) < 2 or report.difference is None:
        return arm_sentence(report.arms[0])
    stable, candidate = report.arms[0], report.arms[1]
    if report.split is not None and report.split.alarm:
        divided = " and ".join(f"{each:,}" for each in report.split.units)
        return f"Do not trust the comparison: the {words().units} ({divided}) are not divided as the weights say"
    both = candidate, stable
    if any(arm.graded.n for arm in both) and all(arm.graded.n or arm.errors for arm in both):
        shares = ", ".join(_share(arm, arm.graded) for arm in both)
        so_far = f"; {labelled_text(report.arms[:2])}" if report.labels else ""
        return f"Correct answers: {shares}; {_sure(report.difference.graded)}{so_far}{_unequal(report)}"
    said = [Count(arm.feedback.get("accepted", 0), sum(arm.feedback.values())) for arm in both]
    if any(each.n for each in said) and all(each.n or arm.errors for arm, each in zip(both, said, strict=True)):
        shares = ", ".join(_share(arm, each) for arm, each in zip(both, said, strict=True))
        return f"Accepted answers: {shares}; {_sure(report.difference.accepted)}"
    requests = (
        f"{counted(candidate.requests, 'request')} to {_called(candidate)}, {stable.requests:,} to the stable arm"
    )
    return f"Not judged: {requests}, but no answer of both arms was graded or spoken about"


def _unequal(report: EpochReport) -> str:
    """Say that the answers of one arm have a grade less often, beyond chance; else empty."""
    coverage = report.difference.coverage if report.difference is not None else None
    if coverage is None or coverage.low <= 0 <= coverage.high:
        return ""
    fewer, other = report.arms[:2] if coverage.low > 0 else report.arms[1::-1]
    counts = " and ".join(f"{arm.graded.n:,} of {arm.answered:,} of {arm.name}" for arm in (fewer, other))
    return f"; but fewer of the answers of {visible(fewer.name, 20)} have a grade ({visible(counts, 120)})"


def labelled_text(arms: Sequence[ArmReport]) -> str:
    """How many of the answers of each arm are labelled, or graded by the workload."""
    counts = (f"{arm.graded.n:,} of {arm.answered:,} of {visible(arm.name, 20)}" for arm in arms)
    return f"labelled answers: {', '.join(counts)}"


def _share(arm: ArmReport, count: Count) -> str:
    """An arm's share of right answers; failed ones, which the difference counts as wrong, are named beside it."""
    if not count.n:
        return f"{_called(arm)} none, {arm.errors:,} of {arm.requests:,} failed"
    failed = f" and {arm.errors:,} failed" if arm.errors else ""
    return f"{_called(arm)} {100 * count.k / count.n:.1f} % of {count.n:,}{failed}"


def _sure(found: Difference | None) -> str:
    """Whether a difference is one, by its always-valid interval."""
    if found is None:
        return f"too few {words().units} to tell (at least {FEW_UNITS} in each arm)"
    points = f"counted by {words().unit} {100 * found.value:+.1f} pp"
    if found.low > 0:
        return f"{points}, better beyond chance"
    if found.high < 0:
        return f"{points}, worse beyond chance"
    return f"{points}, which may be chance ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def shadow_sentence(report: ShadowReport) -> str:
    """What a shadow's answers say beside those that learners saw."""
    pairs = report.pairs
    total = pairs.both + pairs.only_live + pairs.only_shadow + pairs.neither
    if not total:
        return "Not judged: no request was graded on both arms"
    counts = f"of {counted(total, 'request')} the shadow alone is correct on {pairs.only_shadow:,}, the live arm alone"
    text = f"{counts} on {pairs.only_live:,}"
    if pairs.p >= _SURE:
        return f"{text[:1].upper()}{text[1:]}; that may be chance (p {pairs.p:.2g})"
    better = "shadow" if pairs.only_shadow > pairs.only_live else "live arm"
    return f"The {better} is better (p {pairs.p:.2g} for a single look): {text}"


def arm_sentence(arm: ArmReport) -> str:
    """What one arm did."""
    if not arm.requests:
        return f"{_called(arm)} has no traffic in this epoch yet"
    by = f"{counted(arm.requests, 'request')} by {words().count_units(arm.units)}"
    correct = "no answer graded"
    if arm.graded.n:
        correct = f"{100 * arm.graded.k / arm.graded.n:.1f} % of {arm.graded.n:,} graded answers correct"
    errors = counted(arm.errors, "error") if arm.errors else "no errors"
    return f"{_called(arm)} answered {by}: {correct}, {errors}"


def ladder_sentence(route: Route, steps: Sequence[StepProgress], decision: Decision | None, problem: str = "") -> str:
    """Where a canary stands, and what it waits for; ``problem`` says why there is no decision."""
    candidate, ladder = route.candidate, route.ladder
    if candidate is None or ladder is None:
        return "No canary is in progress"
    here = steps[ladder.at] if ladder.at < len(steps) else None
    actual = f", actual {here.actual_bp / 100:.1f} %" if here is not None and here.actual_bp is not None else ""
    name = visible(candidate.semver, 40) or short(candidate.sha)
    share = f"{name} is on step {ladder.at + 1} of {len(ladder.steps)}, target {candidate.weight_bp / 100:g} %{actual}"
    skipped = sum(each.state == "skipped" for each in steps)
    share += f", {counted(skipped, 'step')} skipped" if skipped else ""
    if decision is None:
        return f"{share}; {f'its verdict is unknown: {problem}' if problem else 'this epoch has ended'}"
    if decision.action == "abort":
        return f"{share}; it is aborted at the next check: {decision.reason}"
    if decision.action == "advance" or not decision.waits_for:
        return f"{share}; it advances at the next check"
    return f"{share}; it waits for {', '.join(decision.waits_for)}"


def epochs_sentence(known: Sequence[Epoch], now: datetime) -> str:
    """How many routes there were, and since when the newest one is active; ``known`` are newest first."""
    if not known:
        return "Nothing is routed yet"
    newest = known[0]
    rollouts = len({each.route.salt for each in known if each.route.candidate is not None})
    try:
        since = f"for {age(newest.since, now)}"
    except ValueError:  # a damaged ledger may hold any text here
        since = "since an unknown time"
    of = f"{counted(len(known), 'route')} so far, {counted(rollouts, 'rollout')} among them"
    why = f": {visible(newest.reason, 80)}" if newest.reason else ""
    return f"{of}; #{newest.number} is active {since}, opened by {visible(newest.actor, 40)}{why}"


def requests_sentence(traces: Sequence[Trace]) -> str:
    """What a list of requests says: how many were correct, failed or were dismissed; ``traces`` are newest first."""
    if not traces:
        return "No requests"
    graded = [each.graded for each in traces if each.graded is not None]
    counts = [
        f"{sum(graded):,} of {counted(len(graded), 'graded answer')} correct" if graded else "no answer graded",
        *(
            f"{number:,} {word}"
            for word, number in (
                ("failed", sum(each.status >= 500 for each in traces)),
                (f"dismissed by the {words().unit}", sum(each.feedback == "dismissed" for each in traces)),
                ("copied to the shadow", sum(each.shadow_of is not None for each in traces)),
                ("replayed, at simulated times", sum(each.source == "replay" for each in traces)),
            )
            if number
        ),
    ]
    return f"{counted(len(traces), 'request')}: {', '.join(counts)}"


def _called(arm: ArmReport) -> str:
    return f"{visible(arm.name, 20)} {_named(arm.semver, arm.sha)}"


def _named(semver: str, sha: str) -> str:
    return visible(semver, 40) or short(sha)
