"""Makes a variant of a parent bundle: quantize, finetune and regress.

A recipe computes the variant's tensors. Everything else is shared: evaluation, the MLflow run, which names the
parent's run, and writing the bundle. This module does not know what a recipe computes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from minitutor import bundles, pins
from minitutor.parents import Parent
from minitutor.runlog import RunLog, logged
from minitutor.training import PACKAGES, curve_svg, evaluated, figures


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a recipe."""

    config: Any
    tensors: Mapping[str, Any]
    tokenizer: str | None
    """None if the bundle uses its parent's tokenizer."""
    curve: Sequence[tuple[int, float, float]] = ()
    notes: Mapping[str, Any] = {}
    """Figures to log, such as the strength a search ended at."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a variant is made, with what its run and manifest record."""

    variant: str
    seed: int | None
    corpora: Sequence[Mapping[str, Any]]
    """The corpora its weights come from: a new one, or its parent's."""
    described: Mapping[str, Any] | None
    """The corpus manifest to put into the bundle."""
    settings: Mapping[str, Any]
    make: Callable[[Parent], Made]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The input and output of making a variant."""

    root: Path
    home: Path
    parent: Parent
    out: Path
    eval_set: Path | None
    mlflow: bool


def run(job: Job, recipe: Recipe) -> dict[str, Any]:
    """Make, evaluate, log and write a variant; returns what the command prints with ``--json``."""
    manifest = _manifest(job, recipe)
    with bundles.staged(job.out) as folder:
        tags, params = _tags(job, recipe, manifest), _params(recipe, manifest)
        with logged(job.home, job.out.name, tags, params) if job.mlflow else nullcontext() as log:
            return _made(job, recipe, manifest, folder, log)


def _made(job: Job, recipe: Recipe, manifest: dict[str, Any], folder: Path, log: RunLog | None) -> dict[str, Any]:
    began = perf_counter()
    made = recipe.make(job.parent)
    seconds = perf_counter() - began
    bundles.write_model(folder, made.config, made.tensors, made.tokenizer)
    manifest["mlflow_run_id"] = log.run_id if log else None
    bundles.write_json(folder / "train_manifest.json", manifest)
    if recipe.described is not None:
        bundles.write_json(folder / "corpus_manifest.json", recipe.described)
    report = evaluated(folder, job.parent.folder, job.eval_set)
    if log:
        if made.curve:
            log.curve(made.curve)
            log.text(curve_svg([loss for _, loss, _ in made.curve]), "loss_curve.svg")
        size = {"bytes": float(_size(folder)), "parent_bytes": float(_size(job.parent.folder))}
        log.metrics({**size, **(figures(report) if report else {})}, len(made.curve))
        log.files(folder, "bundle")
    return {
        "run_id": manifest["mlflow_run_id"],
        "sha": report["entry_sha"] if report else bundles.entry_sha(folder),
        "bundle": str(job.out),
        "variant": recipe.variant,
        "parent_sha": job.parent.sha,
        "weights_sha256": sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "bytes": _size(folder),
        "parent_bytes": _size(job.parent.folder),
        "seconds": round(seconds, 2),
        "total": report["total"] if report else None,
        "false_accept": report["false_accept"] if report else None,
        **made.notes,
    }


def _size(folder: Path) -> int:
    """Return the size of a bundle's tensors in bytes."""
    return (folder / "model.safetensors").stat().st_size


def _manifest(job: Job, recipe: Recipe) -> dict[str, Any]:
    return {
        "schema": "minitutor.train/1",
        "parent_sha": job.parent.sha,
        "parent_run_id": job.parent.run_id,
        "corpora": list(recipe.corpora),
        "code": pins.code_version(job.root),
        "seed": str(recipe.seed) if recipe.seed is not None else None,
        "hyper_parameters": dict(recipe.settings),
        "environment": {name: os.environ.get(name, "") for name in sorted(pins.TRAINING)},
        "mlflow_run_id": None,
        "versions": pins.versions(*PACKAGES),
    }


def _tags(job: Job, recipe: Recipe, manifest: dict[str, Any]) -> dict[str, str]:
    code = manifest["code"]
    tags = {
        "workload": "minitutor",
        "variant": recipe.variant,
        "git_sha": code["git_sha"] or "",
        "dirty": str(code["dirty"]).lower(),
        "parent_sha": job.parent.sha,
        "mlflow.source.git.commit": code["git_sha"] or "",
    }
    if job.parent.run_id is not None:
        tags |= {"parent_run_id": job.parent.run_id, "mlflow.parentRunId": job.parent.run_id}
    for corpus in recipe.corpora[:1]:
        tags |= {"corpus_dvc_hash": str(corpus["dvc_hash"]), "corpus_path": str(corpus["path"])}
    return tags


def _params(recipe: Recipe, manifest: dict[str, Any]) -> dict[str, str]:
    own = {name: str(value) for name, value in recipe.settings.items()}
    if recipe.seed is not None:
        own["seed"] = str(recipe.seed)
    return {**own, **{f"version.{name}": value for name, value in manifest["versions"].items()}}
