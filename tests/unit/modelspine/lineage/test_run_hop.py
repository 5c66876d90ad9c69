"""The hop to the training run: what the manifest says of it, and what MLflow's record adds or contradicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from modelspine.lineage.walker import Hop
from modelspine.registry.mlflow_runs import Run
from modelspine.spine import Spine

Make = Callable[..., Path]


def hop(spine: Spine, folder: Path, monkeypatch: pytest.MonkeyPatch, manifest: dict[str, Any], **logged: Any) -> Hop:
    """The run's hop of an entry with this manifest, checked against a run that logged this."""
    file = folder / "train_manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | manifest))
    sha = spine.registry.register(folder, run_id="run-2").sha
    record = {"params": {}, "tags": {}, **logged}
    run = Run(run_id="run-2", experiment_id="1", status="FINISHED", metrics={}, artifact_uri="", **record)
    monkeypatch.setattr(spine.artifacts, "run", lambda _: run)
    return next(each for each in spine.lineage(sha, verify=True).hops if each.kind == "run")


def test_a_checked_run_has_mlflows_parameters_beside_the_manifests(
    spine: Spine, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = {"hyper_parameters": {"steps": 600}, "parent_run_id": "run-1"}
    logged = {"params": {"steps": "600", "seed": "1"}, "tags": {"parent_run_id": "run-1"}}
    found = hop(spine, make_bundle(1), monkeypatch, manifest, **logged)
    assert found.status == "verified"
    assert found.evidence["hyper_parameters"] == {"steps": 600}
    assert found.evidence["params"] == {"steps": "600", "seed": "1"}
    assert found.evidence["parent_run_id"] == "run-1"


def test_mlflow_stands_in_for_what_the_manifest_lacks(
    spine: Spine, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = {"params": {"steps": "600"}, "tags": {"parent_run_id": "run-1"}}
    found = hop(spine, make_bundle(1), monkeypatch, {}, **logged)
    assert found.evidence["hyper_parameters"] == {"steps": "600"}
    assert found.evidence["parent_run_id"] == "run-1"


def test_another_parents_run_is_a_mismatch(spine: Spine, make_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = {"parent_run_id": "run-1"}
    found = hop(spine, make_bundle(1), monkeypatch, manifest, tags={"parent_run_id": "run-9"})
    assert found.status == "mismatch"
    assert found.evidence["why"] == "the parent's run is run-9 in MLflow but run-1 in the manifest"


@pytest.mark.parametrize("wrong", ["steps", 7, [1], None])
def test_a_manifest_whose_hyper_parameters_are_no_object_has_none(
    spine: Spine, make_bundle: Make, monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    found = hop(spine, make_bundle(1), monkeypatch, {"hyper_parameters": wrong})
    assert found.evidence["hyper_parameters"] == {}


def test_an_eval_set_that_dvc_does_not_track_is_known_by_its_sha256(
    spine: Spine, project: Path, make_bundle: Make
) -> None:
    rows = b'{"id": 1}\n'
    named = {"path": "eval.jsonl", "dvc_hash": "d" * 32, "sha256": hashlib.sha256(rows).hexdigest(), "n": 100}
    outside = {**named, "path": "../eval.jsonl"}
    for number, eval_set in enumerate((named, outside), 1):
        folder = make_bundle(number)
        (folder / "eval_report.json").write_text(json.dumps(eval_report(90, 100, eval_set=eval_set)))
        sha = spine.registry.register(folder).sha

        def status(sha: str = sha) -> str:
            return next(each for each in spine.lineage(sha, verify=True).hops if each.kind == "eval_set").status

        found = []
        for raw in (None, rows, rows + b"{}"):
            if raw is not None:
                (project / eval_set["path"]).write_bytes(raw)
            found.append(status())
        assert found == ["missing", "verified" if eval_set is named else "missing", "missing"]
