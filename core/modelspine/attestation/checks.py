"""What a verdict stands on, and whether that is still so: the entry, the time, the baseline, production, the counts.

Each check raises ``Refused`` with what does not hold. It does not know signatures or the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from modelspine.attestation.statement import (
    MAX_LIFETIME,
    RULE,
    SUBJECT,
    Counted,
    Predicate,
    Statement,
    Subject,
    counted,
    counted_baseline,
    policy,
)
from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import SCHEMA as BASELINE
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.decision import Stable, floor_rival, read_submission, rival
from modelspine.gate.eval_report import SCHEMA as REPORT
from modelspine.gate.eval_report import EvalReport
from modelspine.gate.result import Decision
from modelspine.gate.rule import combine, gate
from modelspine.ledger.store import Event
from modelspine.text import short, visible
from modelspine.times import FORMAT

SKEW: Final = timedelta(seconds=60)
"""How far the clock of the machine that signed may be ahead of this one's."""
AGAIN: Final = "run the gate again and promote with the verdict it signs"
Hashes = Callable[[int], str | None]
"""The hash of the ledger's event of a seq, None where there is none."""


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


class Rivals(NamedTuple):
    """What a candidate is held against, read: each report None where there is none, or it is the same entry's."""

    baseline: Baseline
    stable: EvalReport | None
    floor: EvalReport | None


def unmoved(said: Predicate, baseline: bytes, stable: Stable | None, floor: Stable | None) -> None:
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
    if canonical(said.decoding) != canonical(base.decoding):
        raise Refused("the verdict was made under another decoding than the baseline's", AGAIN)
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
    if said.floor is msgspec.UNSET:
        raise Refused("the verdict names no floor: it was made by an older version", AGAIN)
    now_floor = counted(floor.entry_sha, floor.report) if floor is not None else None
    if said.floor != now_floor:
        before = short(said.floor.entry_sha) if said.floor is not None else "nothing"
        current = short(now_floor.entry_sha) if now_floor is not None else "nothing"
        raise Refused(
            f"the floor moved: the verdict compares with {visible(before)}, and now it is {visible(current)}", AGAIN
        )


def decided_again(said: Predicate, against: Rivals) -> Decision:
    """The gate's decision, computed from the candidate's counts and those it is held against."""
    candidate = _side(said, said.candidate)
    tolerance = against.baseline.tolerance_pp
    baseline = gate(candidate, against.baseline, never_regress=said.never_regress)
    stable = floor = None
    if against.stable is not None:
        stable = gate(candidate, against.stable, tolerance_pp=tolerance)
    if against.floor is not None:
        floor = gate(candidate, against.floor, tolerance_pp=tolerance, label="floor")
    return combine(baseline, stable, floor)


def against_now(sha: str, baseline: bytes, stable: Stable | None, floor: Stable | None) -> Rivals:
    """Those in force now: the baseline, and the reports of the stable entry and of the floor."""
    stable_report, floor_report = rival(sha, stable), floor_rival(sha, stable, floor)
    return Rivals(
        read_baseline(baseline),
        read_submission(stable_report, what="the stable entry's report").report if stable_report is not None else None,
        read_submission(floor_report, what="the floor's report").report if floor_report is not None else None,
    )


def against_then(said: Predicate) -> Rivals:
    """Those that a verdict states, for one that was used when others were in force.

    Raises:
        BadInput: it states none that the rule could be applied to.
    """
    if said.policy.get("rule") != RULE:
        raise BadInput(f"its policy is not {RULE}", AGAIN)
    sides = {name: getattr(said, name) for name in ("eval_set", "decoding")}
    counts = {name: getattr(said.baseline, name) for name in ("entry_sha", "total", "buckets", "false_accept")}
    raw = canonical(msgspec.to_builtins({**said.policy, **sides, **counts, "schema": BASELINE}))
    own = said.candidate.entry_sha
    stable = said.stable if said.stable is not None and said.stable.entry_sha != own else None
    floor = said.floor if isinstance(said.floor, Counted) and said.floor.entry_sha != own else None
    return Rivals(
        read_baseline(raw),
        _side(said, stable) if stable is not None else None,
        _side(said, floor) if floor is not None and floor != stable else None,
    )


def _side(said: Predicate, counts: Counted) -> EvalReport:
    return EvalReport(
        schema=REPORT,
        entry_sha=counts.entry_sha,
        eval_set=said.eval_set,
        decoding=said.decoding,
        total=counts.total,
        buckets=counts.buckets,
        false_accept=counts.false_accept,
    )


def disagreement(statement: Statement, key_id: str, promoted: Event, hash_at: Hashes) -> str | None:
    """What a verdict whose signature holds says against the promotion that names it; None where nothing.

    Its result is computed again from the counts and the policy that it states.
    """
    said = statement.predicate
    named = promoted.body["verdict"]
    about = statement.subject[0].digest.get("sha256", "")
    for sha in (about, said.candidate.entry_sha):
        if sha != promoted.body.get("sha"):
            return f"it is about {visible(short(sha))}"
    if said.result != "pass":
        return f"it says {visible(said.result, 20)}"
    if named.get("key") != key_id or named.get("report", said.candidate.sha256) != said.candidate.sha256:
        return "the promotion's event names another key or report"
    try:
        again = decided_again(said, against_then(said)).result
    except BadInput as error:
        return f"it cannot be decided again: {error.message}"
    if again != "pass":
        return f"it says pass, and its own counts say {again}"
    if said.ledger.seq >= promoted.seq or hash_at(said.ledger.seq) != said.ledger.hash:
        return f"it was decided on another ledger than this one's #{said.ledger.seq}"
    return None
