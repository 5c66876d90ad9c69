"""A used verdict held against what is kept elsewhere: the reports in the ledger, and the baseline of its commit.

A verdict is checked in full when it promotes. A promotion that was written past the registry may carry one that a
trusted key signed over other counts, or under a policy that nobody committed. It does not know how either is stored.
"""

from __future__ import annotations

from collections.abc import Callable

from modelspine.attestation.statement import CODE, Counted, Predicate, baseline_counts, policy, report_counts
from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Damaged
from modelspine.gate.baseline import read_baseline
from modelspine.text import short, visible

Read = Callable[[str], bytes]
"""The bytes of a piece of evidence, by its digest."""


def contradicts_kept(said: Predicate, read: Read, baseline_at: Callable[[str], bytes | None]) -> str | None:
    """How a verdict contradicts what is kept, in words; None if it does not, or if there is nothing to compare.

    Args:
        said: the verdict's content.
        read: reads a report of the ledger.
        baseline_at: the baseline as it was in a commit; None if it is not here.
    """
    sides = {"candidate": said.candidate, "entry in production": said.stable, "floor": said.floor}
    for name, counts in sides.items():
        if isinstance(counts, Counted) and (problem := _report_problem(name, counts, read)) is not None:
            return problem
    if CODE.fullmatch(said.code) is None:
        return "its verdict names no commit"
    raw = baseline_at(said.code)
    return _baseline_problem(said, raw) if raw is not None else None


def _report_problem(name: str, counts: Counted, read: Read) -> str | None:
    try:
        kept = report_counts(counts.entry_sha, read(counts.sha256))
    except (BadInput, Damaged) as error:
        return f"the report of its {name} cannot be read here: {error.message}"
    if kept != counts:
        return f"its counts of the {name} differ from those of the report that the ledger keeps"
    return None


def _baseline_problem(said: Predicate, raw: bytes) -> str | None:
    where = f"of commit {visible(short(said.code))}"
    try:
        base = read_baseline(raw)
        if said.baseline != baseline_counts(raw):
            return f"its verdict compares with another baseline than that {where}"
    except BadInput as error:
        return f"the baseline {where} cannot be read: {error.message}"
    if canonical(said.policy) != canonical(policy(base)):
        return f"its verdict was decided under another policy than that {where}"
    if said.eval_set != base.eval_set or canonical(said.decoding) != canonical(base.decoding):
        return f"its verdict is about another eval set or decoding than the baseline {where}"
    if said.never_regress.keys() != {item.id for item in base.never_regress}:
        return f"its never_regress results are not those of the baseline {where}"
    return None
