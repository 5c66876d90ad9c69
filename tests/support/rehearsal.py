"""A workflow runner for tests: really runs a workflow's steps in order, in a clone of a bare remote.

It simulates GitHub's variables, output and summary files, the checkout action and the expressions that the workflow
uses. An action or expression it does not know fails the test. Shell lines are not simulated but executed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_EXPRESSION = re.compile(r"\$\{\{ *([a-z]+)\.([A-Za-z_.]+) *\}\}")
_LATER = time.time() + 86_400


class Ran(NamedTuple):
    """One step that ran."""

    name: str
    code: int
    said: str


class Machine:
    """A runner with a workspace of its own, on which one workflow runs."""

    def __init__(
        self, workflow: Path, folder: Path, remote: Path, *, secrets: dict[str, str], variables: dict[str, str]
    ):
        self.jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
        self.folder = folder
        self._remote = remote
        self._known = {"secrets": secrets, "vars": variables}
        self.summary = folder / "summary.md"
        self.run_id = "8841"

    def run(self, job: str, *, commit: str, event: str = "push") -> list[Ran]:
        """Run a job's steps in a new workspace until one fails; returns the steps that ran, in order."""
        self.workspace = self.folder / job
        self.workspace.mkdir(parents=True)
        self.summary.write_text("")
        self._outputs: dict[str, str] = {}
        ran: list[Ran] = []
        for step in self.jobs[job]["steps"]:
            ran.append(self._step(step, self.jobs[job], commit, event))
            if ran[-1].code:
                break
        return ran

    def heedless(self, job: str, ran: list[Ran], *, commit: str) -> list[Ran]:
        """Run the remaining steps in spite of failures, as a workflow that ignores failures would."""
        return [self._step(step, self.jobs[job], commit, "push") for step in self.jobs[job]["steps"][len(ran) :]]

    def _step(self, step: dict[str, Any], job: dict[str, Any], commit: str, event: str) -> Ran:
        return self._uses(step, commit) if "uses" in step else self._line(step, job, commit, event)

    def _uses(self, step: dict[str, Any], commit: str) -> Ran:
        action, given = step["uses"].split("@")[0], step.get("with", {})
        if action == "actions/setup-python":
            return Ran(step["name"], 0, "this interpreter")
        assert action == "actions/checkout", f"the rehearsal does not know {action}"
        target = self.workspace / given.get("path", ".")
        wanted = given.get("ref", commit)
        said = git("clone", "--quiet", "--no-checkout", str(self._remote), str(target), cwd=self.folder)
        said += git("checkout", "--quiet", wanted, cwd=target)
        if target == self.workspace:
            self._installed()
        return Ran(step["name"], 0, said)

    def _installed(self) -> None:
        """What `./run` finds where everything was installed before: these very packages."""
        programs = self.workspace / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name in ("spine", "python"):
            (programs / name).symlink_to(Path(sys.executable).with_name(name))
        just = shutil.which("just", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert just is not None
        (programs / "just").symlink_to(just)
        packages = subprocess.run(
            "cat requirements.lock tests/s3.lock run | cksum", shell=True, cwd=self.workspace, capture_output=True
        )
        (programs.parent / ".packages").write_bytes(packages.stdout)
        (programs.parent / ".project").touch()
        os.utime(programs.parent / ".project", (_LATER, _LATER))

    def _line(self, step: dict[str, Any], job: dict[str, Any], commit: str, event: str) -> Ran:
        output, script = self.folder / "output", self.folder / "line.sh"
        output.write_text("")
        script.write_text(step["run"])
        given = {**job.get("env", {}), **step.get("env", {})}
        environment = {
            **self._github(commit, event), "GITHUB_OUTPUT": str(output),
            **{name: self._filled(str(value)) for name, value in given.items()},
        }  # fmt: skip
        words = ["bash", "-e", str(script)]
        done = subprocess.run(words, cwd=self.workspace, env=environment, capture_output=True, text=True)
        if "id" in step:
            lines = output.read_text().splitlines()
            self._outputs.update(
                {f"{step['id']}.outputs.{line.partition('=')[0]}": line.partition("=")[2] for line in lines}
            )
        return Ran(step["name"], done.returncode, done.stdout + done.stderr)

    def _github(self, commit: str, event: str) -> dict[str, str]:
        """The whole environment of a step but its own variables; nothing of this process is handed on."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "CI": "true", "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder / "dvc-site"), "OMP_NUM_THREADS": "1",
            "GITHUB_SERVER_URL": "https://github.example.org", "GITHUB_REPOSITORY": "modelspine/tutor",
            "GITHUB_RUN_ID": self.run_id, "GITHUB_SHA": commit, "GITHUB_EVENT_NAME": event,
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }  # fmt: skip

    def _filled(self, value: str) -> str:
        def fill(match: re.Match[str]) -> str:
            table = {**self._known, "steps": self._outputs}.get(match[1])
            assert table is not None, f"the rehearsal does not know {match[0]}"
            assert match[2] in table, f"{match[0]} is not set"
            return table[match[2]]

        filled = _EXPRESSION.sub(fill, value)
        assert "${{" not in filled, f"the rehearsal does not know {filled}"
        return filled


def git(*words: str, cwd: Path) -> str:
    """Run git with a test identity and return its output."""
    somebody = ["-c", "user.name=author", "-c", "user.email=author@example.org"]
    done = subprocess.run(["git", *somebody, *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout
