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
from modelspine.ledger.state import Known, State

Read = Callable[[str], bytes]
"""The bytes of a piece of evidence, by its digest."""


def floor_of(state: State, read: Read, eval_set: EvalSet, decoding: Any, excluded: Iterable[str] = ()) -> Stable | None:
    """The entry with the best total of all that were the stable arm, with its report; None where there is none.

    Of an entry that was promoted several times, its best report counts, so that a weaker one signed later lowers
    nothing. An entry on hold counts. A tombstone takes an entry out in a dev ledger; in a prod ledger only ``excluded``
    does, which a reviewed change of the baseline makes, so that no event can lower the floor. An entry whose report is
    of another eval set or another decoding does not count, because its total says nothing about this one. Of two with
    the same total, the one that became stable last is taken.

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
        buried = known.tombstoned is not None and state.env == "dev"
        if not known.stable_since or known.sha in skipped or buried:
            continue
        for digest in _reports(known):
            raw = read(digest)
            right = _comparable_total(raw, eval_set, decoding)
            found = (right or 0, known.stable_since[-1], Stable(entry_sha=known.sha, report=raw))
            if right is not None and (best is None or found[:2] > best[:2]):
                best = found
    return best[2] if best is not None else None


def _reports(known: Known) -> list[str]:
    """The digests of the reports that an entry was promoted on; of the one in force, if no promotion names any."""
    verdicts = [event.body.get("verdict") for event in known.promoted]
    named = [verdict.get("report") for verdict in verdicts if isinstance(verdict, dict)]
    return list(dict.fromkeys(str(digest) for digest in named or [known.report] if digest))


def _comparable_total(raw: bytes, eval_set: EvalSet, decoding: Any) -> int | None:
    """How many items a report has right; None if it cannot be read, or is of another eval set or decoding."""
    try:
        report = read_submission(raw).report
    except BadInput:
        return None
    one, other = report.eval_set, eval_set
    same = (one.sha256, one.dvc_hash, one.n) == (other.sha256, other.dvc_hash, other.n)
    if report.total is None or not same or canonical(report.decoding) != canonical(decoding):
        return None
    return report.total.k
