"""``spine drift report`` over numbers: of inputs, of answers, and the vectors that a service tells with a request."""

from __future__ import annotations

import random
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelspine
from bundles import write_bundle
from cli_world import run, track
from modelspine.process_recorder import close_all
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

Capture = pytest.CaptureFixture[str]
TABLE = """\
service = "tickets"

[workload]
kind = "classifier"
input = "body"
label = "queue"

[workload.features]
lang = {}
amount = { kind = "number" }

[workload.embedding]
column = "vector"
axes = 2
"""
USUAL, AGAIN, DEARER, ELSEWHERE = (f"2026-05-0{number}" for number in (4, 5, 6, 8))
N = 400


def rows(n: int, seed: str, *, dearer: float = 0, elsewhere: float = 0) -> list[dict[str, Any]]:
    """Tickets of two kinds in turn, each with the vector of its kind; one of a hundred has no amount."""
    draw, spread = random.Random(seed), np.random.default_rng(len(seed) + n).normal(size=(n, 6))
    spread[0::2, 0] += 5
    spread[1::2, 1] += elsewhere
    return [
        {
            "body": f"ticket {number}", "lang": draw.choice(("de", "en")), "queue": ("refund", "spam")[number % 2],
            "amount": None if number % 100 == 0 else round(draw.lognormvariate(dearer, 1), 2),
            "vector": [round(float(each), 4) for each in spread[number]],
        }
        for number in range(n)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days as trained on, one with higher amounts and higher scores, one on which a kind has moved."""
    root = tmp_path_factory.mktemp("numbers") / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "spine.toml").write_text(TABLE)
    create_ledger(load(root, environ={}), "dev")
    (root / "data").mkdir()
    corpus = track(root, "v1", rows(1_200, "corpus"))
    with open_spine(root) as spine:
        sha = spine.registry.register(write_bundle(root / "made", 1, corpora=[corpus])).sha
        spine.registry.promote(sha, "v0.1.0", reason="the first")
    for day, moved in ((USUAL, {}), (AGAIN, {}), (DEARER, {"dearer": 0.6}), (ELSEWHERE, {"elsewhere": 4.0})):
        began, draw = datetime.fromisoformat(f"{day}T08:00:00+00:00"), random.Random(day)
        for number, row in enumerate(rows(N, day, **moved)):
            label = row.pop("queue")
            at, name = began + timedelta(seconds=number), f"req-{day}-{number:04d}"
            with modelspine.request(row, unit=f"u{number}", at=at, request_id=name, root=root) as r:
                sure = draw.random() ** (0.5 if day == DEARER else 1)
                r.output(label, score=sure, classes={"refund": sure, "spam": 1 - sure})
    close_all()
    return root


def statuses(capsys: Capture, root: Path, *words: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A report, and the status of each of its features."""
    found = run(capsys, "drift", "report", *words, "--json", root=root).json
    return found, {name: each["status"] for name, each in found["features"].items()}


@pytest.mark.long
def test_a_number_a_cluster_or_nothing_drifted(root: Path, capsys: Capture) -> None:
    told = {"score", "classes.refund", "classes.spam"}
    drifted = {}
    for day in (USUAL, AGAIN, DEARER, ELSEWHERE):
        report, found = statuses(capsys, root, "--day", day)
        assert {name for name, status in found.items() if status == "insufficient"} == told
        drifted[day] = report["status"], {name for name, status in found.items() if status in ("watch", "act")}
    assert drifted[USUAL] == drifted[AGAIN] == ("stable", set())
    assert drifted[DEARER] == ("act", {"amount"})
    assert drifted[ELSEWHERE][0] in ("watch", "act")
    assert {name.rpartition(" ")[0] for name in drifted[ELSEWHERE][1]} <= {"embedding", "embedding axis"}
    amount = report["features"]["amount"]
    assert (amount["absent"], "(missing)" in {each["bin"] for each in amount["bins"]}) == (N // 100, True)
    assert amount["kl"] < amount["psi"] < amount["usual"], "each figure has its null"
    said = run(capsys, "drift", "show", "--day", DEARER, root=root).out
    assert "classes.refund, classes.spam, score: not compared: none of 1,200 reference rows has this feature" in said
    assert "usual" in said


def test_numbers_of_answers_and_vectors_are_compared_with_another_day(root: Path, capsys: Capture) -> None:
    _, found = statuses(capsys, root, "--day", AGAIN, "--against-day", USUAL)
    assert set(found.values()) == {"stable"}
    _, found = statuses(capsys, root, "--day", DEARER, "--against-day", USUAL)
    assert {name for name, status in found.items() if status != "stable"} == {
        "amount", "score", "classes.refund", "classes.spam",
    }  # fmt: skip
    _, found = statuses(capsys, root, "--day", ELSEWHERE, "--against-day", USUAL)
    assert {name.split()[0] for name, status in found.items() if status != "stable"} == {"embedding"}


def test_closed_days_give_the_same_reports(root: Path, capsys: Capture) -> None:
    ways = (("--day", ELSEWHERE), ("--day", ELSEWHERE, "--against-day", USUAL))
    live = [statuses(capsys, root, *words)[0]["digest"] for words in ways]
    with open_spine(root, readonly=True) as spine:
        before = spine.trace(f"req-{ELSEWHERE}-0001")
    for day in (USUAL, ELSEWHERE):
        assert run(capsys, "traces", "export", "--day", day, "--prune", root=root).code == 0
    assert [statuses(capsys, root, *words)[0]["digest"] for words in ways] == live
    with open_spine(root, readonly=True) as spine:
        assert spine.trace(f"req-{ELSEWHERE}-0001") == before
    assert before.embedding is not None
    assert len(before.embedding) == 6
