"""Evaluation: a workload runs a bundle over the eval set that the baseline names.

The bundle is verified first, and its SHA is in the report, with the record that its stored copy was loaded by a process
without a key. The model also answers the baseline's never-regress items.
This module does not compare the result with a baseline and writes nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.evaluating import Done, Progress, Task, run_apart
from modelspine.gate.baseline import Baseline, Item
from modelspine.gate.decision import read_submission
from modelspine.gate.eval_report import EvalReport, Loaded, read_report
from modelspine.identity.bundle import read_bundle
from modelspine.identity.private_copies import PrivateCopies
from modelspine.project import Project
from modelspine.release.eval_set import checked
from modelspine.text import short, visible
from modelspine.workload import plugin_of

Registered = Literal["same", "differs", "other eval set", "none"]


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A finished evaluation."""

    sha: str
    report: dict[str, Any]
    """``spine.eval/1``, with ``entry_sha`` and, if the baseline has such items, ``never_regress``."""
    runs: int
    registered: Registered
    """How it compares with the report that the entry was registered with, or that the folder contains."""
    differences: tuple[str, ...]
    """The differences from that report as text."""


def evaluate(project: Project, source: str, baseline: Baseline, *, runs: int, progress: Progress) -> Evaluated:
    """Evaluate an entry, or the bundle in a folder.

    Args:
        project: the project.
        source: a bundle's folder, or a REF.
        baseline: names the eval set and the never-regress items.
        runs: how many runs to make; all must give the same answers.
        progress: called with the progress.

    Raises:
        BundleRefused, UnknownRef, AmbiguousRef: there is no such bundle or entry.
        Unavailable: the eval set does not exist, or the workload failed.
        Damaged: the eval set or the bundle does not match its hash, or two runs gave different answers.
    """
    eval_set = checked(baseline.eval_set, project.settings.root)
    with _source(project, source) as (sha, folder, parent, own):
        texts = tuple(item.text for item in baseline.never_regress)
        task = _task(project, folder, parent, eval_set=str(eval_set), runs=runs, texts=texts)
        done = _apart(project, task, progress)
    reports = done.reports
    kept = _kept(baseline.never_regress, done.outputs)
    for number, report in enumerate(reports, 1):
        _check_eval_set(report, baseline)
        _check_repeats(reports[0], report, number)
    final = {**reports[0], "entry_sha": sha, **({"never_regress": kept} if kept else {})}
    final["runtime"] = {**_runtime(reports[0]), **_price(project, reports)}
    final["loaded"] = msgspec.to_builtins(Loaded(sha=sha, stored=True, key=done.key))
    raw = msgspec.json.encode(final)
    # The gate reads reports strictly. A report it would refuse is reported here, where the cause is.
    read_submission(raw, what=f"the report of the workload {project.workload.name}")
    differences, registered = _compared(read_report(raw), own)
    return Evaluated(sha=sha, report=final, runs=runs, registered=registered, differences=differences)


@contextmanager
def _source(project: Project, source: str) -> Iterator[tuple[str, Path, Path | None, EvalReport | None]]:
    """The SHA, verified folder, parent's folder and existing report of an entry or of a bundle in a folder."""
    if not Path(source).is_dir():
        sha = project.registry.resolve(source)
        own = project.registry.get(sha).eval_report
        yield sha, project.registry.verified(sha), project.registry.parent_folder(sha), own
        return
    # A folder can change during the evaluation, so the bytes that were hashed are evaluated from a copy.
    with tempfile.TemporaryDirectory(prefix="spine-evaluate-") as scratch:
        folder = Path(scratch) / "bundle"
        bundle = read_bundle(Path(source), store=folder)
        raw = bundle.evidence.get("eval_report.json")
        parent = _parent(project, bundle.parent_sha) if bundle.parent_sha else None
        yield bundle.sha, folder, parent, read_report(raw) if raw is not None else None


def _parent(project: Project, sha: str) -> Path:
    """The verified folder of a parent. A job that gates a pull request has it in its cache, and no ledger."""
    if project.cache.holds(sha):
        return project.cache.verified(sha)[0]
    return project.registry.verified(sha)


def _task(project: Project, folder: Path, parent: Path | None, **more: Any) -> Task:
    return Task(
        workload=plugin_of(project.settings.workload),
        folder=str(folder),
        parent=str(parent) if parent is not None else None,
        workers=project.settings.workers,
        **more,
    )


