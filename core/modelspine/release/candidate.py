"""The request to deploy a model: ``candidate.toml``, a small committed file that people review.

It names the bytes by their canonical SHA; the run is only where to get them. What a run holds is hashed on
the way in, and another model than the reviewed one goes no further.
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


class Candidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be deployed, as what, and why. Every value is one line of plain text."""

    run_id: str
    """The MLflow run that logged the bundle."""
    sha: str
    """The canonical SHA of the bundle."""
    semver: str
    reason: str


def read_candidate(file: Path) -> Candidate:
    """Read a request strictly.

    Raises:
        BadInput: there is none, or a value is not what it has to be.
    """
    name = visible(str(file), 120)
    try:
        made = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Candidate)
    except FileNotFoundError as error:
        raise BadInput(f"there is no request at {name}", "write one with run_id, sha, semver and reason") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadInput(
            f"{name} cannot be used: {visible(str(error), 160)}", "it has run_id, sha, semver and reason, as text"
        ) from error
    if _RUN.fullmatch(made.run_id) is None or made.run_id.startswith("-"):
        raise BadInput(f"{name} has the run_id {visible(made.run_id, 60)!r}, which is none", "give an MLflow run's id")
    if _SHA.fullmatch(made.sha) is None:
        raise BadInput(f"{name} has the sha {visible(made.sha, 60)!r}, which is none", "give what `spine sha` prints")
    check_semver(made.semver)
    check_reason(made.reason)
    if visible(made.reason, _LONGEST) != made.reason:
        raise BadInput(f"{name}'s reason is not one plain line", f"write at most {_LONGEST} visible characters")
    return made


def fetch(project: Project, candidate: Candidate, target: Path) -> None:
    """Put the bundle that the run logged into a new folder, where it is the one that was asked for.

    The parent it is loaded with goes into the cache, where it is not there and its run is known.

    Raises:
        UnknownRef, Unavailable: MLflow does not know the run, or does not answer.
        BundleRefused: what it logged is no bundle/1.
        Damaged: a run holds another model than the one asked for.
        BadInput: the folder exists.
    """
    if target.exists():
        raise BadInput(f"{visible(str(target), 120)} is there already", "name a folder that is not")
    target.parent.mkdir(parents=True, exist_ok=True)
    with project.artifacts.fetched(candidate.run_id) as folder:
        bundle = read_bundle(folder, store=target)  # what is kept is what was hashed
    try:
        _check(candidate.run_id, bundle.sha, candidate.sha)
        if bundle.parent_sha is not None and not project.cache.path(bundle.parent_sha).is_dir():
            _fetch_parent(project, candidate.run_id, bundle.parent_sha)
    except SpineError:
        shutil.rmtree(target)
        raise


def _fetch_parent(project: Project, run_id: str, sha: str) -> None:
    """Keep the bundle of a run's parent run, as far as MLflow knows one; whoever needs it says that it is not here."""
    above = project.artifacts.run(run_id).tags.get("mlflow.parentRunId")
    if above is None:
        return
    with project.artifacts.fetched(above) as folder:
        _check(above, project.cache.add(folder).sha, sha)


def _check(run_id: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise Damaged(
            f"run {visible(run_id, 64)} holds {short(found)}, and {short(wanted)} was asked for",
            "correct the request and have it reviewed again, or find out who wrote into the run",
        )
