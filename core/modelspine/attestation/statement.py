"""The content of a verdict: an in-toto Statement v1 about one entry, with all counts that its result follows from.

Making a statement runs the gate on the files themselves, so that no caller can supply a result. It does not sign, and
does not know whether the ledger has changed since.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from modelspine.canonical_json import canonical
from modelspine.errors import BadInput
from modelspine.gate.baseline import Baseline, read_baseline
from modelspine.gate.decision import Stable, judge, read_submission, report_of_floor, report_of_rival
from modelspine.gate.eval_report import Count, EvalReport, EvalSet, Score
from modelspine.ledger.store import Head
from modelspine.text import short, visible
from modelspine.times import FORMAT

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:spine:verdict:1"
SUBJECT = "spine.entry/1"
RULE = "spine.gate/1"
LIFETIME = timedelta(hours=24)
MAX_LIFETIME = timedelta(days=7)  # limits how long a leaked or forgotten verdict can be used
CODE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
SHA = re.compile(r"[0-9a-f]{64}")
_HINT = "fix this and evaluate again; a verdict is signed only for a comparison without errors"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The entry: ``digest`` is its canonical SHA under ``sha256``."""

    name: str
    digest: dict[str, str]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """One side's raw counts, and the digest of the file they come from."""

    entry_sha: str
    sha256: str
    total: Count | None
    buckets: dict[str, Count]
    false_accept: Count | None
    scores: dict[str, Score] | msgspec.UnsetType = msgspec.UNSET
    """Not set where there are none, so that verdicts of versions that knew no scores keep their bytes."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The CI run that made the decision."""

    id: str
    url: str


class Predicate(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict itself: the result, and everything needed to compute it again."""

    result: str
    candidate: Counted
    baseline: Counted
    stable: Counted | None
    floor: Counted | msgspec.UnsetType | None = msgspec.UNSET
    """The best entry that was ever in production, None where none was; not set by versions that knew no floor."""
    eval_set: EvalSet
    decoding: Any
    policy: dict[str, Any]
    policy_sha256: str
    never_regress: dict[str, bool]
    code: str
    """Git SHA of the code that evaluated and decided."""
    ledger: Head
    """The ledger's newest event when the decision was made."""
    run: Run
    issued: str
    expires: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The in-toto statement."""

    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Predicate


def statement(
    *,
    sha: str,
    candidate: bytes,
    baseline: bytes,
    stable: Stable | None,
    floor: Stable | None = None,
    never_regress: Mapping[str, bool] | None,
    code: str,
    head: Head,
    run: Run,
    issued: datetime,
    lifetime: timedelta = LIFETIME,
) -> Statement:
    """Run the gate on an entry and state the result, whether it passes or fails.

    Args:
        sha: the entry's canonical SHA, freshly computed.
        candidate: the entry's report.
        baseline: the committed baseline.
        stable: the entry in production; None if there is none.
        floor: the best entry that was ever in production; None if there is none.
        never_regress: item id → still right; None takes what the report carries.
        code: git SHA of the code that evaluated and decides.
        head: the ledger's newest event.
        run: the CI run.
        issued: the current time.
        lifetime: how long the verdict may be used, at most seven days.

    Raises:
        BadInput: the gate's result is an error, a report is about another entry, or an argument is malformed.
    """
    _well_formed(sha, code, head, lifetime)
    before, best = report_of_rival(sha, stable), report_of_floor(sha, stable, floor)
    decision = judge(candidate, baseline=baseline, stable=before, floor=best, never_regress=never_regress)
    # A failing verdict is signed as well: it is evidence. An error is not, because nothing was compared.
    if decision.result == "error":
        raise BadInput(f"there is no result to sign: {decision.reasons[0]}", _HINT)
    base = read_baseline(baseline)
    predicate = Predicate(
        result=decision.result,
        candidate=report_counts(sha, candidate),
        baseline=_counts(base.entry_sha, baseline, base),
        stable=report_counts(stable.entry_sha, stable.report) if stable else None,
        floor=report_counts(floor.entry_sha, floor.report) if floor else None,
        eval_set=base.eval_set,
        decoding=base.decoding,
        policy=policy(base),
        policy_sha256=hashlib.sha256(canonical(policy(base))).hexdigest(),
        never_regress=decision.compared[0].never_regress,
        code=code,
        ledger=head,
        run=run,
        issued=issued.astimezone(UTC).strftime(FORMAT),
        expires=(issued.astimezone(UTC) + lifetime).strftime(FORMAT),
    )
    subject = Subject(name=SUBJECT, digest={"sha256": sha})
    return Statement(type=TYPE, subject=(subject,), predicate_type=PREDICATE_TYPE, predicate=predicate)


def _well_formed(sha: str, code: str, head: Head, lifetime: timedelta) -> None:
    if SHA.fullmatch(sha) is None or CODE.fullmatch(code) is None:
        given = f"{visible(sha, 70)!r} and {visible(code, 70)!r}"
        raise BadInput(f"a verdict needs a 64-digit SHA and a full git SHA, not {given}", "commit the code, then retry")
    if head.seq < 1 or SHA.fullmatch(head.hash) is None:
        raise BadInput("a verdict refers to a ledger event, and the ledger has none", "make it first: `spine init`")
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        raise BadInput(f"a verdict is valid for at most {MAX_LIFETIME.days} days, not {lifetime}", "shorten the time")


def policy(baseline: Baseline) -> dict[str, Any]:
    """Everything that the result depends on, apart from the counts."""
    made = {
        "rule": RULE,
        "tolerance_pp": baseline.tolerance_pp,
        "anchor": msgspec.to_builtins(baseline.anchor),
        "anchor_budget_pp": baseline.anchor_budget_pp,
        "never_regress": [msgspec.to_builtins(item) for item in baseline.never_regress],
    }
    # Left out where there is none, so that the policy of an older baseline keeps its digest.
    if baseline.floor_excludes:
        made["floor_excludes"] = [msgspec.to_builtins(entry) for entry in baseline.floor_excludes]
    return made


def report_counts(sha: str, report: bytes) -> Counted:
    """The counts of an entry's report.

    Raises:
        BadInput: it cannot be read, or is about another entry.
    """
    read = read_submission(report).report
    if read.entry_sha not in (None, sha):
        raise BadInput(
            f"the report is about {short(str(read.entry_sha))}, not about {visible(short(sha))}",
            "evaluate this entry",
        )
    return _counts(sha, report, read)


def baseline_counts(raw: bytes) -> Counted:
    """The counts of the baseline file.

    Raises:
        BadInput: it is not a valid baseline.
    """
    baseline = read_baseline(raw)
    return _counts(baseline.entry_sha, raw, baseline)


def _counts(sha: str, raw: bytes, side: Baseline | EvalReport) -> Counted:
    return Counted(
        entry_sha=sha,
        sha256=hashlib.sha256(raw).hexdigest(),
        total=side.total,
        buckets=side.buckets,
        false_accept=side.false_accept,
        scores=side.scores or msgspec.UNSET,
    )
