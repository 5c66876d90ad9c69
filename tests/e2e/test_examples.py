"""The examples, each by its one command, and docs/ADOPT.md followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # on two cores with other tests

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
ADOPT = (ROOT / "docs" / "ADOPT.md").read_text(encoding="utf-8")
MINUTES = 15


def environ(**more: str) -> dict[str, str]:
    """The environment of a shell in which the project is installed; no proxy or hub could be asked."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPINE_", "MLFLOW_"))}
    who = {f"GIT_{role}_{what}": "a@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, **who, "PATH": path, "SPINE_QUIET": "1", "DVC_NO_ANALYTICS": "1", **more}


def example(name: str, *words: str) -> str:
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / name / "run.py"), *words]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def walk_of(said: str) -> dict[int, str]:
    """The eight answers of the last walk that was printed."""
    walk = said.rpartition("$ spine incident")[2]
    return {int(number): answer for number, answer in re.findall(r"^ *([1-8]) (\w+ +. \w+ .*)$", walk, re.MULTILINE)}


def test_intents_are_walked_by_the_spans_of_a_server_that_is_not_ours(tmp_path: Path) -> None:
    said = example("intents", str(tmp_path / "project"))
    answers = walk_of(said)
    assert re.match(r"model +. recorded .* v0\.1\.0 .*told by the server", answers[1])
    assert re.match(r"corpus +. verified +data/corpus\.jsonl .* 162 rows", answers[3])
    assert "2 of 162 rows contain the label “cancel_order”" in answers[4]
    assert answers[4].endswith("data/corpus.jsonl has 40")
    assert "label/cancel_order 0/20" in answers[5]
    assert re.match(r"arm +. verified +stable", answers[6])
    assert re.search(r"v0\.2\.0 \w+ scored 20/20 on label/cancel_order and passes the gate", answers[8])
    assert "suggestion  spine route single v0.2.0" in said
    assert "it should be “cancel_order”" in said


def test_a_tabular_batch_is_walked_from_a_wrong_prediction(tmp_path: Path) -> None:
    said = example("tabular", str(tmp_path / "project"))
    assert "200 of 200 rows matched a request: 200 stored" in said
    assert re.search(r"temperature_c +. act", said)
    assert re.search(r"distance_km +. stable", said)
    answers = walk_of(said)
    assert re.match(r"inputs +. verified .* act, n 200, worst weather", answers[2])
    assert "of 1,500 rows contain the label “late”; 0 have the same carrier, weather" in answers[4]
    assert "weather/snow" in answers[5]
    assert re.search(r"v0\.2\.0 \w+ scored .* on label/late and passes the gate", answers[8])
    assert "suggestion  spine route single v0.2.0" in said


def test_adopting_leads_from_an_mlflow_project_to_a_walk(tmp_path: Path) -> None:
    """Runs the blocks in their order, in one shell, and looks for each line that the page expects after a block."""
    project = tmp_path / "deliveries"
    example("tabular", "--project-only", str(project))
    assert not (project / "spine.toml").exists()
    found = re.findall(r"^```(sh)?\n(.*?)^```$", ADOPT, re.DOTALL | re.MULTILINE)
    steps: list[tuple[str, str]] = []
    for kind, text in found[1:]:  # the first one makes the project
        steps = [*steps, (text, "")] if kind else [*steps[:-1], (steps[-1][0], text)]
    mark = "== end of step =="
    script = "".join(f"{text}\necho '{mark}'\n" for text, _ in steps)
    began = time.monotonic()
    shell = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(shell, cwd=project, env=environ(), capture_output=True, text=True, timeout=300, check=False)
    seconds = time.monotonic() - began
    print(f"docs/ADOPT.md: its commands took {seconds:.1f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(mark)
    for (text, expected), said in zip(steps, printed, strict=False):
        for line in expected.splitlines():
            pattern = r".*".join(re.escape(part.strip()) for part in line.split("…"))
            assert re.search(pattern, said), (text, line, said)
    assert len(steps) == len(printed) - 1 == 7
    assert seconds < MINUTES * 60
    assert sum(map(int, re.findall(r"^\| \d \| .* \| (\d+) \|$", ADOPT, re.MULTILINE))) == MINUTES
