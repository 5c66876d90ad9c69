"""Formatting of drift reports for command line and console: figures, sparklines and one-line summaries.

Pure. Control characters in names from reports are made visible here. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelspine.drift.accuracy import Graded
from modelspine.drift.changes import largest_change, readable
from modelspine.drift.report import DriftReport, Feature, Window
from modelspine.gate.eval_report import Count
from modelspine.text import counted, short, visible

if TYPE_CHECKING:
    from modelspine.drift.measurement import Ahead

BARS = "▁▂▃▄▅▆▇█"


def figure(value: float | None) -> str:
    """Format a PSI or KL with three decimals, or as a power of ten where that would show 0."""
    return "–" if value is None else (f"{value:.3f}" if value >= 0.0005 or value == 0 else f"{value:.0e}")


def chance(p: float | None) -> str:
    """Format a p-value with three decimals, or as ``< 0.001``."""
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def percent(value: float | None) -> str:
    """Format a share as a percentage with one decimal."""
    return "–" if value is None else f"{100 * value:.1f} %"


def part(contribution: float, psi: float | None) -> str:
    """Format a bin's signed share of its feature's PSI."""
    return f"{100 * contribution / psi if psi else 0:+.0f} %"


def sparkline(values: Sequence[float | None], top: float) -> str:
    """Draw one block character per value, full height at ``top`` and above; a dot where there is no value."""
    last = len(BARS) - 1
    return "".join("·" if v is None else BARS[min(last, max(0, int(v / top * last)))] for v in values)


def source(report: DriftReport) -> str:
    """``replay`` where any of the day's requests carries simulated time, otherwise ``live``."""
    return "replay" if report.window.replayed else "live"


def remark(feature: Feature) -> str:
    """Why a feature has no figure or no status, and what was left out; empty where there is nothing to say."""
    parts = [feature.reason] if feature.reason else []
    if feature.missing and not feature.reason:  # reports of older versions give no reason
        parts.append(f"not enough requests: {feature.n:,} of {feature.needed:,}")
    if feature.hidden:
        parts.append(f"left out: {counted(feature.hidden, 'request')} whose text was not kept")
    return "; ".join(parts)


def reference(report: DriftReport) -> str:
    """What a day is compared with, in short: ``corpora``, or another day."""
    return report.reference.day or "corpora"


def coverage(report: DriftReport) -> str:
    """The share of requests in an evaluated bucket beside the reference's; unknown with its reason."""
    covered = report.covered
    if covered is None:
        return percent(report.coverage) if report.coverage is not None else "unknown: the entry was never evaluated"
    counts = f"{covered.k:,} of {covered.n:,} requests are in an evaluated bucket"
    before = f"reference {percent(covered.reference_k / covered.reference_n)}"
    lower = ""
    if covered.status in ("watch", "act"):
        lower = f", lower: {covered.status} (PSI {figure(covered.psi)}, p {chance(covered.p)})"
    elif covered.status == "insufficient":
        small = f"{covered.n:,} of" if covered.n < covered.needed else f"the reference has {covered.reference_n:,} of"
        lower = f"; not judged: {small} {covered.needed:,} requests"
    return f"{percent(report.coverage)} ({counts}); {before}{lower}"


def graded(report: DriftReport) -> str:
    """What was graded that day with its interval, its unit and what was left out; unknown with its reason."""
    found = report.graded
    if found is None:
        return "unknown: this report was made before graded answers were counted"
    left = [
        text
        for number, text in (
            (found.ungraded, f"{found.ungraded:,} ungraded"),
            (found.others, f"{found.others:,} answered by other entries"),
        )
        if number
    ]
    out = f"; left out: {', '.join(left)}" if left else ""
    if not found.n:
        return f"{found.reason}{out}"
    interval = f"95 % interval {100 * (found.low or 0.0):.1f}–{percent(found.high)}"
    test = f"; {found.reason}" if found.reason else ""
    return f"{share(found)} ({interval} over {counted(found.units, 'learner')}){out}{test}"


def share(found: Graded | Count | None) -> str:
    """``k/n`` graded correct and its percentage; a dash where nothing was graded."""
    return f"{found.k:,}/{found.n:,} {percent(found.k / found.n)}" if found is not None and found.n else "–"


def contradiction(report: DriftReport) -> str:
    """One sentence where the graded answers contradict the expected accuracy; else empty."""
    found = report.graded
    if found is None or not found.contradicts or found.expected is None or found.observed is None:
        return ""
    direction = "worse" if found.observed < found.expected else "better"
    return (
        f"the evaluation by {visible(found.dimension, 24)} expects {percent(found.expected)} of these "
        f"{found.compared:,} answers to be correct, but {percent(found.observed)} are (p {chance(found.p)}): "
        f"the model answers {direction} than it was evaluated"
    )


