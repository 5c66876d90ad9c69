"""Drift reports by weekday, and what several days say together, each in one plain sentence.

Traffic of a service that people use has a weekly rhythm: a Saturday that differs from the training data each week is
another matter than one that never did before. Pure. It reads no store.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median

import msgspec

from modelspine.drift.figures import percent
from modelspine.drift.report import DriftReport
from modelspine.drift.sentences import sentence
from modelspine.gate.eval_report import Count
from modelspine.text import counted, visible

NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


_MOST_NAMED = 3
"""Weekdays that the sentence names one by one."""


class Weekday(msgspec.Struct, frozen=True, kw_only=True):
    """The reports of one weekday."""

    name: str
    days: int
    """Days with a report."""
    drifted: int
    """How many of them have inputs of the status ``watch`` or ``act``."""
    judged: int
    """How many of them have inputs of a status other than ``insufficient``."""
    requests: int
    psi: float | None
    """The median, over the days, of the PSI of each day's worst feature; None where no day has one."""
    graded: Count
    """Correct answers of those that were graded, failed requests counted as wrong."""
    failed: Count = Count(0, 0)
    """Failed requests of all."""
    failing: int = 0
    """Days on which so many requests failed that they are not stable."""


def name_of(day: str) -> str:
    """The name of a day's weekday; empty where the text is no date."""
    try:
        return NAMES[date.fromisoformat(day).weekday()]
    except ValueError:
        return ""


def with_weekday(day: str) -> str:
    """A day with the first letters of its weekday, such as ``2026-11-26 Thu``."""
    return f"{visible(day, 10)} {name_of(day)[:3]}".rstrip()


def by_weekday(reports: Sequence[DriftReport]) -> tuple[Weekday, ...]:
    """The weekdays that have a report, Monday first."""
    groups = {name: [each for each in reports if name_of(each.day) == name] for name in NAMES}
    return tuple(_weekday(name, found) for name, found in groups.items() if found)


def _weekday(name: str, reports: Sequence[DriftReport]) -> Weekday:
    worst = [each.worst[1].psi for each in reports if each.worst is not None and each.worst[1].psi is not None]
    graded = [each.graded.counted for each in reports if each.graded is not None]
    failed = [each.failed for each in reports if each.failed is not None]
    return Weekday(
        name=name,
        days=len(reports),
        drifted=sum(each.inputs in ("watch", "act") for each in reports),
        judged=sum(each.inputs != "insufficient" for each in reports),
        requests=sum(each.window.n for each in reports),
        psi=median(worst) if worst else None,
        graded=Count(sum(each.k for each in graded), sum(each.n for each in graded)),
        failed=Count(sum(each.k for each in failed), sum(each.n for each in failed)),
        failing=sum(each.failing is not None for each in reports),
    )


def weekday_sentence(reports: Sequence[DriftReport]) -> str:
    """Which weekdays drifted, and on which many requests failed, in one plain sentence."""
    return f"{_drift_by_weekday(reports)}{_failing(reports)}"


def _failing(reports: Sequence[DriftReport]) -> str:
    """The days on which many requests failed; empty where there are none."""
    found = [each for each in reports if each.failing is not None]
    if not found:
        return ""
    named = ", ".join(
        f"{with_weekday(each.day)} {percent(each.failing.share)}" for each in found[-_MOST_NAMED:] if each.failing
    )
    newest = f"the newest {_MOST_NAMED}: " if len(found) > _MOST_NAMED else ""
    return f"; many requests failed on {counted(len(found), 'day')} ({newest}{named})"


def _drift_by_weekday(reports: Sequence[DriftReport]) -> str:
    found = by_weekday(reports)
    if not found:
        return "No day has a report yet"
    judged = [each for each in found if each.judged]
    if not judged:
        return f"Not judged: none of {counted(len(reports), 'day')} had enough requests"
    drifted = [f"{each.drifted} of {counted(each.judged, each.name)}" for each in judged if each.drifted]
    if not drifted:
        return f"No weekday drifted in {counted(sum(each.judged for each in judged), 'judged day')}"
    if len(drifted) > _MOST_NAMED:
        return f"Drifted on {len(drifted)} of {len(judged)} weekdays, so it does not depend on the weekday alone"
    rest = "" if len(drifted) == len(judged) else "; no other weekday drifted"
    # With one day of a weekday, a weekly pattern and a single event look the same.
    once = all(each.judged == 1 for each in judged)
    few = "; one week is too little to tell whether it repeats" if once else ""
    return f"Drifted on {', '.join(drifted)}{rest}{few}"


def trend_sentence(reports: Sequence[DriftReport]) -> str:
    """How many days drifted or failed, and what the newest one says, in one plain sentence.

    ``reports`` are sorted, oldest first.
    """
    if not reports:
        return "No day has a report yet"
    judged = [each for each in reports if each.inputs != "insufficient"]
    drifted = [each for each in judged if each.inputs != "stable"]
    if not judged:
        text = f"Not judged: none of {counted(len(reports), 'day')} had enough requests"
    elif not drifted:
        text = f"No drift on {counted(len(judged), 'day')}"
    else:
        text = f"Drifted on {len(drifted)} of {counted(len(judged), 'day')}"
    unknown = f", {len(reports) - len(judged)} not judged" if judged and len(judged) < len(reports) else ""
    newest = reports[-1]
    if len(reports) == 1:
        return f"{with_weekday(newest.day)}: {sentence(newest)}"
    said = sentence(newest)
    return f"{text}{unknown}{_failing(reports)}; newest ({with_weekday(newest.day)}) {said[:1].lower()}{said[1:]}"


def weeks(days: Sequence[str]) -> list[str]:
    """The Mondays of the weeks that some days are in, oldest first; texts that are no dates are left out."""
    known = [date.fromisoformat(day) for day in days if name_of(day)]
    return sorted({(day - timedelta(days=day.weekday())).isoformat() for day in known})
