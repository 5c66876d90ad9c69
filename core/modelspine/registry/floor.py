"""The floor: the best entry that was ever in production, which no later candidate may fall behind.

The stable entry alone is not enough of a bar: after a rollback to a weak entry, a candidate that is hardly better
would pass, and what had been reached before would be lost. Derived from the ledger, never stored. It does not
compare anything: that is ``gate.rule``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from modelspine.canonical_json import canonical
from modelspine.errors import BadInput
from modelspine.gate.decision import Stable, read_submission
from modelspine.gate.eval_report import EvalSet
from modelspine.ledger.state import State

Read = Callable[[str], bytes]
"""The bytes of a piece of evidence, by its digest."""


def floor_of(state: State, read: Read, eval_set: EvalSet, decoding: Any, excluded: Iterable[str] = ()) -> Stable | None:
    """The entry with the best total of all that were the stable arm, with its report; None where there is none.

    An entry on hold counts, a tombstoned one does not; nor does one whose report is of another eval set or another
    decoding, because its total says nothing about this one. Of two with the same total, the one that became stable
    last is taken.

    Args:
        state: what the ledger's events add up to.
        read: reads a report by its digest.
        eval_set: the one that the baseline names.
        decoding: how the baseline's entry answered.
        excluded: SHAs that a reviewed change of the baseline has taken out.
    """
    skipped = frozenset(excluded)
    best: tuple[int, int, Stable] | None = None
    for known in state.entries.values():
        if not known.stable_since or known.tombstoned is not None or known.sha in skipped or known.report is None:
            continue
        raw = read(known.report)
        try:
            report = read_submission(raw).report
        except BadInput:
            continue  # an entry without a readable report was never compared with anything
        named = report.eval_set
        if (named.sha256, named.dvc_hash, named.n) != (eval_set.sha256, eval_set.dvc_hash, eval_set.n):
            continue
        if canonical(report.decoding) != canonical(decoding):
            continue
        found = (report.total.k, known.stable_since[-1], Stable(entry_sha=known.sha, report=raw))
        if best is None or found[:2] > best[:2]:
            best = found
    return best[2] if best is not None else None
