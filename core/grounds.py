"""What a verdict stands on, and whether that is still so: the entry, the time, the baseline, production, the counts.

Each check raises ``Refused`` with what does not hold. It does not know signatures or the ledger.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from core.baseline import read_baseline
from core.canonical import canonical
from core.comparison import Decision
from core.errors import Refused
from core.gate import combine, gate
from core.judge import read_submission
from core.report import SCHEMA as REPORT
from core.report import EvalReport
from core.statement import (
    MAX_LIFETIME,
    SUBJECT,
    Predicate,
    Stable,
    Subject,
    counted,
    counted_baseline,
    policy,
)
from core.text import short, visible
from core.times import FORMAT

SKEW: Final = timedelta(seconds=60)
"""How far the clock of the machine that signed may be ahead of this one's."""
AGAIN: Final = "run the gate again and promote with the verdict it signs"


def same_subject(subject: Subject, said: Predicate, sha: str) -> None:
    """Check that it is about this entry."""
    if subject.name != SUBJECT or len(subject.digest) != 1:
        raise Refused(f"the verdict's subject is not a {SUBJECT} with one digest", AGAIN)
    if subject.digest != {"sha256": sha} or said.candidate.entry_sha != sha:
        named = visible(short(subject.digest.get("sha256", "nothing")), 40)
        raise Refused(f"the verdict is about {named}, and this entry is {visible(short(sha))}", AGAIN)


def fresh(said: Predicate, now: datetime) -> None:
    """Check that it may be used now."""
    issued, expires = _moment(said.issued), _moment(said.expires)
    if not timedelta(0) < expires - issued <= MAX_LIFETIME:
        raise Refused(f"the verdict would live longer than {MAX_LIFETIME.days} days, or not at all", AGAIN)
    if now.astimezone(UTC) + SKEW < issued:
        raise Refused(f"the verdict is not valid before {said.issued}", "check this machine's clock")
    if now.astimezone(UTC) >= expires:
        raise Refused(f"the verdict expired at {said.expires}", AGAIN)


def _moment(text: str) -> datetime:
    try:
        when = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    except ValueError:
        when = None
    if when is None or when.strftime(FORMAT) != text:
        raise Refused(f"the verdict has the time {visible(text, 40)!r}, which is not one", AGAIN)
    return when


def unmoved(said: Predicate, baseline: bytes, stable: Stable | None) -> None:
    """Check that what it was compared with is what is in force, by digest, counts and policy."""
    base = read_baseline(baseline)
    if said.baseline != counted_baseline(baseline):
        digest = hashlib.sha256(baseline).hexdigest()
        raise Refused(
            f"the baseline moved: the verdict names {visible(short(said.baseline.sha256))}, here it is {short(digest)}",
            AGAIN,
        )
    if said.eval_set != base.eval_set:
        raise Refused("the verdict was made on another eval set than the baseline's", AGAIN)
    expected = canonical(policy(base))
    if canonical(said.policy) != expected or said.policy_sha256 != hashlib.sha256(expected).hexdigest():
        raise Refused("the verdict was decided under another policy than the baseline's", AGAIN)
    if said.never_regress.keys() != {item.id for item in base.never_regress}:
        raise Refused("the verdict's never_regress results are not those of the baseline's items", AGAIN)
    now_stable = counted(stable.entry_sha, stable.report) if stable is not None else None
    if said.stable != now_stable:
        before = short(said.stable.entry_sha) if said.stable is not None else "nothing"
        current = short(now_stable.entry_sha) if now_stable is not None else "nothing"
        raise Refused(
            f"production moved: the verdict compares with {visible(before)}, and {visible(current)} is stable now",
            AGAIN,
        )


def decided_again(said: Predicate, sha: str, baseline: bytes, stable: Stable | None) -> Decision:
    """The gate's decision, computed from the counts the verdict states and the files in force."""
    candidate = EvalReport(
        schema=REPORT,
        entry_sha=sha,
        eval_set=said.eval_set,
        decoding=said.decoding,
        total=said.candidate.total,
        buckets=said.candidate.buckets,
        false_accept=said.candidate.false_accept,
    )
    base = read_baseline(baseline)
    against_baseline = gate(candidate, base, never_regress=said.never_regress)
    if stable is None:
        return combine(against_baseline, None)
    before = read_submission(stable.report, what="the stable entry's report").report
    return combine(against_baseline, gate(candidate, before, tolerance_pp=base.tolerance_pp))
