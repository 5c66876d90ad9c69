"""Whether two reports can be compared at all, and the faults that prevent it: the most useful one first.

Faults of one kind are one sentence, which names an example and counts the rest, so that a reader sees each cause once.
It does not decide what a difference means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelspine.canonical_json import canonical
from modelspine.gate.baseline import Baseline
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.text import visible

Side = Baseline | EvalReport


def comparison_faults(candidate: EvalReport, against: Side) -> list[str]:
    """Every kind of reason why the candidate cannot be compared with the other side; empty if it can."""
    return [
        *_sets(candidate, against),
        *_broken("the candidate", candidate),
        *_broken("the other side", against),
        *_uneven_names("bucket", candidate.buckets, against.buckets),
        # The baseline says which scores there are. An entry that was promoted before has none that came later.
        *_uneven_names("score", candidate.scores, against.scores, may_add=not isinstance(against, Baseline)),
        *_uneven_counts(candidate, against),
        *_uneven_scores(candidate, against),
    ]


def unanswered_items(baseline: Baseline, results: Mapping[str, bool] | None) -> list[str]:
    """A sentence about the never-regress items without a result; empty if there are none."""
    missing = [item.id for item in baseline.never_regress if item.id not in (results or {})]
    return list(_one(f"never_regress item “{visible(name, 60)}” was not evaluated" for name in missing))


def _sets(candidate: EvalReport, against: Side) -> Iterator[str]:
    """Differences in what was evaluated, and how: the eval set and the decoding settings."""
    # The path is not compared: the same set may lie elsewhere.
    names = ("sha256", "dvc_hash", "n")
    differ = [name for name in names if getattr(candidate.eval_set, name) != getattr(against.eval_set, name)]
    if differ:
        pairs = []
        for name in differ:
            mine, other = (visible(str(getattr(side.eval_set, name)), 70) for side in (candidate, against))
            pairs.append(f"{name} is {mine} for the candidate and {other} for the other side")
        yield f"the eval sets differ: {'; '.join(pairs)}"
    if not candidate.eval_set.sha256:
        yield "the eval set has no sha256"
    try:
        same = canonical(candidate.decoding) == canonical(against.decoding)
    except (ValueError, RecursionError):
        yield "the decoding settings are not valid JSON and cannot be compared"
    else:
        if not same:
            yield "the decoding settings differ, so the answers are not comparable"


def _broken(who: str, side: Side) -> Iterator[str]:
    """Counts and scores of one side that are impossible or empty."""
    # A report may have scores alone. Half of the counts would be a way to leave the other half out.
    if side.total is None and (side.buckets or not side.scores):
        yield f"{who} has no total"
    if side.total is not None and not side.buckets:
        yield f"{who} has no buckets"
    counts = list(_counts(side))
    yield from _one(f"{who} counted nothing in {where}: n = {count.n}" for where, count in counts if count.n <= 0)
    yield from _one(
        f"{who} has k = {count.k} of n = {count.n} in {where}"
        for where, count in counts
        if count.n > 0 and not 0 <= count.k <= count.n
    )
    yield from _one(
        f"{who} has the denominator {score.den} in {_named('score', name)}"
        for name, score in side.scores.items()
        if score.den <= 0
    )


def _uneven_names(
    kind: str, mine: Mapping[str, object], other: Mapping[str, object], *, may_add: bool = False
) -> Iterator[str]:
    """Buckets or scores that only one side has."""
    # A missing bucket is an error and not a loss of 0: otherwise leaving a bucket out would be a way to pass.
    missing, extra = sorted(other.keys() - mine.keys()), sorted(mine.keys() - other.keys())
    yield from _one(f"the candidate has no {_named(kind, name)}" for name in missing)
    if not may_add:
        yield from _one(f"the candidate has a {_named(kind, name)} that the other side lacks" for name in extra)


def _uneven_counts(candidate: EvalReport, against: Side) -> Iterator[str]:
    """Counts over different numbers of items."""
    pairs = []
    if candidate.total is not None and against.total is not None:
        pairs.append(("the total", candidate.total, against.total))
    elif candidate.total is not against.total:
        yield "only one of the two counted right items"
    if candidate.false_accept is not None and against.false_accept is not None:
        pairs.append(("the false accepts", candidate.false_accept, against.false_accept))
    elif candidate.false_accept is not against.false_accept:
        yield "only one of the two counted false accepts"
    shared = sorted(candidate.buckets.keys() & against.buckets.keys())
    pairs += [(_named("bucket", name), candidate.buckets[name], against.buckets[name]) for name in shared]
    yield from _one(
        f"n differs in {where}: {mine.n} for the candidate, {other.n} for the other side"
        for where, mine, other in pairs
        if mine.n != other.n
    )


def _uneven_scores(candidate: EvalReport, against: Side) -> Iterator[str]:
    """Scores of the same name that mean different things on the two sides."""
    shared = sorted(candidate.scores.keys() & against.scores.keys())
    pairs = [(name, candidate.scores[name], against.scores[name]) for name in shared]
    yield from _one(
        f"{_named('score', name)} is a {mine.scale}, {mine.better} is better, for the candidate, and a {other.scale}, "
        f"{other.better} is better, for the other side"
        for name, mine, other in pairs
        if (mine.better, mine.scale) != (other.better, other.scale)
    )


def _counts(side: Side) -> Iterator[tuple[str, Count]]:
    if side.total is not None:
        yield "the total", side.total
    if side.false_accept is not None:
        yield "the false accepts", side.false_accept
    for name, count in side.buckets.items():
        yield _named("bucket", name), count


def _one(sentences: Iterable[str]) -> Iterator[str]:
    """The first of several sentences of one kind, with the number of the others; none if there are none."""
    listed = list(sentences)
    if listed:
        yield listed[0] + (f"; and {len(listed) - 1:,} more like this" if len(listed) > 1 else "")


def _named(kind: str, name: str) -> str:
    return f"{kind} “{visible(name, 80)}”"
