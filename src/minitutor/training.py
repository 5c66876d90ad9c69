"""Carries out the training command: from a corpus file to a logged MLflow run and a bundle directory.

It combines the other modules and makes no decisions about models. Torch is imported here, after pinning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from minitutor import bundles, corpus, pins
from minitutor.corpus import Row
from minitutor.problems import BadInput
from minitutor.profiles import Profile
from minitutor.progress import progress
from minitutor.runlog import RunLog, logged
from minitutor.tokenizer import Codec, learn
from minitutor.word_shapes import shaped

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors", "mlflow")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The input and output of a training."""

    root: Path
    """The checkout that paths in manifests are relative to."""
    home: Path
    """The folder of MLflow's database and artifacts."""
    corpus: Path
    eval_set: Path | None
    out: Path
    seed: int
    profile: Profile
    mlflow: bool


def run(job: Job) -> dict[str, Any]:
    """Train, evaluate, log and write a bundle; returns what the command prints with ``--json``."""
    data = read_corpus(job.corpus)
    rows = rows_of(job.corpus, data)
    described = corpus.manifest(relative(job.corpus, job.root), data, rows)
    training = _manifest(job, described)
    with bundles.staged(job.out) as folder:
        log = logged(job.home, job.out.name, _tags(training), _params(training)) if job.mlflow else nullcontext()
        with log as run_log:
            summary = _train(job, rows, training, described, folder, run_log)
    return summary


def _train(
    job: Job, rows: Sequence[Row], training: dict[str, Any], described: dict[str, Any], folder: Path, log: RunLog | None
) -> dict[str, Any]:
    from minitutor.train import train

    tokenizer = learn([shaped(text) for row in rows for text in (row.text, row.correction)], job.profile.vocab_size)
    with progress("training") as advance:
        trained = train(rows, Codec.of(tokenizer), seed=str(job.seed), profile=job.profile, advance=advance)
    bundles.write_model(folder, trained.shape, trained.tensors, tokenizer)
    training["mlflow_run_id"] = log.run_id if log else None
    bundles.write_json(folder / "train_manifest.json", training)
    bundles.write_json(folder / "corpus_manifest.json", described)
    report = evaluated(folder, None, job.eval_set)
    if log:
        log.curve(trained.curve)
        log.text(curve_svg([loss for _, loss, _ in trained.curve]), "loss_curve.svg")
        if report:
            log.metrics(figures(report), job.profile.steps)
        log.files(folder, "bundle")
    return {
        "run_id": training["mlflow_run_id"],
        "bundle": str(job.out),
        "seed": str(job.seed),
        "weights_sha256": sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "loss": trained.curve[-1][1],
        "total": report["total"] if report else None,
        "false_accept": report["false_accept"] if report else None,
    }


def evaluated(folder: Path, parent: Path | None, eval_set: Path | None) -> dict[str, Any] | None:
    """Evaluate a bundle and write the report into it; returns None without an eval set."""
    if eval_set is None:
        return None
    from minitutor.workload import Minitutor

    with progress("evaluating") as advance:
        report = Minitutor().evaluate(folder, parent, eval_set, advance)
    report["entry_sha"] = bundles.entry_sha(folder)
    bundles.write_json(folder / "eval_report.json", report)
    return report


def _manifest(job: Job, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": "minitutor.train/1",
        "parent_sha": None,
        "corpora": [{name: described[name] for name in ("path", "dvc_hash", "sha256", "rows")}],
        "code": pins.code_version(job.root),
        "seed": str(job.seed),
        "hyper_parameters": msgspec.to_builtins(job.profile),
        "environment": {name: os.environ.get(name, "") for name in sorted(pins.TRAINING)},
        "mlflow_run_id": None,
        "versions": pins.versions(*PACKAGES),
    }


def _tags(training: dict[str, Any]) -> dict[str, str]:
    code, first = training["code"], training["corpora"][0]
    return {
        "workload": "minitutor",
        "variant": "fp32",
        "git_sha": code["git_sha"] or "",
        "dirty": str(code["dirty"]).lower(),
        "corpus_dvc_hash": first["dvc_hash"],
        "corpus_path": first["path"],
        "mlflow.source.git.commit": code["git_sha"] or "",
    }


def _params(training: dict[str, Any]) -> dict[str, str]:
    own = {"seed": training["seed"], "corpus_dvc_hash": training["corpora"][0]["dvc_hash"]}
    versions = {f"version.{name}": value for name, value in training["versions"].items()}
    return {**own, **{name: str(value) for name, value in training["hyper_parameters"].items()}, **versions}


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of a report by which runs are compared in MLflow."""
    accepted = report["false_accept"]
    figures = {"conjugation_accuracy": report["views"]["conjugation_accuracy"]}
    if accepted["n"]:
        figures["false_accept"] = accepted["k"] / accepted["n"]
    for name, count in report["buckets"].items():
        figures[f"accuracy/{name}"] = count["k"] / count["n"]
    return figures


def curve_svg(losses: Sequence[float]) -> str:
    """Draw a loss curve as a small SVG with a logarithmic axis that ends at the lowest loss."""
    from math import log10

    width, height = 640, 240
    marks = [log10(max(loss, 1e-6)) for loss in losses]
    low, high = min(marks), max(marks)
    points = " ".join(
        f"{width * n / max(1, len(marks) - 1):.1f},{height * (high - mark) / ((high - low) or 1):.1f}"
        for n, mark in enumerate(marks)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-50 -20 {width + 70} {height + 50}" font-size="12">'
        f'<polyline fill="none" stroke="#2a6" stroke-width="1.5" points="{points}"/>'
        f'<text x="-48" y="4">{10**high:.2g}</text><text x="-48" y="{height}">{10**low:.2g}</text>'
        f'<text x="0" y="{height + 18}">loss over {len(losses)} steps</text></svg>\n'
    )


def read_corpus(path: Path) -> bytes:
    """Return the bytes of a corpus file; raises BadInput if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"the corpus {path} cannot be read: {error.strerror}", "create it: `python -m minitutor corpus`"
        ) from error


def rows_of(path: Path, data: bytes) -> list[Row]:
    """Decode the rows of a corpus file; raises BadInput if it is invalid or empty."""
    try:
        rows = corpus.decode(data)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path} is not a corpus: {error}", "create it: `python -m minitutor corpus`") from error
    if not rows:
        raise BadInput(f"{path} contains no rows", "create it: `python -m minitutor corpus`")
    return rows


def relative(path: Path, root: Path) -> str:
    """Return a path as manifests record it: relative to the checkout if it is inside."""
    full = path.resolve()
    return full.relative_to(root.resolve()).as_posix() if full.is_relative_to(root.resolve()) else full.name
