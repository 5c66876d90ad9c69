"""Formatting of drift reports for command line and console: what a report rests on, and one-line summaries.

Pure. Control characters in names from reports are made visible here. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from modelspine.drift.failures import FailedRequests
from modelspine.drift.features import Feature
from modelspine.drift.figures import chance, figure, left_out, percent
from modelspine.drift.graded_text import graded, share
from modelspine.drift.report import DriftReport, Window
from modelspine.text import counted, short, visible
from modelspine.words import words

if TYPE_CHECKING:
    from modelspine.drift.measurement import Ahead


_MOST_NAMED = 4
"""Features that one remark names."""


def source(report: DriftReport) -> str:
    """``replay`` where any of the day's requests carries simulated time, otherwise ``live``; a dash without answers."""
    if not report.window.n:
        return "–"
    return "replay" if report.window.replayed else "live"


def remark(feature: Feature) -> str:
    """Why a feature has no figure or no status, and what was left out; empty where there is nothing to say."""
    parts = [feature.reason] if feature.reason else []
    if feature.missing and not feature.reason:  # reports of older versions give no reason
        parts.append(f"not enough requests: {feature.n:,} of {feature.needed:,}")
    if feature.hidden:
        parts.append(f"left out: {counted(feature.hidden, 'request')} whose text was not kept")
    return "; ".join(parts)


def remarks(features: Iterable[tuple[str, Feature]]) -> list[str]:
    """The remarks of some features, each one once, behind the names of the features it is about."""
    found: dict[str, list[str]] = {}
    for name, each in features:
        if text := remark(each):
            found.setdefault(text, []).append(visible(name, 40))
    more = {text: len(names) - _MOST_NAMED for text, names in found.items()}
    return [
        f"{', '.join(names[:_MOST_NAMED])}{f' and {more[text]} more' if more[text] > 0 else ''}: {text}"
        for text, names in found.items()
    ]


def reference(report: DriftReport) -> str:
    """What a day is compared with, in short: ``corpora``, or another day."""
    return report.reference.day or "corpora"


def coverage(report: DriftReport) -> str:
    """The share of requests in an evaluated bucket beside the reference's; unknown with its reason."""
    covered = report.covered
    if covered is None:
        return percent(report.coverage) if report.coverage is not None else f"unknown: {why_none_expected(report)}"
    counts = f"{covered.k:,} of {covered.n:,} requests are in an evaluated bucket"
    before = f"reference {percent(covered.reference_k / covered.reference_n)}"
    lower = ""
    if covered.status in ("watch", "act"):
        lower = f", lower: {covered.status} (PSI {figure(covered.psi)}, p {chance(covered.p)})"
    elif covered.status == "insufficient":
        small = f"{covered.n:,} of" if covered.n < covered.needed else f"the reference has {covered.reference_n:,} of"
        lower = f"; not judged: {small} {covered.needed:,} requests"
    return f"{percent(report.coverage)} ({counts}); {before}{lower}"


def failed(report: DriftReport) -> str:
    """The failed requests among all, and their status; empty where none failed, or an older version made the report."""
    found = report.failed
    if found is None or not found.k:
        return ""
    judged = f"not judged: {found.n:,} of {found.needed:,} requests"
    if found.status != "insufficient":
        judged = f"{found.status} (PSI {figure(found.psi)}, p {chance(found.p)})"
    return f"{few_or_many(found)}: {judged}"


def few_or_many(found: FailedRequests) -> str:
    """How many requests failed, of how many."""
    if found.k == found.n:
        return f"all {counted(found.n, 'request')} failed"
    return f"{found.k:,} of {counted(found.n, 'request')} failed ({percent(found.share)})"


def reasons(report: DriftReport) -> list[str]:
    """Why the day has its status, one line for each cause: of ``insufficient`` what is missing, else what drifted."""
    against = report.reference.day or "the reference"
    if report.status == "insufficient":
        return remarks(report.ranked)
    if report.status == "stable":
        return []
    found = [
        f"{visible(name, 40)}: {visible(each.bins[0].bin, 40)} {percent(each.bins[0].q)} of the day, "
        f"{percent(each.bins[0].p)} of {against}"
        for name, each in report.ranked
        if each.status == report.status and each.bins
    ]
    covered = report.covered
    if covered is not None and covered.status == report.status:
        found.append(
            f"coverage {percent(report.coverage)}, {percent(covered.reference_k / covered.reference_n)} of {against}"
        )
    if report.failing is not None and report.failing.status == report.status:
        found.insert(0, few_or_many(report.failing))
    return found


