"""A gate run: gathers the files the gate compares, lets it decide, and writes down what it decided on an entry.

A report that belongs to no entry is compared and nothing is written; nor is a run that could not compare
anything. What a report or a baseline holds is decided by ``gate.decision``; this only knows where they are.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from modelspine.attestation.keys import SigningKey
from modelspine.attestation.trust import in_force
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import read_baseline
from modelspine.gate.decision import judge, read_submission, report_of_rival
from modelspine.gate.result import Decision
from modelspine.project import Project
from modelspine.release.evaluate import still_right
from modelspine.release.promotion import signed, stable_of
from modelspine.text import short, visible


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """One gate run. ``sha`` is None where the report belongs to no entry, ``seq`` where nothing was written."""

    sha: str | None
    seq: int | None
    decision: Decision
    stable: str | None
    """The entry whose report was compared as well: the one in production."""
    report: str | None = None
    """Digest of the report that was compared, where it was written down."""


def compare_entry(
    project: Project, ref: str, *, baseline: Path, tolerance_pp: int | None = None, report: Path | None = None
) -> Gated:
    """Gate a registered entry against a baseline and against the entry in production, and write nothing.

    ``report`` is a fresh report of that entry, to be compared instead of the one it was registered with; it is
    kept as evidence.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
        Refused: it has no evaluation report.
        BadInput: the fresh one is of another entry, or cannot be read.
    """
    return _compared(project, ref, _read(baseline), tolerance_pp, report)


def gate_entry(
    project: Project, ref: str, *, baseline: Path, tolerance_pp: int | None = None, report: Path | None = None
) -> Gated:
    """Gate a registered entry as ``compare_entry`` does, and write the decision down as a ``gated`` event.

    With another baseline or tolerance than the project's it is a trial, and no event is written. ``report`` is a
    fresh report of that entry, to be gated instead of the one that counts for it.

    Raises:
        UnknownRef, AmbiguousRef: no or several entries have that name.
        Refused: it has no evaluation report.
        BadInput: the fresh one is of another entry, or cannot be read.
    """
    raw = _read(baseline)
    gated = _compared(project, ref, raw, tolerance_pp, report)
    if tolerance_pp is not None or baseline.absolute() != project.settings.eval_baseline.absolute():
        return gated  # a trial: what another policy says must not stand for what this one says
    if gated.decision.result == "error" or raw is None or gated.sha is None or gated.report is None:
        return msgspec.structs.replace(gated, report=None)  # nothing was compared, nothing is known
    kept = project.ledger.put(raw)
    receipt = project.registry.gated(
        gated.sha, result=gated.decision.result, report=gated.report, baseline=kept, stable=gated.stable
    )
    return msgspec.structs.replace(gated, seq=receipt.seq)


def signed_verdict(project: Project, gated: Gated, key: SigningKey) -> bytes:
    """The signed verdict of a gate run on an entry: decided again, on the committed baseline alone.

    Raises:
        Refused, BadInput: there is no entry or no committed baseline, or nothing that can be compared.
    """
    if gated.sha is None:
        raise BadInput("a report of no entry is not signed", "register its bundle, then gate the entry")
    baseline = in_force(project.settings, "eval_baseline", committed=True)
    report = gated.report or project.registry.state().entries[gated.sha].report
    project.registry.verified(gated.sha)
    return signed(
        project, gated.sha, project.ledger.get(str(report)), baseline, _kept(project, gated.sha, baseline), key
    )


def gate_report(project: Project, report: Path, *, baseline: Path, tolerance_pp: int | None = None) -> Gated:
    """Gate a report file the same way; it belongs to no entry, so nothing is written.

    Raises:
        BadInput: the file cannot be read.
    """
    raw = _read(report)
    if raw is None:
        raise BadInput(f"there is no report at {visible(str(report), 120)}", "give a REF or a report's file")
    url = project.settings.ledger
    has_ledger = not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()
    stable = stable_of(project, project.registry.state()) if has_ledger else None
    before = stable.report if stable is not None else None
    decision = judge(raw, baseline=_read(baseline), stable=before, tolerance_pp=tolerance_pp)
    return Gated(sha=None, seq=None, decision=decision, stable=stable.entry_sha if stable is not None else None)


def _fresh(project: Project, sha: str, file: Path) -> str:
    """The digest of a fresh report, kept as evidence: it has to say that it is about this entry's bytes."""
    raw = _read(file)
    if raw is None:
        raise BadInput(f"there is no report at {visible(str(file), 120)}", "make it: `spine evaluate REF --out F`")
    named = read_submission(raw).report.entry_sha
    if named != sha:
        about = visible(short(named), 12) if named else "no entry at all"
        raise BadInput(f"the report is about {about}, and the entry is {short(sha)}", "evaluate this entry")
    return project.ledger.put(raw)


def _compared(project: Project, ref: str, raw: bytes | None, tolerance_pp: int | None, fresh: Path | None) -> Gated:
    """The comparison of an entry with what stands now; nothing is written but a fresh report."""
    registry = project.registry
    state = registry.state()
    sha = state.resolve(ref)
    report = _fresh(project, sha, fresh) if fresh is not None else state.entries[sha].report
    if report is None:
        raise Refused(f"{short(sha)} has no evaluation report", "evaluate the bundle and register it again")
    decision = judge(
        project.ledger.get(report),
        baseline=raw,
        stable=report_of_rival(sha, stable_of(project, state)),
        tolerance_pp=tolerance_pp,
        never_regress=_kept(project, sha, raw),
    )
    return Gated(sha=sha, seq=None, decision=decision, stable=state.production, report=report)


def _kept(project: Project, sha: str, baseline: bytes | None) -> dict[str, bool] | None:
    """Put every never-regress sentence to the entry's verified bytes: item id → still right."""
    try:
        items = read_baseline(baseline).never_regress if baseline is not None else ()
    except BadInput:
        return None  # the gate says what is wrong with it
    if not items:
        return None
    return still_right(project, project.registry.verified(sha), project.registry.parent_folder(sha), items)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{visible(str(file), 120)}: {error.strerror}", "check the path and your permissions") from error
