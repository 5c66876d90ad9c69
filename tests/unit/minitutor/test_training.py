"""Training and evaluation by the commands a person types."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minitutor.profiles import TINY
from minitutor_cli import run_tutor
from modelspine.gate.eval_report import EvalReport

pytestmark = pytest.mark.slow


def test_twice_the_same_bytes(small_data: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "again"
    done = run_tutor(
        "train", "--profile", "tiny", "--no-mlflow", "--no-eval", "--json", "--out", str(out), cwd=small_data
    )
    assert done.returncode == 0, done.stderr
    for name in ("model.safetensors", "config.json", "tokenizer.json", "corpus_manifest.json"):
        assert (out / name).read_bytes() == (Path(tiny["bundle"]) / name).read_bytes()
    assert json.loads(done.stdout)["weights_sha256"] == tiny["weights_sha256"]


def test_the_manifests_say_where_it_came_from(tiny: dict[str, Any], small_data: Path) -> None:
    bundle = Path(tiny["bundle"])
    manifest = json.loads((bundle / "train_manifest.json").read_text())
    data = (small_data / "data/train_v1.jsonl").read_bytes()
    described = json.loads((bundle / "corpus_manifest.json").read_text())
    assert manifest["parent_sha"] is None
    assert manifest["seed"] == tiny["seed"]
    assert manifest["corpora"] == [{name: described[name] for name in ("path", "dvc_hash", "sha256", "rows")}]
    assert described["path"] == "data/train_v1.jsonl"
    assert described["rows"] == data.count(b"\n")
    assert set(manifest["code"]) == {"git_sha", "dirty"}
    assert manifest["versions"]["torch"].startswith("2.")
    assert json.loads((bundle / "config.json").read_text())["workload"] == "minitutor"
    assert b"__metadata__" not in (bundle / "model.safetensors").read_bytes()[:4096]


def test_the_report_is_one_and_repeats(tiny: dict[str, Any], small_data: Path) -> None:
    first = json.loads((Path(tiny["bundle"]) / "eval_report.json").read_text())
    done = run_tutor("evaluate", tiny["bundle"], "--json", cwd=small_data)
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert first["answers_sha256"] == second["answers_sha256"]
    assert first["buckets"] == second["buckets"]
    report = msgspec.convert(second, EvalReport)
    assert report.total.n == 273
    assert report.total.n - report.total.k == len(report.failed)
    for axis in ("verb", "tense", "person", "error"):
        counts = [count for name, count in report.buckets.items() if name.startswith(f"{axis}/")]
        assert sum(count.n for count in counts) == report.total.n
        assert sum(count.k for count in counts) == report.total.k
    assert report.false_accept is not None
    assert report.false_accept.n == report.total.n - report.buckets["error/none"].n
    assert set(report.views["conjugation_accuracy_by_verb"]) == {
        name.removeprefix("verb/") for name in report.buckets if name.startswith("verb/")
    }


def runs(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What MLflow's database says."""
    path = home / "mlflow.db"
    if not path.is_file():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # the schema is still being made


def test_the_run_is_in_mlflow(tiny: dict[str, Any]) -> None:
    home, bundle = Path(tiny["home"]), Path(tiny["bundle"])
    run_id = tiny["run_id"]
    mine = f"run_uuid = '{run_id}'"  # other tests of this store add runs of their own
    assert json.loads((bundle / "train_manifest.json").read_text())["mlflow_run_id"] == run_id
    described = json.loads((bundle / "corpus_manifest.json").read_text())
    assert (run_id, "FINISHED") in runs(home, "select run_uuid, status from runs")
    assert runs(home, f"select step from metrics where key = 'loss' and {mine} order by step") == [
        (n,) for n in range(1, TINY.steps + 1)
    ]
    params = dict(runs(home, f"select key, value from params where {mine}"))
    assert params["seed"] == tiny["seed"]
    assert params["corpus_dvc_hash"] == described["dvc_hash"]
    tags = dict(runs(home, f"select key, value from tags where {mine}"))
    assert tags["dirty"] in {"true", "false"}
    assert "git_sha" in tags
    figures = {name for (name,) in runs(home, f"select distinct key from metrics where {mine}")}
    assert {"loss", "learning_rate", "conjugation_accuracy", "false_accept", "accuracy/verb/go"} <= figures
    logged = home / "mlartifacts" / run_id / "artifacts"
    for file in bundle.iterdir():
        assert (logged / "bundle" / file.name).read_bytes() == file.read_bytes()
    assert (logged / "loss_curve.svg").read_text().startswith("<svg")


def test_an_interrupt_leaves_nothing_half_written(small_data: Path, tmp_path: Path, mlflow_database: Path) -> None:
    out, home = tmp_path / "models" / "out", tmp_path / "home"
    home.mkdir()
    shutil.copy(mlflow_database, home / "mlflow.db")
    words = ("train", "--steps", "100000", "--profile", "tiny", "--no-eval", "--home", str(home), "--out", str(out))
    process = subprocess.Popen(
        [sys.executable, "-m", "minitutor", *words],
        cwd=small_data,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SPINE_QUIET": "1"},
    )
    deadline = time.monotonic() + 90
    while runs(home, "select status from runs") != [("RUNNING",)]:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    assert len(list(out.parent.glob(".out.*"))) == 1
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 2
    assert list(out.parent.iterdir()) == []
    assert runs(home, "select status from runs") == [("KILLED",)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("train", "--corpus", "none.jsonl", "--no-eval", "--no-mlflow", "--out", "x"), 2),
        (("train", "--corpus", "bad.jsonl", "--no-eval", "--no-mlflow", "--out", "x"), 2),
        (("train", "--out", ".", "--no-mlflow", "--no-eval"), 2),
        (("train", "--steps", "0", "--no-eval"), 2),
        (("train", "--eval-set", "none.jsonl"), 2),
        (("evaluate", "nowhere"), 2),
        (("replay", "--url", "ftp://x"), 2),
        (("replay", "--url", "http://127.0.0.1:9"), 3),
        (("replay", "--n", "0"), 2),
    ],
)
def test_bad_input_is_two_lines_and_an_exit_code(small_data: Path, words: tuple[str, ...], code: int) -> None:
    (small_data / "bad.jsonl").write_text('{"id": 1}\n')
    done = run_tutor(*words, cwd=small_data)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 2, done.stderr
    assert "Traceback" not in done.stderr
