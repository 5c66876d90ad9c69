"""The demo's player of the deploy workflow: the file's own steps, in order, until one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from minitutor.pipeline import Pipeline, Run
from minitutor.problems import BadInput

WORKFLOW = """
jobs:
  promote:
    env:
      SHARED: ${{ vars.PLACE }}
    steps:
      - name: check out
        uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
      - name: install
        run: ./run
      - name: read
        id: read
        run: echo "sha=abc" >> "$GITHUB_OUTPUT"
      - name: use
        run: test "$SHA" = abc && test "$SHARED" = here && echo "## told" >> "$GITHUB_STEP_SUMMARY"
        env:
          SHA: ${{ steps.read.outputs.sha }}
      - name: hide
        run: test ${#KEY} = 7 && test -z "$STRANGER" && echo "$SPINE_RUN_URL"
        env:
          KEY: ${{ secrets.KEY }}
      - name: fail
        run: exit 3
      - name: never
        run: touch never
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "deploy.yml").write_text(WORKFLOW)
    return Pipeline(
        root=tmp_path, logs=tmp_path / "runs", workflow=tmp_path / "deploy.yml", secrets={"KEY": "openses"},
        variables={"PLACE": "here"},
    )  # fmt: skip


def play(pipeline: Pipeline) -> tuple[Run, list[tuple[str, int]]]:
    seen: list[tuple[str, int]] = []
    run = pipeline.play("promote", "101", commit="c" * 40, report=lambda name, code, _: seen.append((name, code)))
    return run, seen


def test_steps_run_in_order_with_outputs_secrets_and_variables(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGER", "of this process")
    run, seen = play(pipeline)
    assert seen == [("read", 0), ("use", 0), ("hide", 0), ("fail", 3)]
    assert (run.failed, run.code, run.summary) == ("fail", 3, "## told\n")
    assert not (pipeline.root / "never").exists()


def test_the_log_has_every_step_and_no_secret(pipeline: Pipeline) -> None:
    run, _ = play(pipeline)
    log = run.log.read_text()
    assert [line for line in log.splitlines() if line.startswith("## ")] == ["## read", "## use", "## hide", "## fail"]
    assert "runs/101.log" in log, "a step can name its own log"
    assert "exit 3" in log
    assert "openses" not in log


def test_what_the_workflow_asks_for_and_nobody_gives_is_an_error(pipeline: Pipeline) -> None:
    with pytest.raises(BadInput, match=r"asks for \$\{\{ secrets.KEY \}\}"):
        play(pipeline._replace(secrets={}))
    with pytest.raises(BadInput, match="no job 'gate'"):
        pipeline.play("gate", "1", commit="c", report=lambda *_: None)
