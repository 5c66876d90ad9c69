"""The demo's project is made from any checkout, and a request can be asked again after an interruption."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from minitutor import demo, demo_project, week
from minitutor.facts import Facts
from minitutor.steps import Background, StepFailed

REQUEST = {"run_id": "1", "sha": "a" * 64, "semver": "v0.1.0", "reason": "the first model"}


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two commits."""
    root = tmp_path / "checkout"
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    for number in range(2):
        (root / "file.txt").write_text(str(number))
        git(root, "add", "-A")
        git(root, "commit", "-qm", f"commit {number}")
    return root


def test_the_same_request_again_is_the_same_commit(checkout: Path, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    demo_project.make(checkout, demo)
    first = demo_project.ask(demo, REQUEST)
    assert demo_project.ask(demo, REQUEST) == first
    assert demo_project.ask(demo, {**REQUEST, "semver": "v0.2.0"}) != first
    assert git(demo / ".spine" / "remote.git", "rev-parse", "main") == git(demo, "rev-parse", "HEAD")


def test_it_is_made_from_a_shallow_clone(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", "shallow")
    demo = tmp_path / "demo"
    demo_project.make(tmp_path / "shallow", demo)
    assert (demo / "file.txt").read_text() == "1"
    said = git(demo, "show", "HEAD:spine.toml")
    assert "\nrate_per_hour = 0.05" in said, "the demo's machine has a price"
    assert said.startswith('workload = "minitutor"\n'), "a second workload may be installed beside the tutor"
    assert git(demo / ".spine" / "remote.git", "rev-parse", "main") == git(demo, "rev-parse", "HEAD")


def test_it_is_made_where_every_commit_is_signed(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = /bin/false\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        demo_project.make(checkout, tmp_path / "demo")
    assert (tmp_path / "demo" / ".spine" / "ledger.db").is_file()


WORKFLOW = """
jobs:
  promote:
    steps:
      - name: promote
        run: "true"
  witness:
    steps:
      - name: commit the head
        run: |
          test -f .spine/reachable
          echo "7:$(printf %064d 0)" >> .spine/witness/ledger.txt
          git -C .spine/witness commit --quiet --all --message head
          git -C .spine/witness push --quiet origin HEAD:witness
"""


def test_a_promotion_whose_witness_failed_is_witnessed_on_the_next_run(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = checkout / demo_project.WORKFLOW
    workflow.parent.mkdir(parents=True)
    workflow.write_text(WORKFLOW)
    (checkout / ".gitignore").write_text(".spine/\n.venv/\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "a workflow")
    root = tmp_path / "demo"
    demo_project.make(checkout, root)
    monkeypatch.chdir(root)
    done = demo_project.deploy(Path(), "101", commit=git(root, "rev-parse", "HEAD"), report=lambda *_: None)
    assert (done.run_id, done.failed) == ("101-witness", "commit the head")
    promoted = {"seq": 6, "kind": "promoted", "body": {"semver": demo.BASE.semver, "sha": "a" * 64}}
    monkeypatch.setattr(demo, "facts", lambda: Facts(events=[promoted]))
    with pytest.raises(StepFailed):
        demo._deployed(demo.BASE)
    assert demo_project.witnessed(Path()) == 0
    (root / ".spine" / "reachable").touch()
    assert demo._deployed(demo.BASE) == "a" * 64
    assert demo_project.witnessed(Path()) == 7
    logs = sorted(log.name for log in (root / ".spine" / "runs").glob("*.log"))
    assert logs == ["101-witness.log", "101.log", "102.log", "103.log"]
    assert demo._deployed(demo.BASE) == "a" * 64
    assert len(list((root / ".spine" / "runs").glob("*.log"))) == 4, "what is witnessed is not witnessed again"
    monkeypatch.setattr(Facts, "finished", True)
    monkeypatch.setattr(demo, "_end", lambda **_: 0)
    for places in (root / ".spine" / "remote.git", root / ".spine" / "witness"):
        git(places, "update-ref", "refs/heads/witness", git(places, "rev-parse", "witness~1"))
    git(root / ".spine" / "witness", "reset", "--quiet", "--hard")
    assert demo_project.witnessed(Path()) == 0
    for _ in range(2):
        assert demo._story(Background(), headless=True, sizes=week.QUICK) == 0
        assert demo_project.witnessed(Path()) == 7, "a finished demo is repaired too"
        assert len(list((root / ".spine" / "runs").glob("*.log"))) == 5
