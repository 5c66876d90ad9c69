"""A gate run: collecting what the gate compares, deciding, and recording the decision about an entry.

A report that belongs to no entry is compared without recording anything. ``gate.decision`` interprets reports and
baselines; this module only knows where they are stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from modelspine.attestation.keys import SigningKey
from modelspine.attestation.trust import BASELINE, in_force
from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BadInput, Refused
from modelspine.gate.baseline import read_baseline
from modelspine.gate.decision import Stable, judge, read_submission, report_of_floor, report_of_rival
from modelspine.gate.result import Decision
from modelspine.ledger.state import State
from modelspine.project import Project
from modelspine.release.evaluate import load_stored
from modelspine.release.promotion import current_floor, signed, stable_of
from modelspine.text import short, visible


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """One gate run. ``sha`` is None where the report belongs to no entry, ``seq`` where nothing was recorded."""

    sha: str | None
    seq: int | None
    decision: Decision
    stable: str | None
    """The entry in production, whose report is compared as well."""
    floor: str | None = None
    """The best entry that was ever in production, whose report is compared too if it is another one."""
    report: str | None = None
    """Digest of the compared report, where it is stored as evidence."""


def compare_entry(
    project: Project, ref: str, *, baseline: Path, tolerance_pp: int | None = None, report: Path | None = None
) -> Gated:
    """Gate a registered entry against a baseline and the entry in production, without recording the decision.

    ``report`` is a fresh report of that entry to compare instead of its current one; it is stored as evidence.

    Raises:
        UnknownRef, AmbiguousRef: ``ref`` names no entry, or several.
        Refused: the entry has no evaluation report.
        BadInput: the fresh report is of another entry, or cannot be read.
    """
    return _compared(project, ref, _read(baseline), tolerance_pp, report)


def gate_entry(
    project: Project,
    ref: str,
    *,
    baseline: Path,
    tolerance_pp: int | None = None,
    report: Path | None = None,
    load: bool = False,
) -> Gated:
    """Gate a registered entry as ``compare_entry`` does, and record the decision as a ``gated`` event.

    With a baseline or tolerance other than the project's it is a dry run; nothing is recorded. A report that is not
    comparable is recorded as an error, because the entry's quality is unknown under the policy in force; without a
    baseline there is no policy, and so no decision to record. With ``load``, the entry's stored copy is loaded in a
    process without a key, and a report that does not record this yet is completed by it, as new evidence.

    Raises:
        UnknownRef, AmbiguousRef: ``ref`` names no entry, or several.
        Refused: the entry has no evaluation report, or in prod the baseline is not the committed one.
        BadInput: the fresh report is of another entry, or cannot be read.
        Unavailable: the stored copy cannot be loaded, or git does not say what is committed.
    """
    dry = tolerance_pp is not None or baseline.absolute() != project.settings.eval_baseline.absolute()
    # In prod the newest recorded run decides who may answer learners, so it counts only under the committed policy.
    strict = not dry and (project.registry.state().env, project.settings.env) != ("dev", "dev")
    raw = in_force(project.settings, BASELINE, committed=True) if strict else _read(baseline)
    gated = _compared(project, ref, raw, tolerance_pp, report, load=load)
    if dry:
        return gated  # a decision under another policy must not count as one under this policy
    if raw is None or not _is_baseline(raw) or gated.sha is None or gated.report is None:
        return msgspec.structs.replace(gated, report=None)
    kept = project.ledger.put(raw)
    receipt = project.registry.gated(
        gated.sha,
        result=gated.decision.result,
        report=gated.report,
        baseline=kept,
        stable=gated.stable,
        **_more(project, gated.report, gated.floor),
    )
    return msgspec.structs.replace(gated, seq=receipt.seq)


def signed_verdict(project: Project, gated: Gated, key: SigningKey) -> bytes:
    """Decide a gate run on an entry again, on the committed baseline only, and sign the verdict.

    Raises:
        Refused, BadInput: the report belongs to no entry, there is no committed baseline, or nothing can be compared.
    """
    if gated.sha is None:
        raise BadInput(
            "the report belongs to no entry, so its verdict cannot be signed",
            "register its bundle, then gate the entry",
        )
    baseline = in_force(project.settings, BASELINE, committed=True)
    report = gated.report or project.registry.state().entries[gated.sha].report
    project.registry.verified(gated.sha)
    return signed(
        project, gated.sha, project.ledger.get(str(report)), baseline, _kept(project, gated.sha, baseline), key
    )


def gate_report(project: Project, report: Path, *, baseline: Path, tolerance_pp: int | None = None) -> Gated:
    """Gate a report file that belongs to no entry; nothing is recorded.

    Raises:
        BadInput: the file cannot be read.
    """
    raw = _read(report)
    if raw is None:
        raise BadInput(f"there is no report at {visible(str(report), 120)}", "give a REF or the path of a report")
    # Gating a file needs no project; without a ledger there is just no production entry to compare with.
    url = project.settings.ledger
    has_ledger = not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()
    stable = stable_of(project, project.registry.state()) if has_ledger else None
    against = _read(baseline)
    floor = _floor(project, project.registry.state(), against) if has_ledger else None
    decision = judge(
        raw,
        baseline=against,
        stable=stable.report if stable is not None else None,
        floor=report_of_floor("", stable, floor),
        tolerance_pp=tolerance_pp,
    )
    return Gated(sha=None, seq=None, decision=decision, stable=_sha(stable), floor=_sha(floor))


def _fresh(project: Project, sha: str, file: Path) -> str:
    """Store a fresh report as evidence and return its digest; it must name this entry."""
    raw = _read(file)
    if raw is None:
        raise BadInput(f"there is no report at {visible(str(file), 120)}", "create it: `spine evaluate REF --out F`")
    named = read_submission(raw).report.entry_sha
    if named != sha:
        about = visible(short(named), 12) if named else "no entry"
        raise BadInput(
            f"the report is about {about}, not {short(sha)}", "create one for this entry: `spine evaluate REF --out F`"
        )
    return project.ledger.put(raw)


def _compared(
    project: Project, ref: str, raw: bytes | None, tolerance_pp: int | None, fresh: Path | None, *, load: bool = False
) -> Gated:
    """Compare an entry with the baseline and the production entry; stores nothing but a fresh or completed report."""
    registry = project.registry
    state = registry.state()
    sha = state.resolve(ref)
    report = _fresh(project, sha, fresh) if fresh is not None else state.entries[sha].report
    if report is None:
        raise Refused(
            f"{short(sha)} has no evaluation report",
            f"make one: `spine evaluate {short(sha)} --out F`, or `spine evaluate import RESULT --entry {short(sha)} "
            f"--out F`; then `spine gate {short(sha)} --report F`",
        )
    if load:
        report = _with_load(project, sha, report)
    stable, floor = stable_of(project, state), _floor(project, state, raw)
    decision = judge(
        project.ledger.get(report),
        baseline=raw,
        stable=report_of_rival(sha, stable),
        floor=report_of_floor(sha, stable, floor),
        tolerance_pp=tolerance_pp,
        never_regress=_kept(project, sha, raw),
    )
    return Gated(sha=sha, seq=None, decision=decision, stable=state.production, floor=_sha(floor), report=report)


def _is_baseline(raw: bytes) -> bool:
    try:
        read_baseline(raw)
    except BadInput:
        return False
    return True


def _with_load(project: Project, sha: str, report: str) -> str:
    """Load the stored copy, and return the digest of a report that records it.

    It is loaded even where the report says that it was, because anybody can write that into a report.
    """
    loaded, _ = load_stored(project, sha)
    raw = project.ledger.get(report)
    if read_submission(raw).report.loaded == loaded:
        return report
    data = parse_json(raw, what="the report")
    return project.ledger.put(canonical({**data, "loaded": msgspec.to_builtins(loaded)}))


def _floor(project: Project, state: State, baseline: bytes | None) -> Stable | None:
    """The floor under a baseline; none under one that cannot be read, which the gate reports itself."""
    try:
        return current_floor(project, state, read_baseline(baseline)) if baseline is not None else None
    except BadInput:
        return None


def _more(project: Project, report: str, floor: str | None) -> dict[str, Any]:
    """What the event keeps beside the result. With the cost in it, a list of entries need not read every report."""
    cost = read_submission(project.ledger.get(report)).report.cost_per_quality
    return {
        **({"floor": floor} if floor is not None else {}),
        **({"cost_per_quality": msgspec.to_builtins(cost)} if cost is not None else {}),
    }


def _sha(entry: Stable | None) -> str | None:
    return entry.entry_sha if entry is not None else None


def _kept(project: Project, sha: str, baseline: bytes | None) -> dict[str, bool] | None:
    """Ask the entry's verified bytes every never-regress sentence: item id → still correct; None without items.

    None too where a table describes the workload, which nobody can ask: then the report has to answer them itself.
    """
    try:
        items = read_baseline(baseline).never_regress if baseline is not None else ()
    except BadInput:
        return None  # the gate reports what is wrong with the baseline
    if not items or not isinstance(project.settings.workload, str):
        return None
    return load_stored(project, sha, items)[1]


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{visible(str(file), 120)}: {error.strerror}", "check the path and your permissions") from error
