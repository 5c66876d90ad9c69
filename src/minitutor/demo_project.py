"""The demo's own project: a clone of this checkout with a remote, a signing key and a ledger that is prod.

It stands in a folder that git ignores, so that the checkout and its history stay as they were and no private key
stands in a repository. It is made whole or not at all. It does not know which models are deployed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from minitutor.pipeline import Pipeline, Report, Run
from minitutor.problems import BadInput, Unavailable

WORKFLOW: Final = Path(".github/workflows/deploy-grammar-tutor.yml")
REPORT: Final = Path(".spine/report.json")
"""What the workflow's last run evaluated."""
_REMOTE: Final = Path(".spine/remote.git")
_WITNESS: Final = Path(".spine/witness")
_KEY: Final = Path(".spine/keys/demo-ci.pem")
_PROGRAMS: Final = ("spine", "just", "python")
_RATE_PER_HOUR: Final = 0.05
_TOMORROW: Final = 86_400


def make(source: Path, folder: Path) -> None:
    """Make the project in a new folder.

    Raises:
        BadInput: the source is no git repository with a commit.
        Unavailable: a command that makes it failed, with what it said.
    """
    if not _git(source, "rev-parse", "--verify", "--quiet", "HEAD", check=False):
        raise BadInput(
            f"{source.resolve()} is not a git repository with a commit, and the demo works in a clone of one",
            "run it in a clone of the project: git clone URL; cd modelspine; ./run demo",
        )
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    _git(source, "clone", "--quiet", str(source.resolve()), str(making.resolve()))
    _identity(making, "Spine demo")
    _git(making, "switch", "--quiet", "-C", "main")
    if _git(making, "rev-parse", "--is-shallow-repository").strip() == "true":
        # Git refuses to push a history that is cut off, so the demo has one that begins here.
        first = _git(making, "commit-tree", "HEAD^{tree}", "-m", "The project, without its history").strip()
        _git(making, "reset", "--quiet", "--hard", first)
    _settings(making)
    _spine(making, "keys", "new", "--name", "demo-ci", "--out", str(_KEY))
    _git(making, "add", "-A")
    _git(making, "commit", "--quiet", "--message", "Trust the key of the demo's CI, and say what its machine costs")
    _share(making)
    _witness(making)
    _programs(making)
    _spine(making, "init", "--env", "prod")
    making.rename(folder)


def _settings(root: Path) -> None:
    """What an hour of the demo's machine costs, and whose models these are, unless the checkout says so itself.

    A price has no default, and the workload has none once a second one is installed beside the tutor.
    """
    settings = root / "spine.toml"
    if not settings.exists():
        text = f'workload = "minitutor"\nrate_per_hour = {_RATE_PER_HOUR}  # USD\n'
        settings.write_text(text, encoding="utf-8")


def _identity(root: Path, name: str) -> None:
    """Who commits in a repository; the user's own identity and signing key have no part in a demo."""
    for setting, value in (("user.name", name), ("user.email", "demo@example.org"), ("commit.gpgsign", "false")):
        _git(root, "config", setting, value)


def _share(root: Path) -> None:
    """The bare repository that commits are pushed to; its address is relative, so that the folder can be moved."""
    _git(root, "init", "--quiet", "--bare", "--initial-branch=main", str(_REMOTE))
    _git(root, "remote", "set-url", "origin", f"./{_REMOTE}")
    _git(root, "push", "--quiet", "--set-upstream", "origin", "main")


def _witness(root: Path) -> None:
    """The branch that the ledger's heads are committed to, as the workflow's notes say it is made once."""
    _git(root, "clone", "--quiet", str(_REMOTE), str(_WITNESS))
    clone = root / _WITNESS
    _identity(clone, "ledger witness")
    _git(clone, "switch", "--quiet", "--orphan", "witness")
    (clone / "ledger.txt").write_text("", encoding="utf-8")
    _git(clone, "add", "ledger.txt")
    _git(clone, "commit", "--quiet", "--message", "Begin")
    _git(clone, "push", "--quiet", "--set-upstream", "origin", "witness")
    _git(clone, "remote", "set-url", "origin", f"../{_REMOTE.name}")


