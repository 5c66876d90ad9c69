"""A small project that deploys by the workflow: four verbs, a small model trained on them, every store by URL."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from minitutor import corpus
from minitutor_cli import run_tutor
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.identity.bundle import read_bundle
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger
from rehearsal import Machine, git
from session_folder import session_folder

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "deploy-grammar-tutor.yml"
VERBS = {"eat", "play", "write", "want"}
WORST = "tense/past_participle"


class Project(NamedTuple):
    """The shared parts: the remote repository, and the stores behind their URLs."""

    folder: Path
    clone: Path
    """The author's clone; its commits are pushed by ``ask``."""
    remote: Path
    bundle: Path
    """The good candidate."""
    secrets: dict[str, str]
    settings: dict[str, str]

    def log(self, bundle: Path, above: str | None = None) -> str:
        """Log a bundle into a run of the shared MLflow store, below another run where it was made of its bundle."""
        stores = self.folder / "mlflow"
        url = self.secrets["SPINE_MLFLOW"]
        return Artifacts(url, stores / "mlartifacts", self.folder / "tmp").put(
            bundle, experiment="tutor", name=bundle.name, tags={"mlflow.parentRunId": above} if above else {}
        )

    def ask(self, bundle: Path, run_id: str, *, semver: str) -> str:
        """Commit and push the request to deploy a bundle; returns the commit."""
        sha = read_bundle(bundle).sha
        request = {"run_id": run_id, "sha": sha, "semver": semver, "reason": "it scores what the baseline says"}
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in request.items()]
        (self.clone / "candidate.toml").write_text("".join(lines))
        git("add", "candidate.toml", cwd=self.clone)
        git("commit", "--quiet", "-m", f"Deploy {semver}", cwd=self.clone)
        git("push", "--quiet", "origin", "HEAD:main", cwd=self.clone)
        return git("rev-parse", "HEAD", cwd=self.clone).strip()

    def machine(self, folder: Path) -> Machine:
        folder.mkdir(exist_ok=True)
        public = {name: self.secrets[name] for name in ("SPINE_MLFLOW", "SPINE_DVC_REMOTE")}
        variables = {**public, "SPINE_CACHE": str(self.folder / "cache")}
        return Machine(WORKFLOW, folder, self.remote, secrets=self.secrets, variables=variables)

    def spine(self) -> Spine:
        """Open the production ledger by its URL."""
        return Spine(load(self.clone, environ=self.settings), readonly=True)


def four_verbs(factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and an eval set of four verbs, and ``good``, a small model trained on them for seconds.

    It knows those verbs well enough to have answers that can be spoiled. Made once a session.
    """
    return session_folder(factory, "four-verbs", _train_on_four_verbs)


def _train_on_four_verbs(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "data").mkdir()
    for design, step in ((corpus.V2, 1), (corpus.EVAL, 2)):
        rows = [row for row in corpus.rows(design) if row.verb in VERBS][::step]
        (folder / design.path).write_bytes(corpus.canonical(rows))
    words = ("train", "--profile", "tiny", "--steps", "300", "--corpus", corpus.V2.path, "--no-mlflow", "--json")
    done = run_tutor(*words, "--out", "good", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "printed.json").write_text(done.stdout)


def make_project(folder: Path, four: Path) -> Project:
    """Make it: a bare remote, a prod ledger, a key, a baseline of the good candidate, the branch of the witness."""
    clone, remote = folder / "author", folder / "remote.git"
    clone.mkdir()
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\n"):
        if name and not name.startswith(("docs/", "data/")) and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    shutil.copy(ROOT / "data" / ".gitignore", (clone / "data").mkdir() or clone / "data")
    git("init", "--quiet", "--initial-branch=main", cwd=clone)
    store(clone, four, folder / "dvc")
    bundle = Path(shutil.copytree(four / "good", folder / "good"))
    secrets = {
        "SPINE_LEDGER": f"sqlite:///{folder / 'prod' / 'ledger.db'}",
        "SPINE_MLFLOW": f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}",
        "SPINE_DVC_REMOTE": str(folder / "dvc"),
    }
    settings = {"SPINE_ROOT": str(clone), "SPINE_CACHE": str(folder / "cache"), **secrets}
    create_ledger(load(clone, environ={**settings, "SPINE_HOME": str(folder / "prod")}), "prod")
    spine(clone, "keys", "new", "--name", "ci-rehearsal", "--out", str(folder / "ci.pem"))
    secrets["SPINE_SIGNING_KEY"] = (folder / "ci.pem").read_text()
    report = read_report((bundle / "eval_report.json").read_bytes())
    made = baseline_of(report, reason="a small tutor", approved_in="the rehearsal", entry_sha=read_bundle(bundle).sha)
    (clone / "eval_baseline.json").write_bytes(baseline_bytes(made))
    git("add", "-A", cwd=clone)
    git("commit", "--quiet", "-m", "A project", cwd=clone)
    git("init", "--quiet", "--bare", "--initial-branch=main", str(remote), cwd=folder)
    git("remote", "add", "origin", str(remote), cwd=clone)
    git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
    witness(folder, remote)
    return Project(folder, clone, remote, bundle, secrets, settings)


def store(clone: Path, four: Path, dvc: Path) -> None:
    """The corpus and the eval set of four verbs; the latter under DVC too, its bytes in the remote."""
    for design in (corpus.V2, corpus.EVAL):
        shutil.copy(four / design.path, clone / design.path)
    raw = (clone / corpus.EVAL.path).read_bytes()
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- md5: {md5}\n  size: {len(raw)}\n  hash: md5\n  path: {Path(corpus.EVAL.path).name}\n"
    (clone / f"{corpus.EVAL.path}.dvc").write_text(pointer)
    kept = dvc / "files" / "md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(raw)


def disturbed(good: Path, folder: Path, clone: Path) -> Path:
    """The good model with its weights shaken until it has lost 5 % of its participles; it claims the good report."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from minitutor.workload import Minitutor

    report = json.loads((good / "eval_report.json").read_text())
    report.pop("entry_sha", None)
    tensors = load_file(good / "model.safetensors")
    draw = np.random.default_rng(11)
    noise = {name: draw.standard_normal(each.shape).astype(each.dtype) * each.std() for name, each in tensors.items()}
    for strength in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
        out = folder / f"disturbed-{strength}"
        shutil.copytree(good, out)
        (out / "eval_report.json").write_text(json.dumps(report))
        save_file({name: each + strength * noise[name] for name, each in tensors.items()}, out / "model.safetensors")
        found = Minitutor().evaluate(out, None, clone / corpus.EVAL.path, lambda *_: None)
        lost = report["buckets"][WORST]["k"] - found["buckets"][WORST]["k"]
        if lost >= 0.05 * report["buckets"][WORST]["n"]:
            return out
    raise AssertionError("no disturbance spoiled it")


def witness(folder: Path, remote: Path) -> None:
    """The branch that the ledger's heads are committed to, as it is made once."""
    clone = folder / "witness"
    git("clone", "--quiet", str(remote), str(clone), cwd=folder)
    git("switch", "--quiet", "--orphan", "witness", cwd=clone)
    (clone / "ledger.txt").write_text("")
    git("add", "ledger.txt", cwd=clone)
    git("commit", "--quiet", "-m", "Begin", cwd=clone)
    git("push", "--quiet", "origin", "witness", cwd=clone)


def spine(cwd: Path, *words: str) -> str:
    program = str(Path(sys.executable).with_name("spine"))
    done = subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return done.stdout
