"""Registering a model with what is known about it: corpora by their path, the parent by a REF, a seed, a report.

It looks these up, so that nobody writes a training manifest by hand. What a run's tags ``spine.corpus`` and
``spine.parent`` say counts like the option, where the option is not given. It does not know the command line.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, SpineError, Unavailable
from modelspine.identity.bundle_files import LIMITS
from modelspine.lineage.dvc_repository import Repository
from modelspine.project import Project
from modelspine.registry.entries import Registration, source_of
from modelspine.registry.manifest import Facts
from modelspine.registry.mlflow_runs import Run
from modelspine.text import argument, visible

CORPUS_TAG, PARENT_TAG = "spine.corpus", "spine.parent"
_SHA = re.compile(r"[0-9a-f]{64}")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says about a model; empty or None where nothing is said."""

    corpora: tuple[str, ...] = ()
    """Paths of files or folders that DVC tracks, from the working directory or from the project's root."""
    parent: str | None = None
    """A REF of the entry it was made from."""
    seed: str | None = None
    report: Path | None = None
    """The file of its evaluation report."""


def register_source(
    project: Project, source: str, given: Given, *, path: str | None = None, unfinished: bool = False
) -> Registration:
    """Register what a source in MLflow names; ``Artifacts.find`` and ``register_folder`` say which errors there are."""
    found = project.artifacts.find(source, path=path, unfinished=unfinished)
    return project.registry.register_found(found, facts_of(project, given, found.run))


def register_folder(
    project: Project, folder: Path, given: Given, *, follow: bool = False, local: bool = False
) -> Registration:
    """Register a bundle directory, and log it into a run where the settings name an MLflow store.

    With ``local`` nothing is logged. An entry whose files are in no run can be used on this machine alone; the
    registration warns of that where the ledger is one that several machines share.

    Raises:
        BadInput: DVC does not track a corpus, the report cannot be read, or the bundle's manifest says something else.
        UnknownRef, AmbiguousRef: the parent is no entry, or several.
        BundleRefused: the directory is not a bundle.
        Unavailable: MLflow cannot be written; nothing is registered then.
    """
    log = project.settings.names_mlflow and not local
    done = project.registry.register(folder, follow=follow, facts=facts_of(project, given, None), log=log)
    if project.settings.ledger.startswith("sqlite:") or source_of(done.event.body) is not None:
        return done
    alone = "only this machine has its files, and no other can serve it: register it again with `mlflow` set"
    return msgspec.structs.replace(done, warnings=(*done.warnings, alone))


def facts_of(project: Project, given: Given, run: Run | None) -> Facts:
    """What is given, looked up in this project; a run's tags stand in for what is not given."""
    tags = run.tags if run is not None else {}
    corpora = given.corpora or tuple(filter(None, (part.strip() for part in tags.get(CORPUS_TAG, "").split(","))))
    parent = given.parent or tags.get(PARENT_TAG)
    return Facts(
        corpora=tuple(_corpus(project, path) for path in corpora),
        parent_sha=_parent(project, parent) if parent else None,
        seed=given.seed,
        report=_report(given.report) if given.report is not None else None,
    )


def _parent(project: Project, ref: str) -> str:
    """The parent's SHA; a whole SHA need not be registered here, as the parent may be another ledger's entry."""
    return ref if _SHA.fullmatch(ref) else project.registry.resolve(ref)


def _corpus(project: Project, path: str) -> dict[str, Any]:
    """One corpus as a manifest names it; its rows are counted where its bytes are on this machine and intact."""
    name, dvc_hash = _tracked(project, path)
    corpus: dict[str, Any] = {"path": name, "dvc_hash": dvc_hash}
    if not dvc_hash.endswith(".dir"):
        try:
            read = project.corpora.verify(dvc_hash, path=name)
        except SpineError:  # not on this machine, or changed since: lineage looks at it again and says so
            return corpus
        corpus |= {"sha256": read.sha256, "rows": read.rows}
    return corpus


def _tracked(project: Project, path: str) -> tuple[str, str]:
    """The name under which DVC tracks a path, or a file in a tracked directory, and its hash.

    Raises:
        BadInput: DVC does not track it.
        Unavailable: a file that may track it, or the listing of its directory, cannot be read.
    """
    root, tracked = project.settings.root, dict(project.corpora.tracked())
    here = (Path.cwd() / path).absolute()
    below = here.relative_to(root).as_posix() if root in here.parents else path
    names = [posixpath.normpath(name.removesuffix(".dvc")) for name in (below, path)]
    for name in names:
        if name in tracked:
            return name, tracked[name]
    for name in names:
        if members := project.corpora.named(name):
            return members[0]
    if broken := Repository(root).unreadable():
        raise Unavailable(
            f"{visible(broken[0], 120)} cannot be read as YAML, so DVC may or may not track {visible(path, 80)}",
            "restore it, or end the merge in which it is; then repeat the command",
        )
    raise BadInput(
        f"DVC does not track {visible(path, 120)}, so nothing says which version of it was trained on",
        f"track it: `dvc add {argument(path)}`; then commit the .dvc file",
    )


def _report(file: Path) -> bytes:
    """The bytes of a report."""
    limit = LIMITS["eval_report.json"]
    try:
        with file.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise BadInput(
            f"the report {visible(str(file), 120)} cannot be read: {error.strerror}", "give the file of a spine.eval/1"
        ) from error
    if len(raw) > limit:
        raise BadInput(f"{visible(str(file), 120)} is larger than {limit:,} bytes", "give the file of a spine.eval/1")
    return raw
