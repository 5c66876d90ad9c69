"""A new baseline of an entry's report, as a file for a reviewed commit.

What people decided in the baseline that it replaces is kept: a new set of counts must not silently drop a sentence that
must stay right, or a limit. It commits nothing and records nothing; ``gate.baseline`` knows the format.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from modelspine.errors import BadInput, Refused, Unavailable
from modelspine.files import write_file
from modelspine.gate.baseline import Anchor, Baseline, baseline_bytes, baseline_of, read_baseline
from modelspine.gate.eval_report import Count, EvalReport, read_report
from modelspine.gate.result import is_worse
from modelspine.ledger.state import check_reason
from modelspine.project import Project
from modelspine.text import short, visible

_FROM_NOTHING = "evaluate it (`spine evaluate REF --out F`, or `spine eval import`) and give --report F"


class NewBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a baseline, and what its reviewers should look at."""

    raw: bytes
    sha: str
    total: Count | None
    replaces: str | None
    """The entry of the baseline that it replaces."""
    weaker: tuple[tuple[str, Count, Count], ...]
    """Buckets in which it asks for less than the baseline that it replaces: name, before, now."""
    notes: tuple[str, ...]


def new_baseline(
    project: Project, ref: str, *, reason: str, approved_in: str = "", report: Path | None = None
) -> NewBaseline:
    """Make the baseline of an entry.

    Args:
        project: the project, whose present baseline gives the policy.
        ref: the entry.
        reason: why it becomes the baseline.
        approved_in: the change in which it is reviewed.
        report: a new report of that entry; by default the one in force.

    Raises:
        UnknownRef, AmbiguousRef: ``ref`` names no entry, or several.
        Refused: the entry is tombstoned or has no report.
        BadInput: the reason is blank, or the report or the present baseline cannot be read.
    """
    check_reason(reason)
    state = project.registry.state()
    sha = state.resolve(ref)
    known = state.entries[sha]
    if known.tombstoned is not None:
        raise Refused(f"{short(sha)} is tombstoned: {visible(known.tombstoned)}", "choose another entry")
    found = _report(project, sha, known.report, report)
    before = _present(project.settings.eval_baseline)
    anchor, note = _anchor(found, before)
    made = baseline_of(
        found,
        reason=reason,
        approved_in=approved_in,
        never_regress=before.never_regress if before is not None else (),
        anchor=anchor,
        entry_sha=sha,
        **({"tolerance_pp": before.tolerance_pp, "anchor_budget_pp": before.anchor_budget_pp} if before else {}),
    )
    if before is not None and before.floor_excludes:
        made["floor_excludes"] = msgspec.to_builtins(before.floor_excludes)
    held = f"{short(sha)} is on hold: {visible(known.held, 120)}" if known.held is not None else None
    return NewBaseline(
        raw=baseline_bytes(made),
        sha=sha,
        total=found.total,
        replaces=before.entry_sha if before is not None else None,
        weaker=tuple(_weaker(found, before)) if before is not None else (),
        notes=tuple(each for each in (*_weaker_scores(found, before), note, held) if each is not None),
    )


def write_baseline(file: Path, made: NewBaseline) -> None:
    """Write it in place of what is there.

    Raises:
        Unavailable: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, made.raw)
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise Unavailable(f"{visible(str(file), 120)}: {why}", "give --out a file that can be written") from error


def _report(project: Project, sha: str, digest: str | None, file: Path | None) -> EvalReport:
    if file is not None:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise BadInput(
                f"the report {visible(str(file), 120)} cannot be read: {error.strerror}", _FROM_NOTHING
            ) from error
    elif digest is not None:
        raw = project.ledger.get(digest)
    else:
        raise Refused(f"{short(sha)} has no evaluation report", _FROM_NOTHING)
    return read_report(raw)


def _present(file: Path) -> Baseline | None:
    """The baseline in the working tree, which may have items that are not committed yet; None if there is none."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{visible(str(file), 120)}: {error.strerror}", "check its permissions") from error
    try:
        return read_baseline(raw)
    except BadInput as error:
        raise BadInput(
            f"the present baseline cannot be read, so its policy would be lost: {error.message}",
            f"repair {visible(str(file), 80)}, or delete it to begin anew",
        ) from error


def _anchor(report: EvalReport, before: Baseline | None) -> tuple[Anchor | None, str | None]:
    """The anchor of the new baseline, and a note where the present one's cannot be kept."""
    if before is None:
        return None, None
    # A total over other items says nothing about these.
    same = before.eval_set.sha256 == report.eval_set.sha256 and before.eval_set.n == report.eval_set.n
    if same and (before.total is None or report.total is None):
        return None, None if before.anchor is None else "the anchor limits a total, and there is none any more"
    if not same:
        lost = "" if before.anchor is None else " and its anchor"
        return None, f"the present baseline is of another eval set, so its counts{lost} are not kept as an anchor"
    return before.anchor or Anchor(entry_sha=before.entry_sha, total=before.total or Count(0, 0)), None


def _weaker(report: EvalReport, before: Baseline) -> list[tuple[str, Count, Count]]:
    """The buckets of the present baseline in which the new one has fewer right, the largest loss first."""
    found = [
        (name, count, report.buckets[name])
        for name, count in before.buckets.items()
        if name in report.buckets and report.buckets[name].n == count.n and report.buckets[name].k < count.k
    ]
    return sorted(found, key=lambda each: (each[2].k - each[1].k, each[0]))


def _weaker_scores(report: EvalReport, before: Baseline | None) -> list[str]:
    """A sentence for each score that is worse than in the present baseline."""
    return [
        f"{visible(name, 60)}: {score.text} before, {report.scores[name].text} now"
        for name, score in (before.scores if before is not None else {}).items()
        if name in report.scores and is_worse(score, report.scores[name], 0)
    ]