def _apart(project: Project, task: Task, progress: Progress) -> Done:
    """Run a task on private copies of the cached bundles that it loads."""
    with PrivateCopies() as copies:

        def own(folder: str | None) -> str | None:
            # A bundle that was given as a folder is a private copy already.
            if folder is None or Path(folder).parent != project.settings.cache:
                return folder
            return str(copies.of(Path(folder).name, Path(folder)))

        return run_apart(msgspec.structs.replace(task, folder=own(task.folder), parent=own(task.parent)), progress)


def _runtime(report: dict[str, Any]) -> dict[str, Any]:
    runtime = report.get("runtime")
    return runtime if isinstance(runtime, dict) else {}


def _price(project: Project, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The busy seconds of each run, and the rate and workers that price them, recorded when they were measured."""
    settings = project.settings
    measured = {"busy_seconds": [_runtime(report).get("busy_seconds") for report in reports]}
    if settings.rate_per_hour is None:
        return measured
    other = {} if settings.cost.currency == "USD" else {"currency": settings.cost.currency}
    return {**measured, "rate_per_hour": settings.rate_per_hour, "price_version": settings.price_version, **other}


def load_stored(project: Project, sha: str, items: Sequence[Item] = ()) -> tuple[Loaded, dict[str, bool]]:
    """Load an entry's stored copy in a process without a key: the record of it, and never-regress id → still correct.

    Raises:
        Unavailable: the bundle or its parent is not in the cache, or the workload failed to load or to answer.
        Damaged: the stored bytes do not match the SHA.
    """
    folder, parent = project.registry.verified(sha), project.registry.parent_folder(sha)
    task = _task(project, folder, parent, texts=tuple(item.text for item in items))
    done = _apart(project, task, lambda *_: None)
    return Loaded(sha=sha, stored=True, key=done.key), _kept(items, done.outputs)


def _kept(items: Sequence[Item], outputs: Sequence[str]) -> dict[str, bool]:
    return {item.id: item.kept(output) for item, output in zip(items, outputs, strict=True)}


def _check_eval_set(report: dict[str, Any], baseline: Baseline) -> None:
    """Check that the workload evaluated exactly the items that the baseline names."""
    try:
        found = read_report(msgspec.json.encode(report)).eval_set
    except (BadInput, TypeError) as error:
        raise Unavailable(
            f"the workload's report is not valid: {visible(str(error), 160)}", "fix the workload's `evaluate`"
        ) from error
    if (found.sha256, found.n) != (baseline.eval_set.sha256, baseline.eval_set.n):
        raise Damaged(
            f"the workload evaluated {found.n:,} items with SHA-256 {short(found.sha256)}, but the baseline names "
            f"{baseline.eval_set.n:,} with {short(baseline.eval_set.sha256)}",
            "find out what changed the eval set during the evaluation, then repeat the command",
        )


def _check_repeats(first: dict[str, Any], report: dict[str, Any], number: int) -> None:
    expected, found = first.get("answers_sha256"), report.get("answers_sha256")
    if number > 1 and (not expected or expected != found):
        raise Damaged(
            f"run {number} gave different answers from run 1: answers_sha256 is {visible(str(found), 64)}, "
            f"not {visible(str(expected), 64)}",
            "an evaluation must be repeatable: find the source of randomness in the workload",
        )


def _compared(made: EvalReport, own: EvalReport | None) -> tuple[tuple[str, ...], Registered]:
    """Compare a new report with the entry's own one."""
    if own is None:
        return (), "none"
    if own.eval_set.sha256 != made.eval_set.sha256:
        return (), "other eval set"
    differences = [
        f"{visible(name, 60)} {_count_text(before)} registered, {_count_text(now)} now"
        for name, before, now in (
            ("total", own.total, made.total),
            ("false accepts", own.false_accept, made.false_accept),
            *(
                (name, own.buckets.get(name), made.buckets.get(name))
                for name in sorted(own.buckets.keys() | made.buckets.keys())
            ),
        )
        if before != now
    ]
    differences += [
        f"{visible(name, 60)} {_score_of(own, name)} registered, {_score_of(made, name)} now"
        for name in sorted(own.scores.keys() | made.scores.keys())
        if own.scores.get(name) != made.scores.get(name)
    ]
    if own.answers_sha256 != made.answers_sha256 and not differences:
        differences.append("the counts are equal, but the answers differ")
    return tuple(differences), "differs" if differences else "same"


def _score_of(report: EvalReport, name: str) -> str:
    return report.scores[name].text if name in report.scores else "none"


def _count_text(count: Any) -> str:
    return f"{count.k:,}/{count.n:,}" if count is not None else "none"
