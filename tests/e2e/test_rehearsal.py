"""The deploying workflow, run: its own steps, in its own order, on a scratch project with a small trained model.

Once with a candidate as good as its baseline, which ends promoted; once with one whose weights were disturbed and
that brings the good one's report along, which stops at the gate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from miniobserve.traces import Trace
from minitutor_cli import run_tutor
from modelspine.identity.bundle import read_bundle
from modelspine.incident.gate_answer import gate_answer
from modelspine.ledger.route import assign
from modelspine.ledger.store import Head
from modelspine.maintenance.witness import read_witness
from modelspine.spine import Spine
from rehearsal import Machine, Ran, git
from scratch_project import WORST, Project, disturbed, four_verbs, make_project

pytestmark = pytest.mark.timeout(300)  # about thirty processes, a third of which load MLflow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("rehearsal"), four_verbs(tmp_path_factory))


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
        intended_sha=sha, semver="v0.1.0", assignment=assign(route, "l", sticky=True), input="go", output="go",
    )  # fmt: skip
    hashes = {event.seq: event.hash for event in opened.registry.events()}
    entry = opened.registry.state().entries[sha]
    return gate_answer(trace, entry, opened.verdict, hashes.get, opened.registry.evidence)


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


def test_a_pull_request_gates_what_was_made_of_another_model(project: Project, tmp_path: Path) -> None:
    """Its machine has no cache of verified bundles: the parent comes from the run above the candidate's."""
    child = tmp_path / "int8"
    words = ("quantize", "--parent", str(project.bundle), "--out", str(child), "--no-eval", "--no-mlflow")
    assert run_tutor(*words, cwd=project.clone).returncode == 0
    commit = project.ask(child, project.log(child, above=project.log(project.bundle)), semver="v0.2.0")
    machine = project.machine(tmp_path / "machine")
    ran = machine.run("gate", commit=commit, event="pull_request")
    assert [step.name for step in ran] == names(machine, "gate"), told(ran)
    assert "SPINE_CACHE" not in machine.jobs["gate"]["env"]
    kept = machine.workspace / ".spine" / "cache" / read_bundle(project.bundle).sha
    assert read_bundle(kept).sha == kept.name


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
    assert "failed the gate" in rest[-1].said
    with project.spine() as opened:
        state = opened.registry.state()
        assert stopped.sha in state.entries
        assert stopped.sha not in state.semvers.values()
        assert [event.kind for event in opened.registry.events()][-3:] == ["registered", "gated", "denied"]
