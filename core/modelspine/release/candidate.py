"""The deployment request ``candidate.toml``: a small committed file that people review.

It identifies the bundle by its canonical SHA; the MLflow run only says where to get it. A fetched bundle is hashed, and
one that is not the reviewed model is rejected.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import msgspec

from modelspine.errors import BadInput, Damaged, SpineError
from modelspine.identity.bundle import read_bundle
from modelspine.ledger.state import check_reason, check_semver
from modelspine.project import Project
from modelspine.text import short, visible

FILE = "candidate.toml"
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}")
_LONGEST = 300
"""Longest reason, in characters."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deploy, under which version, and why. Every value is one line of plain text."""

    run_id: str
    """The MLflow run that logged the bundle."""
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
        candidate = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Candidate)
    except FileNotFoundError as error:
        raise BadInput(f"there is no request at {name}", "write one with run_id, sha, semver and reason") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"{name} is not a valid request: {visible(str(error), 160)}", "give run_id, sha, semver and reason, as text"
        ) from error
    # The run id becomes an argument and a part of paths, so an option-like or path-like one must not pass.
    if _RUN.fullmatch(candidate.run_id) is None or candidate.run_id.startswith("-"):
        raise BadInput(f"{name}: run_id {visible(candidate.run_id, 60)!r} is not valid", "give the id of an MLflow run")
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


def fetch(project: Project, candidate: Candidate, target: Path) -> None:
    """Copy the bundle of the request's run into a new folder, if it is the requested model.

    The bundle's parent is added to the cache if it is not there and MLflow knows its run.

    Raises:
        UnknownRef, Unavailable: MLflow does not know the run, or does not answer.
        BundleRefused: the run's artifacts are not a bundle/1.
        Damaged: a run has another model than the requested one.
        BadInput: the folder exists.
    """
    if target.exists():
        raise BadInput(f"{visible(str(target), 120)} exists already", "give the path of a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with project.artifacts.fetched(candidate.run_id) as folder:
        # The copy is written from the bytes that are hashed, so a file changed in between cannot slip in.
        bundle = read_bundle(folder, store=target)
    try:
        _check_sha(candidate.run_id, bundle.sha, candidate.sha)
        if bundle.parent_sha is not None and not project.cache.path(bundle.parent_sha).is_dir():
            _fetch_parent(project, candidate.run_id, bundle.parent_sha)
    except SpineError:
        shutil.rmtree(target)
        raise


def _fetch_parent(project: Project, run_id: str, sha: str) -> None:
    """Cache the bundle of a run's parent run. Without a parent run nothing happens: loading the bundle reports it."""
    parent_run = project.artifacts.run(run_id).tags.get("mlflow.parentRunId")
    if parent_run is None:
        return
    with project.artifacts.fetched(parent_run) as folder:
        _check_sha(parent_run, project.cache.add(folder).sha, sha)


def _check_sha(run_id: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise Damaged(
            f"run {visible(run_id, 64)} has the bundle {short(found)}, but {short(wanted)} was requested",
            "correct the request and have it reviewed again, or find out who changed the run",
        )
