"""The deploying workflow, run: its own steps, in its own order, on a scratch project with a small trained model.

Once with a candidate as good as its baseline, which ends promoted; once with one whose weights were disturbed and
that brings the good one's report along, which stops at the gate.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.artifacts import Artifacts
from core.baseline import baseline_bytes, baseline_of
from core.bundle import read_bundle
from core.gateanswer import gate_answer
from core.ledger import Head
from core.report import read_report
from core.settings import load
from core.spine import Spine, create_ledger
from core.traffic import assign
from core.verify import read_witness
from miniobserve.traces import Trace
from minitutor import corpus
from minitutor_cli import run_tutor
from rehearsal import Machine, Ran, git

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "deploy-grammar-tutor.yml"
VERBS = {"eat", "play", "write", "want"}
WORST = "tense/past_participle"
pytestmark = pytest.mark.timeout(300)  # about thirty processes, a third of which load MLflow


class Project(NamedTuple):
    """What everybody shares: the remote repository, and the stores behind their URLs."""

    folder: Path
    clone: Path
    """The author's clone; its commits are pushed by ``ask``."""
    remote: Path
    bundle: Path
    """The good candidate."""
    secrets: dict[str, str]
    settings: dict[str, str]

    def log(self, bundle: Path) -> str:
        """Log a bundle into a run of the shared MLflow store."""
        stores = self.folder / "mlflow"
        url = self.secrets["SPINE_MLFLOW"]
        return Artifacts(url, stores / "mlartifacts", self.folder / "tmp").put(
            bundle, experiment="tutor", name=bundle.name, tags={}
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
        """The production ledger, as somebody with its URL sees it."""
        return Spine(load(self.clone, environ=self.settings), readonly=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("rehearsal")
    clone, remote = folder / "author", folder / "remote.git"
    clone.mkdir()
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\n"):
        if name and not name.startswith(("docs/", "data/")) and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    shutil.copy(ROOT / "data" / ".gitignore", (clone / "data").mkdir() or clone / "data")
    git("init", "--quiet", "--initial-branch=main", cwd=clone)
    store(clone, folder / "dvc")
    bundle = train(clone, folder)
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


def store(clone: Path, dvc: Path) -> None:
    """A training corpus and an eval set of four verbs; the latter under DVC, its bytes in the remote alone."""
    for design, step in ((corpus.V2, 1), (corpus.EVAL, 2)):
        rows = [row for row in corpus.rows(design) if row.verb in VERBS][::step]
        (clone / design.path).write_bytes(corpus.canonical(rows))
    raw = (clone / corpus.EVAL.path).read_bytes()
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    pointer = f"outs:\n- md5: {md5}\n  size: {len(raw)}\n  hash: md5\n  path: {Path(corpus.EVAL.path).name}\n"
    (clone / f"{corpus.EVAL.path}.dvc").write_text(pointer)
    kept = dvc / "files" / "md5" / md5[:2] / md5[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(raw)


def train(clone: Path, folder: Path) -> Path:
    words = ("train", "--profile", "tiny", "--steps", "300", "--corpus", corpus.V2.path, "--no-mlflow", "--json")
    done = run_tutor(*words, "--out", str(folder / "good"), cwd=clone)
    assert done.returncode == 0, done.stderr
    return folder / "good"


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


def told(ran: list[Ran]) -> str:
    return "\n".join(f"[{step.code}] {step.name}\n{step.said}" for step in ran)


def names(machine: Machine, job: str) -> list[str]:
    return [step["name"] for step in machine.jobs[job]["steps"]]


class Stopped(NamedTuple):
    """What the two jobs did with the disturbed candidate."""

    sha: str
    commit: str
    machines: dict[str, Machine]
    ran: dict[str, list[Ran]]
    before: Head
    after: Head


@pytest.fixture(scope="module")
def stopped(project: Project) -> Stopped:
    bad = disturbed(project.bundle, project.folder, project.clone)
    commit = project.ask(bad, project.log(bad), semver="v0.0.9")
    with project.spine() as opened:
        before = opened.ledger.head()
    machines = {job: project.machine(project.folder / f"stopped-{job}") for job in ("gate", "promote")}
    machines["promote"].run_id = "8840"
    with ThreadPoolExecutor() as pool:
        events = ("pull_request", "push")
        done = list(pool.map(lambda job, event: machines[job].run(job, commit=commit, event=event), machines, events))
    with project.spine() as opened:
        after = opened.ledger.head()
    ran = dict(zip(machines, done, strict=True))
    return Stopped(read_bundle(bad).sha, commit, machines, ran, before, after)


@pytest.mark.parametrize("job", ["gate", "promote"])
def test_a_disturbed_candidate_stops_at_the_gate(stopped: Stopped, job: str) -> None:
    machine, ran = stopped.machines[job], stopped.ran[job]
    assert (ran[-1].name, ran[-1].code) == ("gate", 1), told(ran)
    assert [step.name for step in ran] == names(machine, job)[: len(ran)]
    summary = machine.summary.read_text()
    assert "Gate: fail" in summary
    assert f"| ✖ | `{WORST}` |" in summary
    assert not (machine.workspace / ".spine" / "verdict.json").exists()
    said = next(step.said for step in ran if step.name == "evaluate in full, twice")
    assert "registered     differs" in said, "it brought the good one's report"
    assert stopped.after == stopped.before, "the ledger did not move"


def test_a_good_candidate_ends_promoted_signed_and_witnessed(project: Project, tmp_path: Path) -> None:
    sha = read_bundle(project.bundle).sha
    commit = project.ask(project.bundle, project.log(project.bundle), semver="v0.1.0")
    machine = project.machine(tmp_path / "machine")
    ran = machine.run("promote", commit=commit)
    assert [(step.name, step.code) for step in ran] == [(name, 0) for name in names(machine, "promote")], told(ran)
    assert "Gate: pass" in machine.summary.read_text()
    assert project.secrets["SPINE_SIGNING_KEY"] not in told(ran)
    with project.spine() as opened:
        state = opened.registry.state()
        assert (state.semvers, state.production) == ({"v0.1.0": sha}, sha)
        assert [event.kind for event in opened.registry.events()] == [
            "opened",
            "registered",
            "gated",
            "promoted",
            "routed",
        ]
        seventh = answer_seven(opened, sha)
        gated, promoted = opened.registry.events()[2:4]
        signed = opened.verdict(str(promoted.body["verdict"]["digest"])).statement.predicate
        assert signed.candidate.sha256 == gated.body["report"], "what was signed is what was found here"
        fresh = json.loads(opened.ledger.get(str(gated.body["report"])))
        assert (fresh["entry_sha"], fresh["code"]) == (sha, {"git_sha": commit, "dirty": False})
    assert seventh.status == "verified"
    assert seventh.evidence["run"]["url"] == "https://github.example.org/modelspine/tutor/actions/runs/8841"
    assert (seventh.evidence["run"]["id"], seventh.evidence["run"]["code"]) == ("8841", commit)
    assert seventh.evidence["ledger_head"] == {"seq": gated.seq, "hash": gated.hash}
    assert seventh.evidence["key"]["name"] == "ci-rehearsal"
    check_witness(project, machine, commit)


def answer_seven(opened: Spine, sha: str) -> Any:
    """Answer 7 of an incident walk, for a request that was answered after the deployment."""
    route = opened.registry.route()
    assert route is not None
    trace = Trace(
        request_id="req-rehearsed-1", trace_id="0" * 32, span_id="0" * 16, started_ns=1, entry_sha=sha,
        intended_sha=sha, semver="v0.1.0", assignment=assign(route, "l", sticky=True), sentence="go", correction="go",
    )  # fmt: skip
    return gate_answer(trace, opened.registry.state().entries[sha], opened.verdict)


def check_witness(project: Project, machine: Machine, commit: str) -> None:
    """The last job commits the ledger's head; a ledger that is another one afterwards is found by it."""
    ran = machine.run("witness", commit=commit)
    assert [step.code for step in ran] == [0] * len(names(machine, "witness")), told(ran)
    with project.spine() as opened:
        head = opened.ledger.head()
    kept = project.folder / "kept.txt"
    kept.write_text(git("show", "witness:ledger.txt", cwd=project.remote))
    assert read_witness(kept) == [head]
    kept.write_text(f"{head.seq}:{'0' * 64}\n")
    program = str(Path(sys.executable).with_name("spine"))
    words = [program, "verify", "--witness", str(kept)]
    found = subprocess.run(
        words, cwd=project.clone, capture_output=True, text=True, env={**os.environ, **project.settings}
    )
    assert found.returncode == 5
    assert "the chain was rewritten" in found.stdout


def test_a_machine_that_cannot_reach_a_store_stops_first(project: Project, tmp_path: Path) -> None:
    commit = git("rev-parse", "HEAD", cwd=project.clone).strip()
    machine = project.machine(tmp_path / "machine")
    machine._known["secrets"] = {**project.secrets, "SPINE_LEDGER": f"sqlite:///{tmp_path / 'gone.db'}"}
    ran = machine.run("promote", commit=commit)
    assert (ran[-1].name, ran[-1].code) == ("reach the ledger, MLflow and DVC", 3), told(ran)


def test_a_workflow_that_passes_failures_over_still_promotes_nothing(project: Project, stopped: Stopped) -> None:
    """The gate's exit code is the first fence; behind it promoting looks at the verdict itself."""
    machine = stopped.machines["promote"]
    rest = machine.heedless("promote", stopped.ran["promote"], commit=stopped.commit)
    assert [step.code for step in rest] == [0, 1, 1], told(rest)
    assert "the gate refused" in rest[-1].said
    with project.spine() as opened:
        state = opened.registry.state()
        assert stopped.sha in state.entries
        assert stopped.sha not in state.semvers.values()
        assert [event.kind for event in opened.registry.events()][-3:] == ["registered", "gated", "denied"]
