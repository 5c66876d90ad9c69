"""What a drift report says, in one plain sentence each: about the day, and about its accuracy.

Pure. It decides nothing.
"""

from __future__ import annotations

from modelspine.drift.changes import largest_change, readable
from modelspine.drift.figures import percent
from modelspine.drift.format import few_or_many, remark, why_none_expected
from modelspine.drift.graded_text import share
from modelspine.drift.report import DriftReport
from modelspine.text import counted, short, visible

_MOST_CHANGES = 3
"""Changes, and features that were not judged, that the sentence about a day names."""


def sentence(report: DriftReport) -> str:
    """What the day's report says, in one plain sentence: what changed or failed, or what was not judged and why."""
    return f"{_of_inputs(report)}{_of_answers(report)}"


def _of_inputs(report: DriftReport) -> str:
    found = report.failed
    if found is not None and found.k == found.n:
        return f"Failing: {few_or_many(found)}"
    text = {"stable": _no_drift, "insufficient": _not_judged}.get(report.inputs, _drifted)(report)
    if found is None or not found.k:
        return text
    if not found.many:
        return f"{text}; {few_or_many(found)}"
    return f"Failing: {few_or_many(found)}; {text[:1].lower()}{text[1:]}"


def _of_answers(report: DriftReport) -> str:
    """What contradicts the expected accuracy, or the accuracy of the report's entry; empty where nothing does."""
    found, text = report.graded, ""
    if found is None:
        return text
    if found.contradicts and found.observed is not None and found.expected is not None:
        failed = "with failed requests counted as wrong " if found.failed else ""
        text = (
            f"; {failed}{percent(found.observed)} of the answers are correct, {percent(found.expected)} were expected"
        )
    for each in found.contradicted_by[:1]:
        text += f"; {percent(each.right)} of the answers by {short(each.entry)} are correct"
        text += f", but {percent(found.right)} of those by {short(report.entry_sha)}"
    return text


def _drifted(report: DriftReport) -> str:
    worse = [(name, each) for name, each in report.ranked if each.status in ("watch", "act")]
    changes = [change.text for name, each in worse if (change := largest_change(name, each)) is not None]
    covered = report.covered
    if covered is not None and covered.status in ("watch", "act"):
        before = percent(covered.reference_k / covered.reference_n).removesuffix(" %")
        changes.insert(0, f"inputs the evaluation covers {before} → {percent(report.coverage)}")
    more = f" and {len(changes) - _MOST_CHANGES} more" if len(changes) > _MOST_CHANGES else ""
    head = "Drifted" if report.inputs == "act" else "Drifted a little"
    return f"{head}: {', '.join(changes[:_MOST_CHANGES])}{more}" if changes else head


def _no_drift(report: DriftReport) -> str:
    against = f"those of {visible(report.reference.day, 10)}" if report.reference.day else "the training data"
    judged = [readable(name) for name, each in report.ranked if each.status != "insufficient"]
    others = [readable(name) for name, each in report.ranked if each.status == "insufficient"]
    more = f" and {len(others) - _MOST_CHANGES} more" if len(others) > _MOST_CHANGES else ""
    unknown = f"; not judged: {', '.join(others[:_MOST_CHANGES])}{more}" if others else ""
    return f"No drift: {counted(report.window.n, 'request')} like {against} by {', '.join(judged)}{unknown}"


def _not_judged(report: DriftReport) -> str:
    found = report.ranked
    if not found:
        return "Not judged: the report has no features"
    name, nearest = min(found, key=lambda item: (item[1].psi is None, item[1].missing))
    return f"Not judged: {counted(report.window.n, 'request')}; {readable(name)}: {remark(nearest) or 'no figure'}"


def expected_sentence(report: DriftReport) -> str:
    """The accuracy to expect of the day's requests beside the one that was graded, in one plain sentence."""
    found = report.graded
    known = found is not None and found.counted.n > 0
    is_graded = f"{share(found)} of the graded answers are correct" if known else "no answer was graded"
    if found is not None and known and found.failed:
        is_graded = f"{share(found)} are correct, with failed requests counted as wrong"
    elif found is not None and known and found.ungraded:
        is_graded = f"{share(found)} of the graded answers ({found.n:,} of {found.n + found.ungraded:,}) are correct"
    if report.expected_accuracy is None:
        return f"No accuracy to expect: {why_none_expected(report)}; {is_graded}"
    lowest = min(report.expected.values(), key=lambda each: each.live, default=None)
    before = f" ({percent(lowest.reference)} with the reference's)" if lowest and lowest.reference is not None else ""
    return f"With this day's inputs {percent(report.expected_accuracy)} should be correct{before}; {is_graded}"
