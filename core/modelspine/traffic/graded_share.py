"""The shares of two arms' answers that have a grade, as text, and whether a lower one prevents a pass.

A model that refuses half of its questions is graded on the other half alone. Pure. It computes no interval.
"""

from __future__ import annotations

from modelspine.gate.eval_report import Count
from modelspine.stats import Difference
from modelspine.traffic.difference_text import points


def ungraded_text(graded: tuple[Count, Count], *, labels: bool) -> str:
    """How many of the answers of the stable arm and of the candidate are graded; empty where all are.

    ``labels`` says that labels grade them, so that more grades may come.
    """
    if all(each.k >= each.n for each in graded):
        return ""
    stable, own = (f"{each.k:,} of {each.n:,}" for each in graded)
    word, more = ("labelled", "; more may come") if labels else ("graded", "")
    return f"{word} are {stable} answers of the stable arm and {own} of the candidate{more}"


def fewer_grades(
    coverage: Difference | None, quality: Difference | None, graded: tuple[Count, Count], margin: float
) -> str:
    """Say that the candidate's answers have a grade less often than the stable arm's; empty where they do not.

    It is also empty where the candidate is not worse by more than the margin even if every grade that it lacks beside
    the stable arm is taken for a wrong answer.

    Args:
        coverage: the difference of the shares of answers that have a grade; None where it is unknown.
        quality: the difference of the shares of correct answers.
        graded: the graded of all answers of the stable arm, and of the candidate.
        margin: by how much the candidate may be worse, a share.
    """
    if coverage is None or coverage.high >= 0 or (quality is not None and quality.low + coverage.low >= -margin):
        return ""
    stable, own = (f"{each.k:,} of {each.n:,}" for each in graded)
    shares = f"{own} of its answers have a grade, {stable} of the stable arm's ({points(coverage)})"
    return f"grades are missing: {shares}; those without one may be wrong"
