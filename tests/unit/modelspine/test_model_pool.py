"""An evaluation by several processes: the same answers however many there are, and an error where one is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelspine.answering import answered
from modelspine.errors import Unavailable
from modelspine.evaluating import Task, run_apart
from modelspine.model_pool import PIECE, ModelPool
from shout_bundles import HERE, ONE, TWO, Bundles

TEXTS = [f"text {n} !size" for n in range(5 * PIECE + 7)]


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundles:
    monkeypatch.syspath_prepend(str(HERE))
    made = Bundles(tmp_path)
    made.add(ONE)
    made.add(TWO)
    return made


def evaluated(bundles: Bundles, texts: list[str], **more: Any) -> list[dict[str, Any]]:
    eval_set = bundles.root / "eval.txt"
    eval_set.write_text("\n".join(texts))
    task = Task(workload="shout", folder=str(bundles.root / ONE), eval_set=str(eval_set), **more)
    return list(run_apart(task, lambda *_: None).reports)


@pytest.mark.long
def test_the_answers_do_not_depend_on_the_number_of_processes(bundles: Bundles) -> None:
    """The output has the size of its batch, as if the model rounded otherwise in another one."""
    several = [evaluated(bundles, TEXTS, runs=2, workers=workers) for workers in (1, 2, 3)]
    outputs = [report["outputs"] for reports in several for report in reports]
    assert outputs == [outputs[0]] * 6
    assert outputs[0][0] == f"1:TEXT 0 {PIECE}"
    assert outputs[0][-1] == f"1:TEXT {5 * PIECE + 6} 7"
    assert all(report["runtime"]["seconds"] > 0 and "itself" not in report for report in several[0])


def test_several_processes_have_a_part(bundles: Bundles) -> None:
    bundles.add(ONE, share=0.002)
    reports = evaluated(bundles, ["!pid"] * len(TEXTS), runs=2, workers=3)
    assert [len(set(report["outputs"])) for report in reports] == [3, 3]
    for report in reports:
        runtime = report["runtime"]
        assert runtime["workers"] == 3
        # 2 ms a text, whichever process answers it; three cannot be busy for longer than three times the run.
        assert 0.002 * len(TEXTS) <= runtime["busy_seconds"] <= 3 * runtime["seconds"]


def test_a_workload_that_loads_its_models_itself_is_asked_to(bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundles.root / "sitecustomize.py").write_text(
        "import shout_workload\ndel shout_workload.Shout.evaluate_model\n"
        "shout_workload.Shout.evaluate = lambda *_: {'itself': True}\n"
    )
    monkeypatch.syspath_prepend(str(bundles.root))
    (report,) = evaluated(bundles, TEXTS, runs=1, workers=2)
    assert report["itself"] is True
    runtime = report["runtime"]
    assert (runtime["busy_seconds"], runtime["workers"]) == (runtime["seconds"], 2), "one of two workers"


def test_several_models_answer_each_text_in_order(bundles: Bundles) -> None:
    folders = [(str(bundles.root / sha), None) for sha in (ONE, TWO)]
    steps: list[tuple[int, int]] = []
    found = answered("shout", folders, TEXTS, lambda *at: steps.append(at), workers=2)
    assert [tuple(reply.output.split()[:2] for reply in replies) for replies in found] == [
        (["1:TEXT", str(n)], ["2:TEXT", str(n)]) for n in range(len(TEXTS))
    ]
    assert {reply.right for replies in found for reply in replies} == {True}
    assert steps[-1] == (len(TEXTS), len(TEXTS))
    assert len(steps) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [("!die", "ended by itself"), ("!fail", "the workload shout failed: RuntimeError: told to fail")],
)
def test_a_process_that_fails_is_an_error_and_none_is_left(bundles: Bundles, text: str, message: str) -> None:
    with ModelPool("shout", 2) as pool:
        pool.load("k", str(bundles.root / ONE), None)
        with pytest.raises(Unavailable, match=message):
            pool.model("k").answer([*TEXTS, text])
    assert all(process._process.returncode is not None for process in pool._processes)


def test_a_bundle_that_cannot_be_loaded_is_an_error(bundles: Bundles) -> None:
    with pytest.raises(Unavailable, match="FileNotFoundError"), ModelPool("shout", 2) as pool:
        pool.load("k", "/nowhere", None)