def reasons(report: DriftReport) -> list[str]:
    """Why the day has its status, one line for each cause: of ``insufficient`` what is missing, else what drifted."""
    against = report.reference.day or "the reference"
    if report.status == "insufficient":
        return [f"{visible(name, 40)}: {text}" for name, each in report.ranked if (text := remark(each))]
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
    return found


_MOST_CHANGES = 3
"""Changes that the sentence about a day names."""


def sentence(report: DriftReport) -> str:
    """What the day's report says, in one plain sentence: what changed, or what was not judged and why."""
    text = {"stable": _no_drift, "insufficient": _not_judged}.get(report.status, _drifted)(report)
    found = report.graded
    if found is not None and found.contradicts and found.observed is not None and found.expected is not None:
        text += f"; {percent(found.observed)} of the answers are correct, {percent(found.expected)} were expected"
    return text


def _drifted(report: DriftReport) -> str:
    worse = [(name, each) for name, each in report.ranked if each.status in ("watch", "act")]
    changes = [change.text for name, each in worse if (change := largest_change(name, each)) is not None]
    covered = report.covered
    if covered is not None and covered.status in ("watch", "act"):
        before = percent(covered.reference_k / covered.reference_n).removesuffix(" %")
        changes.insert(0, f"inputs the evaluation covers {before} → {percent(report.coverage)}")
    more = f" and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
    head = "Drifted" if report.status == "act" else "Drifted a little"
    return f"{head}: {', '.join(changes[:_MOST_CHANGES])}{more}" if changes else head


def _no_drift(report: DriftReport) -> str:
    against = f"those of {visible(report.reference.day, 10)}" if report.reference.day else "the training data"
    judged = [readable(name) for name, each in report.ranked if each.status != "insufficient"]
    others = [readable(name) for name, each in report.ranked if each.status == "insufficient"]
    unknown = f"; not judged: {', '.join(others)}" if others else ""
    return f"No drift: {counted(report.window.n, 'request')} like {against} by {', '.join(judged)}{unknown}"


def _not_judged(report: DriftReport) -> str:
    found = report.ranked
    if not found:
        return "Not judged: the report has no features"
    name, nearest = min(found, key=lambda item: (item[1].reason.startswith("unknown"), item[1].missing))
    return f"Not judged: {counted(report.window.n, 'request')}; {readable(name)}: {remark(nearest) or 'no figure'}"


def expected_sentence(report: DriftReport) -> str:
    """The accuracy to expect of the day's requests beside the one that was graded, in one plain sentence."""
    found = report.graded
    known = found is not None and found.n > 0
    is_graded = f"{share(found)} of the graded answers are" if known else "no answer was graded"
    if report.expected_accuracy is None:
        return f"No accuracy to expect: {_why_none_expected(report)}; {is_graded}{' correct' if known else ''}"
    lowest = min(report.expected.values(), key=lambda each: each.live, default=None)
    before = f" ({percent(lowest.reference)} with the reference's)" if lowest and lowest.reference is not None else ""
    return f"With this day's inputs {percent(report.expected_accuracy)} should be correct{before}; {is_graded}"


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
    if report.expected_accuracy is not None:
        text += f", expected accuracy {100 * report.expected_accuracy:.1f} %"
    if report.graded is not None and report.graded.contradicts:
        text += f", contradicted by {share(report.graded)} graded"
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
        text += f"; {window.learners:,} learners, the busiest sent {heaviest}"
    if window.outside:
        text += f"; {window.outside:,} out of scope, counted as (missing)"
    if window.left_out:
        said = ", ".join(
            f"{number:,} {_LEFT_OUT.get(name, visible(name, 24))}" for name, number in window.left_out.items()
        )
        text += f"; left out: {said}"
    return f"{text}; {visible(window.start[:10], 10)} in UTC"


_LEFT_OUT = {"shadow": "shadow copies", "failed": "failed", "ahead": "dated ahead of the clock"}


def _why_none_expected(report: DriftReport) -> str:
    return "no request is in a bucket that was evaluated" if report.covered else "the entry was never evaluated"


def _expected(report: DriftReport) -> str:
    if report.expected_accuracy is None:
        return f"unknown: {_why_none_expected(report)}"
    parts = []
    for name, expected in report.expected.items():
        before = f" (reference: {percent(expected.reference)})" if expected.reference is not None else ""
        parts.append(f"{visible(name, 24)} {percent(expected.live)}{before} of {expected.n:,}")
    return f"{percent(report.expected_accuracy)} (lowest of: {', '.join(parts)})"


def other(body: Mapping[str, Any], seq: int) -> str:
    """One of a day's further reports, from the body of its event: against what, its status and its event."""
    against = body.get("against_day") or short(str(body.get("entry", "")))
    return f"against {visible(str(against), 24)}: {visible(str(body.get('status')), 16)} (#{seq})"
