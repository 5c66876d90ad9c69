"""An evaluation: a bundle's verified bytes through the workload, over the eval set that the baseline names.

What is evaluated is hashed first and stays as it was hashed; the report says which bytes those were. The
never-regress sentences are put to the model as well. It does not compare with a baseline, and writes nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelspine.errors import BadInput, Damaged, Unavailable
from modelspine.gate.baseline import Baseline, Item
from modelspine.gate.decision import read_submission
from modelspine.gate.eval_report import EvalReport, read_report
from modelspine.identity.bundle import read_bundle
from modelspine.project import Project
from modelspine.release.eval_set import checked
from modelspine.text import short, visible
from modelspine.workload import workload_errors

Told = Callable[[int, int, int], None]
"""Called with (run, done, total) while a run goes on."""
Registered = Literal["same", "differs", "other eval set", "none"]


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A finished evaluation."""

    sha: str
    report: dict[str, Any]
    """``spine.eval/1``, with ``entry_sha`` and, where the baseline has such items, ``never_regress``."""
    runs: int
    registered: Registered
    """How the report that the entry was registered with (or would be) compares."""
    differences: tuple[str, ...]


def evaluate(project: Project, source: str, baseline: Baseline, *, runs: int, told: Told) -> Evaluated:
    """Evaluate an entry, or the bundle in a folder.

    Args:
        project: the project.
        source: a bundle's folder, or a REF.
        baseline: names the eval set and the never-regress items.
        runs: how many times; every run has to give the same answers.
        told: is told how far it is.

    Raises:
        BundleRefused, UnknownRef, AmbiguousRef: there is no such bundle or entry.
        Unavailable: the eval set is not here, or the workload failed.
        Damaged: the eval set or the bundle has another hash, or two runs gave different answers.
    """
    eval_set = checked(baseline.eval_set, project.settings.root)
    with _source(project, source) as (sha, folder, parent, own):
        reports = [_one(project, folder, parent, eval_set, run, told) for run in range(1, runs + 1)]
        kept = still_right(project, folder, parent, baseline.never_regress)
    for number, report in enumerate(reports, 1):
        _of_this_set(report, baseline)
        _repeats(reports[0], report, number)
    made = {**reports[0], "entry_sha": sha, **({"never_regress": kept} if kept else {})}
    made["runtime"] = {**_runtime(reports[0]), **_price(project, reports)}
    raw = msgspec.json.encode(made)
    read_submission(raw, what=f"the report of the workload {project.settings.workload}")
    differences, registered = _against(read_report(raw), own)
    return Evaluated(sha=sha, report=made, runs=runs, registered=registered, differences=differences)


@contextmanager
def _source(project: Project, source: str) -> Iterator[tuple[str, Path, Path | None, EvalReport | None]]:
    """SHA, folder, parent's folder and the report an entry was registered with, or a folder holds."""
    if not Path(source).is_dir():
        sha = project.registry.resolve(source)
        own = project.registry.get(sha).eval_report
        yield sha, project.registry.verified(sha), project.registry.parent_folder(sha), own
        return
    with tempfile.TemporaryDirectory(prefix="spine-evaluate-") as scratch:
        folder = Path(scratch) / "bundle"
        bundle = read_bundle(Path(source), store=folder)
        raw = bundle.evidence.get("eval_report.json")
        parent = project.cache.verified(bundle.parent_sha)[0] if bundle.parent_sha else None
        yield bundle.sha, folder, parent, read_report(raw) if raw is not None else None


def _one(project: Project, folder: Path, parent: Path | None, eval_set: Path, run: int, told: Told) -> dict[str, Any]:
    workload = project.workload
    began = time.perf_counter()
    with workload_errors(workload.name):
        # A model is loaded anew each time, so that nothing one run left behind can make the second one equal.
        report = dict(workload.evaluate(folder, parent, eval_set, lambda done, total: told(run, done, total)))
    # A workload that measures itself leaves out loading the model, which is not what an answer costs.
    runtime = _runtime(report)
    report["runtime"] = {"seconds": time.perf_counter() - began, **runtime}
    return report


def _runtime(report: dict[str, Any]) -> dict[str, Any]:
    runtime = report.get("runtime")
    return runtime if isinstance(runtime, dict) else {}


def _price(project: Project, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The busy seconds of each run and the rate they are priced at, frozen when they were measured."""
    settings = project.settings
    measured = {"busy_seconds": [_runtime(report).get("seconds") for report in reports]}
    if settings.rate_per_hour is None:
        return measured
    return {**measured, "rate_per_hour": settings.rate_per_hour, "price_version": settings.price_version}


def still_right(project: Project, folder: Path, parent: Path | None, items: Sequence[Item]) -> dict[str, bool]:
    """Never-regress item id → whether a bundle that was verified just now still gets it right."""
    if not items:
        return {}
    workload = project.workload
    with workload_errors(workload.name):
        answers = workload.load(folder, parent).answer([item.text for item in items])
        return {item.id: item.kept(answer.output) for item, answer in zip(items, answers, strict=True)}


def _of_this_set(report: dict[str, Any], baseline: Baseline) -> None:
    """Check that the workload read the very items the baseline names."""
    try:
        found = read_report(msgspec.json.encode(report)).eval_set
    except (BadInput, TypeError) as error:
        raise Unavailable(
            f"the workload's report cannot be used: {visible(str(error), 160)}", "mend its `evaluate`"
        ) from error
    if (found.sha256, found.n) != (baseline.eval_set.sha256, baseline.eval_set.n):
        raise Damaged(
            f"the workload evaluated {found.n:,} items of SHA-256 {short(found.sha256)}, and the baseline names "
            f"{baseline.eval_set.n:,} of {short(baseline.eval_set.sha256)}",
            "find out what wrote into the eval set meanwhile, then repeat the command",
        )


def _repeats(first: dict[str, Any], report: dict[str, Any], number: int) -> None:
    one, other = first.get("answers_sha256"), report.get("answers_sha256")
    if number > 1 and (not one or one != other):
        raise Damaged(
            f"run {number} gave other answers than the first: {visible(str(other), 64)}, not {visible(str(one), 64)}",
            "an evaluation that does not repeat proves nothing: find what is random in the workload",
        )


def _against(made: EvalReport, own: EvalReport | None) -> tuple[tuple[str, ...], Registered]:
    """What the entry's own report says otherwise."""
    if own is None:
        return (), "none"
    if own.eval_set.sha256 != made.eval_set.sha256:
        return (), "other eval set"
    differences = [
        f"{visible(name, 60)} {_told(before)} there, {_told(now)} here"
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
    if own.answers_sha256 != made.answers_sha256 and not differences:
        differences.append("the counts are equal and the answers are not")
    return tuple(differences), "differs" if differences else "same"


def _told(count: Any) -> str:
    return f"{count.k:,}/{count.n:,}" if count is not None else "nothing"
