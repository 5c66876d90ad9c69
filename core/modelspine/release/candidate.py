"""The deployment request ``candidate.toml``: a small committed file that people review.

It identifies the bundle by its canonical SHA; the run, or another source in MLflow, only says where to get it. A
fetched bundle is hashed, and one that is not the reviewed model is rejected.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from modelspine.errors import BadInput, Damaged, SpineError
from modelspine.identity.bundle import read_bundle
from modelspine.ledger.state import check_reason, check_semver
from modelspine.project import Project
from modelspine.registry.manifest import evidence_with
from modelspine.registry.mlflow_runs import Run
from modelspine.registry.mlflow_source import read_source
from modelspine.release.registering import Given, facts_of
from modelspine.text import short, visible

FILE = "candidate.toml"
_SHA = re.compile(r"[0-9a-f]{64}")
_LONGEST = 300
"""Longest reason, in characters."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deploy, under which version, and why. Every value is one line of plain text."""

    run_id: str
    """The MLflow run that logged the bundle, or another source that ``spine register`` takes; the file may call it
    ``source``."""
    sha: str
    """The canonical SHA of the bundle."""
    semver: str
    reason: str


def read_candidate(file: Path) -> Candidate:
    """Read a deployment request; unknown fields are errors.

    Raises:
        BadInput: there is no such file, or a value is missing or invalid.
    """
    name = visible(str(file), 120)
    try:
        candidate = msgspec.convert(_fields(tomllib.loads(file.read_text(encoding="utf-8"))), Candidate)
    except FileNotFoundError as error:
        raise BadInput(f"there is no request at {name}", "write one with source, sha, semver and reason") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"{name} is not a valid request: {visible(str(error), 160)}", "give source, sha, semver and reason, as text"
        ) from error
    # The source becomes an argument and a part of paths, so an option-like or path-like one must not pass.
    try:
        read_source(candidate.run_id)
    except BadInput as error:
        raise BadInput(f"{name}: {error.message}", error.hint) from error
    if _SHA.fullmatch(candidate.sha) is None:
        raise BadInput(
            f"{name}: sha {visible(candidate.sha, 60)!r} is not a canonical SHA", "give the value `spine sha` prints"
        )
    check_semver(candidate.semver)
    check_reason(candidate.reason)
    if visible(candidate.reason, _LONGEST) != candidate.reason:
        raise BadInput(
            f"{name}: the reason is not one line of plain text", f"write at most {_LONGEST} visible characters"
        )
    return candidate


def _fields(table: dict[str, Any]) -> dict[str, Any]:
    """The request's fields; ``source`` is the wider name of ``run_id``, and one of them is enough."""
    if "source" in table and "run_id" in table:
        raise msgspec.ValidationError("it has a source and a run_id, and only one of them is fetched")
    return {"run_id" if name == "source" else name: value for name, value in table.items()}


def fetch(project: Project, candidate: Candidate, target: Path) -> None:
    """Copy the bundle of the request's source into a new folder, if it is the requested model.

    The bundle's parent is added to the cache if it is not there and MLflow knows its run.

    Raises:
        UnknownRef, Unavailable: MLflow does not know the source, or does not answer.
        Refused: its run was deleted, or has not finished.
        BundleRefused: the run's artifacts are not a bundle/1.
        Damaged: a run has another model than the requested one.
        BadInput: the folder exists.
    """
    if target.exists():
        raise BadInput(f"{visible(str(target), 120)} exists already", "give the path of a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    found = project.artifacts.find(candidate.run_id)
    with project.artifacts.copied(found) as copy:
        # As `spine register` has it: a parent that the run's tags name is part of the identity.
        evidence = evidence_with(copy.folder, facts_of(project, Given(), found.run), found.run)
        # The copy is written from the bytes that are hashed, so a file changed in between cannot slip in.
        bundle = read_bundle(copy.folder, store=target, evidence=evidence)
    try:
        _check_sha(candidate.run_id, bundle.sha, candidate.sha)
        if bundle.parent_sha is not None and not project.cache.path(bundle.parent_sha).is_dir():
            _fetch_parent(project, found.run, bundle.parent_sha)
    except SpineError:
        shutil.rmtree(target)
        raise


def _fetch_parent(project: Project, run: Run | None, sha: str) -> None:
    """Cache the bundle of a run's parent run. Without a parent run nothing happens: loading the bundle reports it."""
    parent_run = run.tags.get("mlflow.parentRunId") if run is not None else None
    if parent_run is None:
        return
    # A parent run often ends after its children; the SHA says whether its bundle is whole.
    with project.artifacts.fetched(parent_run, unfinished=True) as folder:
        _check_sha(parent_run, project.cache.add(folder).sha, sha)


def _check_sha(source: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise Damaged(
            f"{visible(source, 80)} has the bundle {short(found)}, but {short(wanted)} was requested",
            "correct the request and have it reviewed again, or find out who changed the run",
        )
