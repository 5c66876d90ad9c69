"""The checks of a verdict's content: entry, validity period, baseline, production, and the result itself.

Each ``check_…`` function raises ``Refused`` if the verdict does not hold. It does not know signatures or how the
ledger is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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
    baseline_counts,
    policy,
    report_counts,
)
from modelspine.canonical_json import canonical
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import SCHEMA as BASELINE
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.decision import Stable, read_submission, report_of_floor, report_of_rival
from modelspine.gate.eval_report import SCHEMA as REPORT
from modelspine.gate.eval_report import EvalReport
from modelspine.gate.result import Decision
from modelspine.gate.rule import combine, gate
from modelspine.ledger.store import Event
from modelspine.text import short, visible
from modelspine.times import FORMAT

SKEW: Final = timedelta(seconds=60)
"""Allowed difference between the signing machine's clock and this one's."""
AGAIN: Final = "run the gate again and promote with the verdict it signs"
Hashes = Callable[[int], str | None]
"""Maps a seq to the hash of the ledger's event, or to None if there is no such event."""


def check_subject(subject: Subject, said: Predicate, sha: str) -> None:
    """Check that the verdict is about this entry.

    Raises:
        Refused: it has another subject, or several.
    """
    if subject.name != SUBJECT or len(subject.digest) != 1:
        raise Refused(f"the verdict's subject is not a {SUBJECT} with one digest", AGAIN)
    if subject.digest != {"sha256": sha} or said.candidate.entry_sha != sha:
        named = visible(short(subject.digest.get("sha256", "nothing")), 40)
        raise Refused(f"the verdict is about {named}, not about {visible(short(sha))}", AGAIN)


def check_validity(said: Predicate, now: datetime, events: Sequence[Event] = ()) -> None:
    """Check that the verdict is within its validity period, by this machine's clock and by the ledger.

    A clock that is set back would bring an expired verdict to life. The ledger shows that its time is over: an event
    after the one that the verdict was decided on was written later.

    Args:
        said: the verdict's content.
        now: this machine's clock.
        events: all events of the ledger, in order.

    Raises:
        Refused: it is expired, not valid yet, or its period is too long.
    """
    issued, expires = _period(said)
    if now.astimezone(UTC) + SKEW < issued:
        raise Refused(f"the verdict is not valid before {said.issued}", "check this machine's clock")
    if now.astimezone(UTC) >= expires:
        raise Refused(f"the verdict expired at {said.expires}", AGAIN)
    if (late := _written_after(said, events)) is not None:
        raise Refused(
            f"the verdict expired at {said.expires}: event #{late.seq} of the ledger was written at {late.time}", AGAIN
        )


def staleness(said: Predicate, promoted: Event, events: Sequence[Event]) -> str | None:
    """Why a verdict was not fresh when a promotion in the ledger used it; None if it was.

    ``events`` are all events of the ledger, in order.
    """
    try:
        issued, expires = _period(said)
    except Refused as error:
        return error.message
    before = events[: promoted.seq - 1]
    if (late := _written_after(said, before)) is not None:
        return f"its verdict had expired at {said.expires}: event #{late.seq} before it was written at {late.time}"
    written = datetime.fromisoformat(promoted.time)
    # The time of an event that follows another by a microsecond or less is that of the other, and not its writer's,
    # unless it carries its writer's clock.
    if (
        "clock" not in promoted.body
        and before
        and written <= datetime.fromisoformat(before[-1].at) + timedelta(microseconds=1)
    ):
        return None
    if written >= expires:
        return f"its verdict had expired at {said.expires}"
    return f"its verdict was not valid before {said.issued}" if written + SKEW < issued else None


def _period(said: Predicate) -> tuple[datetime, datetime]:
    issued, expires = _moment(said.issued), _moment(said.expires)
    if not timedelta(0) < expires - issued <= MAX_LIFETIME:
        raise Refused(f"the verdict's validity period is not between 0 and {MAX_LIFETIME.days} days", AGAIN)
    return issued, expires


def _written_after(said: Predicate, events: Sequence[Event]) -> Event | None:
    """The first event after the one that a verdict was decided on which was written when it had expired."""
    return next((event for event in events[max(said.ledger.seq, 0) :] if event.time >= said.expires), None)


def _moment(text: str) -> datetime:
    """A time of the verdict; only the one format that the gate writes is accepted."""
    try:
        when = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    except ValueError:
        when = None
    if when is None or when.strftime(FORMAT) != text:  # strptime also accepts digits that are left out
        raise Refused(f"the verdict has the time {visible(text, 40)!r}, which is not valid", AGAIN)
    return when


class Sides(NamedTuple):
    """What a candidate is compared with; a report is None if there is none, or if it is the candidate's own."""

    baseline: Baseline
    stable: EvalReport | None
    floor: EvalReport | None


