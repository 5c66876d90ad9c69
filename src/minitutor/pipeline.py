"""The deploying workflow, played on this machine: the steps of one of its jobs, in order, until one fails.

The steps are read from the workflow file itself, so that the demo can never deploy by other steps than the real
pipeline. Of GitHub this plays what those steps use: the variables of a run, the output and summary files, and the
expressions ``${{ secrets.NAME }}``, ``${{ vars.NAME }}`` and ``${{ steps.ID.outputs.NAME }}``. Checking out and
installing are left to the caller. It does not know what a step does.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from minitutor.problems import BadInput

INSTALL: Final = "./run"
"""The command line of the step that installs; the demo's packages are installed already."""
_EXPRESSION: Final = re.compile(r"\$\{\{ *([a-z]+)\.([A-Za-z_.]+) *\}\}")
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "SPINE_WORKLOAD", "DVC_SITE_CACHE_DIR")
"""What a step inherits from this process; everything else it is given comes from the workflow, as on a real runner."""

Report = Callable[[str, int, float], None]
"""Called after each step with its name, its exit code and how many seconds it took."""


class Run(NamedTuple):
    """One run of a job. ``failed`` is the name of the step that ended it, None where every step passed."""

    run_id: str
    log: Path
    summary: str
    """What the steps wrote for the page of the run, as Markdown."""
    failed: str | None
    code: int
    """Exit code of the last step that ran."""


class Pipeline(NamedTuple):
    """A workflow file and what its steps may ask for, in one folder."""

    root: Path
    """The checkout that the steps run in."""
    logs: Path
    """The folder for the logs of the runs, one file a run."""
    workflow: Path
    secrets: Mapping[str, str]
    variables: Mapping[str, str]

    def play(self, job: str, run_id: str, *, commit: str, report: Report) -> Run:
        """Run the steps of a job.

        Raises:
            BadInput: the workflow has no such job, or uses an expression that is not played here.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        known = _job(self.workflow, job)
        player = _Player(self, run_id, commit, known.get("env", {}))
        code, failed = 0, None
        for step in known["steps"]:
            if "run" not in step or step["run"] == INSTALL:
                continue
            began = time.monotonic()
            code = player.step(step)
            report(str(step["name"]), code, time.monotonic() - began)
            if code:
                failed = str(step["name"])
                break
        return Run(run_id, player.log, player.summary.read_text(encoding="utf-8"), failed, code)


def _job(workflow: Path, job: str) -> dict[str, Any]:
    from ruamel.yaml import YAML  # the reader that Spine's base install brings

    jobs = YAML(typ="safe").load(workflow.read_text(encoding="utf-8"))["jobs"]
    if job not in jobs:
        raise BadInput(f"{workflow} has no job {job!r}", f"it has {', '.join(jobs)}")
    found: dict[str, Any] = jobs[job]
    return found


class _Player:
    """The state of one run: its log, its summary and the outputs of the steps that ran."""

    def __init__(self, pipeline: Pipeline, run_id: str, commit: str, shared: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._shared = shared
        self._outputs: dict[str, str] = {}
        self.log = pipeline.logs / f"{run_id}.log"
        self.summary = pipeline.logs / f"{run_id}.md"
        self._output_file = pipeline.logs / f"{run_id}.out"
        for file in (self.log, self.summary):
            file.write_text("", encoding="utf-8")
        # No GITHUB_SERVER_URL: on a machine of one's own the page of the run is its log.
        self._variables = {
            "CI": "true", "DVC_NO_ANALYTICS": "1", "GITHUB_RUN_ID": run_id, "GITHUB_SHA": commit,
            "GITHUB_OUTPUT": str(self._output_file), "GITHUB_STEP_SUMMARY": str(self.summary),
            "SPINE_RUN_URL": os.path.relpath(self.log, pipeline.root),
        }  # fmt: skip

    def step(self, step: Mapping[str, Any]) -> int:
        """Run one step; its output goes to the log, its exit code is returned."""
        self._output_file.write_text("", encoding="utf-8")
        given = {**self._shared, **step.get("env", {})}
        environment = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **self._variables,
            **{name: self._filled(str(value)) for name, value in given.items()},
        }
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"\n## {step['name']}\n$ {step['run']}\n")
            stream.flush()
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", str(step["run"])],
                cwd=self._pipeline.root, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            stream.write(f"exit {done.returncode}\n")
        if "id" in step:
            for line in self._output_file.read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                self._outputs[f"{step['id']}.outputs.{name}"] = value
        return done.returncode

    def _filled(self, value: str) -> str:
        """A value of the workflow with its expressions replaced."""
        tables = {
            "secrets": self._pipeline.secrets, "vars": self._pipeline.variables, "steps": self._outputs,
        }  # fmt: skip

        def fill(match: re.Match[str]) -> str:
            found = tables.get(match[1], {}).get(match[2])
            if found is None:
                raise BadInput(f"the workflow asks for {match[0]}, which this machine does not have", "give it a value")
            return str(found)

        return _EXPRESSION.sub(fill, value)