def _programs(root: Path) -> None:
    """What the workflow's step `install` leaves behind: here the programs that run this demo, installed already."""
    folder = root / ".venv" / "bin"
    folder.mkdir(parents=True)
    own = Path(sys.executable).parent
    for name in _PROGRAMS:
        found = own / name if (own / name).exists() else shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    files = [root / name for name in ("requirements.lock", "tests/s3.lock", "run")]
    if all(file.is_file() for file in files):
        # `./run` installs anew where these say that something changed, or a source is newer than `.project`.
        content = b"".join(file.read_bytes() for file in files)
        summed = subprocess.run(["cksum"], input=content, capture_output=True, check=True)
        (root / ".venv" / ".packages").write_bytes(summed.stdout)
    project = root / ".venv" / ".project"
    project.touch()
    later = time.time() + _TOMORROW
    os.utime(project, (later, later))


def ask(root: Path, request: Mapping[str, str]) -> str:
    """Commit and push ``candidate.toml``, the request to deploy a model; returns the commit.

    The same request again, after an interruption, is the commit that is there.
    """
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in request.items()]
    (root / "candidate.toml").write_text("".join(lines), encoding="utf-8")
    _git(root, "add", "candidate.toml")
    if _git(root, "status", "--porcelain", "candidate.toml"):
        _git(root, "commit", "--quiet", "--message", f"Ask to deploy {request['semver']}")
    return push(root)


def push(root: Path) -> str:
    """Push what is committed; returns the commit."""
    _git(root, "push", "--quiet", "origin", "HEAD:main")
    return _git(root, "rev-parse", "HEAD").strip()


def deploy(root: Path, run_id: str, *, commit: str, report: Report) -> Run:
    """Play the workflow's jobs that promote a merged candidate and witness the ledger; the run that ended them."""
    for name in ("candidate", "report.json", "verdict.json"):  # what the run before left; a real runner starts empty
        place = root / ".spine" / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    pipeline = _pipeline(root)
    done = pipeline.play("promote", run_id, commit=commit, report=report)
    if done.failed is None:
        witnessed = witness(root, f"{run_id}-witness", commit=commit, report=report)
        return done if witnessed.failed is None else witnessed
    return done


def witness(root: Path, run_id: str, *, commit: str, report: Report) -> Run:
    """Play the job that commits the ledger's newest head to the branch of the witness."""
    return _pipeline(root).play("witness", run_id, commit=commit, report=report)


def witnessed(root: Path) -> int:
    """The seq of the newest head on the branch of the witness, as the remote has it; 0 where there is none."""
    lines = _git(root / _REMOTE, "show", "witness:ledger.txt", check=False).split()
    seq = lines[-1].partition(":")[0] if lines else ""
    return int(seq) if seq.isdigit() else 0


def _pipeline(root: Path) -> Pipeline:
    home = root.resolve() / ".spine"
    secrets = {
        "SPINE_LEDGER": f"sqlite:///{home / 'ledger.db'}",
        "SPINE_MLFLOW": f"sqlite:///{home / 'mlflow.db'}",
        "SPINE_DVC_REMOTE": str(home / "dvc-remote"),
        "SPINE_SIGNING_KEY": (root / _KEY).read_text(encoding="ascii"),
    }
    return Pipeline(
        root=root, logs=root / ".spine" / "runs", workflow=root / WORKFLOW, secrets=secrets,
        variables={"SPINE_CACHE": str(home / "cache")},
    )  # fmt: skip


def _git(root: Path, *words: str, check: bool = True) -> str:
    return _run(root, ["git", *words], check=check)


def _spine(root: Path, *words: str) -> str:
    return _run(root, [str(Path(sys.executable).with_name("spine")), *words], check=True)


def _run(root: Path, command: list[str], *, check: bool) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode and check:
        said = (done.stderr or done.stdout).strip().splitlines()
        what = f"{Path(command[0]).name} {command[1]} failed: {said[0] if said else f'exit {done.returncode}'}"
        raise Unavailable(what, said[1].strip() if len(said) > 1 else "the message is that command's own")
    return done.stdout if done.returncode == 0 else ""
