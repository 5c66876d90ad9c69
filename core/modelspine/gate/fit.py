"""May two reports be compared at all? Whatever stands in the way is an error of the gate, never a pass or a fail.

It does not know the tolerance, nor which of the two is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelspine.canonical_json import canonical
from modelspine.gate.baseline import Baseline
from modelspine.gate.eval_report import Count, EvalReport
from modelspine.text import visible

Side = Baseline | EvalReport


def unfit(candidate: EvalReport, against: Side) -> list[str]:
    """Every reason why the candidate cannot be compared with the other side; empty where it can."""
    return [
        *_sets(candidate, against),
        *_broken("the candidate", candidate),
        *_broken("the other side", against),
        *_uneven(candidate, against),
    ]


def unanswered(baseline: Baseline, results: Mapping[str, bool] | None) -> list[str]:
    """The never-regress items nobody evaluated."""
    missing = [item.id for item in baseline.never_regress if item.id not in (results or {})]
    return [f"never_regress item “{visible(name, 60)}” was not evaluated" for name in missing]


def _sets(candidate: EvalReport, against: Side) -> Iterator[str]:
    one, two = candidate.eval_set, against.eval_set
    for name, mine, other in (
        ("sha256", one.sha256, two.sha256),
        ("dvc_hash", one.dvc_hash, two.dvc_hash),
        ("n", one.n, two.n),
    ):
        if mine != other:
            yield f"the eval sets differ: {name} {visible(str(mine), 70)} here, {visible(str(other), 70)} there"
    if not one.sha256:
        yield "the eval set has no sha256"
    try:
        same = canonical(candidate.decoding) == canonical(against.decoding)
    except (ValueError, RecursionError):
        yield "the decoding is not a value that can be compared"
    else:
        if not same:
            yield "the decoding differs: the two did not answer under the same settings"


def _broken(who: str, side: Side) -> Iterator[str]:
    if not side.buckets:
        yield f"{who} has no buckets"
    for where, count in _counts(side):
        if count.n <= 0:
            yield f"{who} counted nothing in {where}: n = {count.n}"
        elif not 0 <= count.k <= count.n:
            yield f"{who} has k = {count.k} of n = {count.n} in {where}"


def _uneven(candidate: EvalReport, against: Side) -> Iterator[str]:
    for name in sorted(against.buckets.keys() - candidate.buckets.keys()):
        yield f"the candidate has no {_bucket(name)}"
    for name in sorted(candidate.buckets.keys() - against.buckets.keys()):
        yield f"the candidate has a {_bucket(name)} that there is nothing to compare with"
    pairs = [("the total", candidate.total, against.total)]
    if candidate.false_accept is not None and against.false_accept is not None:
        pairs.append(("the false accepts", candidate.false_accept, against.false_accept))
    elif candidate.false_accept is not against.false_accept:
        yield "only one of the two counted false accepts"
    shared = sorted(candidate.buckets.keys() & against.buckets.keys())
    pairs += [(_bucket(name), candidate.buckets[name], against.buckets[name]) for name in shared]
    for where, mine, other in pairs:
        if mine.n != other.n:
            yield f"n differs in {where}: {mine.n} here, {other.n} there"


def _counts(side: Side) -> Iterator[tuple[str, Count]]:
    yield "the total", side.total
    if side.false_accept is not None:
        yield "the false accepts", side.false_accept
    for name, count in side.buckets.items():
        yield _bucket(name), count


def _bucket(name: str) -> str:
    return f"bucket “{visible(name, 80)}”"