def ahead(found: Ahead, *, counted_day: str = "") -> str:
    """The requests that are dated ahead of the clock: how many, and the first of them; empty where there are none.

    ``counted_day`` is a day that lies ahead itself and was asked for by name, so that its requests were counted.
    """
    if not found.n:
        return ""
    names = ", ".join(f"{visible(one.request_id, 64)} at {visible(one.at, 32)}" for one in found.first)
    more = f" and {found.n - len(found.first):,} more" if found.n > len(found.first) else ""
    done = f"counted on {counted_day} alone, because that day was named" if counted_day else "left out"
    return f"{counted(found.n, 'request')} dated ahead of this machine's clock, {done}: {names}{more}"


def summary(report: DriftReport) -> str:
    """Summarise a day in one line: its status, its worst feature and the expected accuracy."""
    worst = report.worst
    text = f"{report.status}, n {report.window.n:,}"
    if report.reference.day is not None:
        text += f", against {report.reference.day}"
    if worst is not None and worst[1].psi is not None:
        text += f", worst {worst[0]} PSI {worst[1].psi:.3f} (p {chance(worst[1].p)})"
    if report.covered is not None and report.covered.status in ("watch", "act"):
        text += f", coverage {percent(report.coverage)}"
    if report.failing is not None:
        text += f", {few_or_many(report.failing)}"
    if report.expected_accuracy is not None:
        text += f", expected accuracy {100 * report.expected_accuracy:.1f} %"
    if report.graded is not None and report.graded.contradicts:
        failed_too = ", failed requests counted as wrong" if report.graded.failed else " graded"
        text += f", contradicted by {share(report.graded)}{failed_too}"
    if report.graded is not None and report.graded.contradicted_by:
        text += ", other entries answered differently"
    return text


def facts(report: DriftReport) -> list[tuple[str, str]]:
    """The basis of a day's report as name and value: its requests, its reference, coverage and accuracy."""
    window, against = report.window, report.reference
    if against.day is not None:
        basis = f"{counted(against.n, 'request')} of {against.day}"
    else:
        basis = f"{against.n:,} rows of {', '.join(visible(h[:12], 12) for h in against.corpora)}"
    found = [("because", reason) for reason in reasons(report)]
    found += [
        ("requests", _requests(window)),
        *([("failed", text)] if (text := failed(report)) else []),
        ("reference", f"{short(report.entry_sha)}: {basis}"),
        ("coverage", coverage(report)),
        ("expected accuracy", _expected(report)),
        ("graded", graded(report)),
    ]
    return found


def _requests(window: Window) -> str:
    replayed = f", {window.replayed:,} of them replayed" if window.replayed else ""
    text = f"{window.n:,} answered{replayed}"
    if window.learners:
        heaviest = f"{100 * window.heaviest / window.n:.0f} %" if window.n else "–"
        text += f"; {words().count_units(window.learners)}, the busiest sent {heaviest}"
    if window.outside:
        text += f"; {window.outside:,} out of scope, counted as (missing)"
    if window.left_out:
        text += f"; left out: {left_out(window.left_out)}"
    return f"{text}; {visible(window.start[:10], 10)} in UTC"


def why_none_expected(report: DriftReport) -> str:
    """Why there is no accuracy to expect, or no coverage."""
    if report.failed is not None and not report.window.n:
        return "no request was answered"
    return "no request is in a bucket that was evaluated" if report.covered else "the entry was never evaluated"


def _expected(report: DriftReport) -> str:
    if report.expected_accuracy is None:
        return f"unknown: {why_none_expected(report)}"
    parts = []
    for name, expected in report.expected.items():
        before = f" (reference: {percent(expected.reference)})" if expected.reference is not None else ""
        parts.append(f"{visible(name, 24)} {percent(expected.live)}{before} of {expected.n:,}")
    return f"{percent(report.expected_accuracy)} (lowest of: {', '.join(parts)})"


def other(body: Mapping[str, Any], seq: int) -> str:
    """One of a day's further reports, from the body of its event: against what, its status and its event."""
    against = body.get("against_day") or short(str(body.get("entry", "")))
    return f"against {visible(str(against), 24)}: {visible(str(body.get('status')), 16)} (#{seq})"
