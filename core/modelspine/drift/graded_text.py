"""What was graded of a day's answers, in words: by the report's entry, by others, and whether they contradict.

Pure. Names from reports are made visible here. It decides nothing.
"""

from __future__ import annotations

from modelspine.drift.figures import chance, percent
from modelspine.drift.grades import Graded, GradedElsewhere
from modelspine.drift.report import DriftReport
from modelspine.gate.eval_report import Count
from modelspine.text import counted, short, visible
from modelspine.words import words

_MOST_OTHERS = 3
"""Other entries that are named one by one."""


def graded(report: DriftReport) -> str:
    """What was graded that day with its interval, its unit and what was left out; unknown with its reason."""
    found = report.graded
    if found is None:
        return "unknown: this report was made before graded answers were counted"
    left = []
    if found.ungraded:
        left.append(f"{found.ungraded:,} of {found.n + found.ungraded:,} ungraded")
    if found.others or found.by_others:
        left.append(f"{found.others:,} answered by other entries{_of_others(found)}")
    out = f"; left out: {', '.join(left)}" if left else ""
    if found.right is None and not found.n:
        return f"{found.reason}{out}"
    if not found.n:
        return f"{_with_failures(found)}; {found.reason}{out}"
    interval = f"95 % interval {100 * (found.low or 0.0):.1f}–{percent(found.high)}"
    answers = f"{found.k:,}/{found.n:,} {percent(found.k / found.n)}"
    test = f"; {found.reason}" if found.reason else ""
    realised = f"{_with_failures(found)}; of the answers " if found.failed and found.right is not None else ""
    return f"{realised}{answers} ({interval} over {words().count_units(found.units)}){out}{test}"


def share(found: Graded | Count | None) -> str:
    """``k/n`` correct and its percentage, failed requests counted as wrong; a dash where nothing was graded."""
    count = found.counted if isinstance(found, Graded) else found
    return f"{count.k:,}/{count.n:,} {percent(count.k / count.n)}" if count is not None and count.n else "–"


def contradiction(report: DriftReport) -> str:
    """What contradicts the figures, a sentence each: the graded answers, or those of other entries; else empty."""
    others = report.graded.contradicted_by if report.graded is not None else ()
    said = [against_evaluation(report), *(_of_another(report.graded, each) for each in others if report.graded)]
    return "; ".join(filter(None, said))


def _with_failures(found: Graded) -> str:
    """The realised accuracy with its interval, and how failed requests are in it."""
    interval = f"95 % interval {100 * (found.right_low or 0.0):.1f}–{percent(found.right_high)}"
    wrong = found.right_of - found.n
    counts = "counted as wrong"
    if wrong != found.failed:  # all failed requests would outweigh the few answers that have a grade
        counts = f"counted as {wrong:,} wrong, because not every answer has a grade"
    return f"{share(found)} ({interval}) with {counted(found.failed, 'failed request')} {counts}"


def _of_others(found: Graded) -> str:
    """The graded answers of each other entry, in brackets."""
    named = [
        f"{short(each.entry)} {_right(each)}{f', {each.failed:,} of its requests failed' if each.failed else ''}"
        for each in found.by_others[:_MOST_OTHERS]
    ]
    more = len(found.by_others) - _MOST_OTHERS
    return f" ({'; '.join([*named, *([f'{more} more'] if more > 0 else [])])})" if named else ""


def _right(each: GradedElsewhere) -> str:
    if each.right is None:
        return "nothing graded"
    return f"{each.k:,}/{each.right_of:,} {percent(each.right)}"


def against_evaluation(report: DriftReport) -> str:
    """One sentence where the graded answers contradict the expected accuracy; else empty."""
    found = report.graded
    if found is None or not found.contradicts or found.expected is None or found.observed is None:
        return ""
    direction = "worse" if found.observed < found.expected else "better"
    says = f"the model answers {direction} than it was evaluated"
    failed = ""
    if found.failed:  # what made them fail is unknown, and it may not be the model
        fewer = "fewer" if found.observed < found.expected else "more"
        says = f"{fewer} requests were answered right than the evaluation expects"
        failed = f" and {counted(found.failed, 'failed request')}"
    return (
        f"the evaluation by {visible(found.dimension, 24)} expects {percent(found.expected)} of these "
        f"{found.compared:,} answers{failed} to be correct, but {percent(found.observed)} are "
        f"(p {chance(found.p)}): {says}"
    )


def _of_another(found: Graded, each: GradedElsewhere) -> str:
    direction = "worse" if (each.right or 0.0) < (found.right or 0.0) else "better"
    return (
        f"the figure is not that of the whole day: {short(each.entry)} answered {direction} that day, "
        f"{_right(each)} correct against {share(found)} (p {chance(each.p)})"
    )