def check_unchanged(said: Predicate, baseline: bytes, stable: Stable | None, floor: Stable | None) -> None:
    """Check that the baseline, its policy, the stable entry and the floor are those the verdict was made with.

    Raises:
        Refused: one of them has changed since.
        BadInput: the baseline, or the report of the stable entry or the floor, cannot be read.
    """
    base = read_baseline(baseline)
    if said.baseline != baseline_counts(baseline):
        digest = hashlib.sha256(baseline).hexdigest()
        raise Refused(
            f"the baseline changed: the verdict used {visible(short(said.baseline.sha256))}, now it is {short(digest)}",
            AGAIN,
        )
    if said.eval_set != base.eval_set:
        raise Refused("the verdict was made on another eval set than the baseline's", AGAIN)
    if canonical(said.decoding) != canonical(base.decoding):
        raise Refused("the verdict was made with other decoding settings than the baseline's", AGAIN)
    expected = canonical(policy(base))
    if canonical(said.policy) != expected or said.policy_sha256 != hashlib.sha256(expected).hexdigest():
        raise Refused("the verdict was decided under another policy than the baseline's", AGAIN)
    if said.never_regress.keys() != {item.id for item in base.never_regress}:
        raise Refused("the verdict's never_regress results do not match the baseline's items", AGAIN)
    now_stable = report_counts(stable.entry_sha, stable.report) if stable is not None else None
    if said.stable != now_stable:
        before = short(said.stable.entry_sha) if said.stable is not None else "nothing"
        current = short(now_stable.entry_sha) if now_stable is not None else "nothing"
        raise Refused(
            f"production changed: the verdict compares with {visible(before)}, now {visible(current)} is stable",
            AGAIN,
        )
    # A verdict of a version that knew no floor names none; its result is computed again against the floor all the same.
    now_floor = report_counts(floor.entry_sha, floor.report) if floor is not None else None
    if said.floor is not msgspec.UNSET and said.floor != now_floor:
        before = short(said.floor.entry_sha) if said.floor is not None else "nothing"
        current = short(now_floor.entry_sha) if now_floor is not None else "nothing"
        raise Refused(
            f"the floor changed: the verdict compares with {visible(before)}, now it is {visible(current)}", AGAIN
        )


def recomputed_decision(said: Predicate, against: Sides) -> Decision:
    """The gate's decision, computed again from the verdict's counts and the sides it is compared with."""
    # No failed items are in a verdict, so flips and p-values are missing here; they decide nothing.
    candidate = _side(said, said.candidate)
    tolerance = against.baseline.tolerance_pp
    baseline = gate(candidate, against.baseline, never_regress=said.never_regress)
    stable = floor = None
    if against.stable is not None:
        stable = gate(candidate, against.stable, tolerance_pp=tolerance)
    if against.floor is not None:
        floor = gate(candidate, against.floor, tolerance_pp=tolerance, label="floor")
    return combine(baseline, stable, floor)


def current_sides(sha: str, baseline: bytes, stable: Stable | None, floor: Stable | None) -> Sides:
    """The sides that are in force now: the baseline, and the reports of the stable entry and of the floor."""
    before, best = report_of_rival(sha, stable), report_of_floor(sha, stable, floor)
    return Sides(
        read_baseline(baseline),
        read_submission(before, what="the stable entry's report").report if before is not None else None,
        read_submission(best, what="the floor's report").report if best is not None else None,
    )


def stated_sides(said: Predicate) -> Sides:
    """The sides to compare with as a verdict states them, to check a verdict that was used in the past.

    Raises:
        BadInput: the verdict's policy is of another rule, or its baseline is not valid.
    """
    if said.policy.get("rule") != RULE:
        raise BadInput(f"its policy is not {RULE}", AGAIN)
    sides = {name: getattr(said, name) for name in ("eval_set", "decoding")}
    names = ("entry_sha", "total", "buckets", "false_accept", "scores")
    counts = {name: value for name in names if (value := getattr(said.baseline, name)) is not msgspec.UNSET}
    raw = canonical(msgspec.to_builtins({**said.policy, **sides, **counts, "schema": BASELINE}))
    own = said.candidate.entry_sha
    stable = said.stable if said.stable is not None and said.stable.entry_sha != own else None
    floor = said.floor if isinstance(said.floor, Counted) and said.floor.entry_sha != own else None
    return Sides(
        read_baseline(raw),
        _side(said, stable) if stable is not None else None,
        _side(said, floor) if floor is not None and floor != stable else None,
    )


def _side(said: Predicate, counts: Counted) -> EvalReport:
    """One side's counts in the form of a report, as the gate takes them."""
    return EvalReport(
        schema=REPORT,
        entry_sha=counts.entry_sha,
        eval_set=said.eval_set,
        decoding=said.decoding,
        total=counts.total,
        buckets=counts.buckets,
        false_accept=counts.false_accept,
        scores=counts.scores if isinstance(counts.scores, dict) else {},
    )


def disagreement(statement: Statement, key_id: str, promoted: Event, hash_at: Hashes) -> str | None:
    """How a validly signed verdict contradicts the promotion that names it, in words; None if it does not.

    Its result is computed again from the counts and the policy that it states.
    """
    said = statement.predicate
    named = promoted.body["verdict"]
    about = statement.subject[0].digest.get("sha256", "")
    # The subject is what in-toto tools read, the candidate is what was counted; both must be the promoted entry.
    for sha in (about, said.candidate.entry_sha):
        if sha != promoted.body.get("sha"):
            return f"it is about {visible(short(sha))}"
    if said.result != "pass":
        return f"it says {visible(said.result, 20)}"
    if named.get("key") != key_id or named.get("report", said.candidate.sha256) != said.candidate.sha256:
        return "the promotion's event names another key or report"
    try:
        again = recomputed_decision(said, stated_sides(said)).result
    except BadInput as error:
        return f"its result cannot be computed again: {error.message}"
    if again != "pass":
        return f"it says pass, but its own counts give {again}"
    if said.ledger.seq >= promoted.seq or hash_at(said.ledger.seq) != said.ledger.hash:
        return f"it was decided on another ledger: event #{said.ledger.seq} here has another hash, or is later"
    return None
