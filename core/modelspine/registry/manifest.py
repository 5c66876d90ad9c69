"""The training manifest of a bundle that comes without one, or with an incomplete one: made of what is known otherwise.

Facts come from the command line and from the bundle's MLflow run. What the bundle's own manifest says is never
replaced; a fact that contradicts it is an error. The module does not know where runs or corpora are looked up.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, BundleRefused
from modelspine.identity.bundle_files import LIMITS, TRAINING
from modelspine.identity.untrusted_files import opened_file
from modelspine.registry.mlflow_runs import Run
from modelspine.text import visible

_REPORT = "eval_report.json"
_MAX_PARAMETERS = 500
_LONGEST_PARAMETER = 1000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about a bundle beside its files; empty or None where nothing is said."""

    corpora: tuple[dict[str, Any], ...] = ()
    """As a manifest has them: ``path``, ``dvc_hash`` and, where the bytes were read, ``sha256`` and ``rows``."""
    parent_sha: str | None = None
    """The canonical SHA of the entry it was made from, which is part of its identity."""
    seed: str | None = None
    report: bytes | None = None
    """An evaluation report, ``spine.eval/1``."""


NO_FACTS = Facts()


def evidence_with(folder: Path, facts: Facts, run: Run | None, *, follow: bool = False) -> dict[str, bytes]:
    """The evidence files of a bundle that differ from its own once the facts are added; empty where none does.

    A run's parameters and tags only count for a bundle without a manifest, because whoever wrote one knew them.

    Raises:
        BadInput: a fact contradicts the bundle's own evidence.
        BundleRefused: the bundle's own evidence cannot be read.
    """
    evidence: dict[str, bytes] = {}
    own = _own(folder, TRAINING, follow)
    before = _object(own) if own is not None else from_run(run) if run is not None else {}
    after = merged(before, facts)
    if after and (own is None or after != before):
        evidence[TRAINING] = json.dumps(after, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    if facts.report is not None:
        report = _own(folder, _REPORT, follow)
        if report is not None and report != facts.report:
            raise BadInput(
                f"the bundle has its own {_REPORT}, and --eval gives another report",
                "leave --eval out, or compare the report at the gate: `spine gate REF --report F`",
            )
        evidence[_REPORT] = facts.report
    for name, text in evidence.items():
        if len(text) > LIMITS[name]:
            raise BadInput(f"{name} would take {len(text):,} bytes, the limit is {LIMITS[name]:,}", "shorten it")
    return evidence


def merged(manifest: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """A manifest with the facts that it lacks.

    Raises:
        BadInput: it has one of them already, and says something else.
    """
    given = {"corpora": list(facts.corpora), "parent_sha": facts.parent_sha, "seed": facts.seed}
    after = dict(manifest)
    for name, value in given.items():
        if not value:
            continue
        had = manifest.get(name)
        same = str(had) == value if name == "seed" else _places(had) == _places(value)
        if had not in (None, "", []) and not same:
            raise BadInput(
                f"{name} is {visible(str(had), 80)} by the bundle's {TRAINING} or its run, and "
                f"{visible(str(value), 80)} was given",
                "leave it out, or correct it there: what a bundle or its run says is never replaced",
            )
        if had in (None, "", []):
            after[name] = value
    return after


def from_run(run: Run) -> dict[str, Any]:
    """What a run's parameters and tags say, as a manifest; without what it does not say."""
    commit = run.tags.get("mlflow.source.git.commit", "")
    shown = sorted(run.params.items())[:_MAX_PARAMETERS]
    facts = {
        "mlflow_run_id": run.run_id,
        "seed": run.params.get("seed") or run.tags.get("seed"),
        "hyper_parameters": {name: value[:_LONGEST_PARAMETER] for name, value in shown},
        "code": {"git_sha": commit} if _COMMIT.fullmatch(commit) else None,
        "parent_run_id": run.tags.get("parent_run_id") or run.tags.get("mlflow.parentRunId"),
    }
    return {name: value for name, value in facts.items() if value}


def _places(value: Any) -> Any:
    """Corpora by path and hash: a manifest may say more about them than is known here."""
    if not isinstance(value, list):
        return value
    return sorted(str((each.get("path"), each.get("dvc_hash"))) if isinstance(each, dict) else "" for each in value)


def _own(folder: Path, name: str, follow: bool) -> bytes | None:
    """The bytes of an evidence file of the bundle; None where it has none."""
    path = folder / name
    if not path.exists():
        return None
    with opened_file(path.resolve() if follow else path) as source:
        if source.size > LIMITS[name]:
            raise BundleRefused(f"{name} takes {source.size:,} bytes, over the limit of {LIMITS[name]:,}", "shorten it")
        return source.read(0, source.size)


def _object(text: bytes) -> dict[str, Any]:
    value = parse_json(text, what=TRAINING, error=BundleRefused)
    if not isinstance(value, dict):
        raise BundleRefused(f"{TRAINING} is not an object", "write it as an object")
    return value
