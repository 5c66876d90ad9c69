"""Texts put to models in a limited time: what was answered in time counts, and nothing goes on after it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelspine import answering as module
from modelspine.answering import Folders, answered, answered_within
from modelspine.errors import BadInput, Unavailable

Make = Callable[..., Path]


@pytest.fixture
def folders(echo: None, make_bundle: Make) -> Folders:
    """A model that leaves texts alone, and one that is right."""
    return [(str(make_bundle(number)), None) for number in (-1, 1)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every process that is started."""
    found: list[Any] = []
    real = subprocess.Popen

    def popen(*words: Any, **more: Any) -> Any:
        found.append(real(*words, **more))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    return found


def within(seconds: float, folders: Folders, texts: list[str], *, name: str = "echo", step: Any = None) -> Any:
    return answered_within(seconds, name, folders, texts, step or (lambda *_: None))


def test_it_is_what_the_unlimited_answers_are(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_JUDGES", "1")
    texts = [f"text {n}" for n in range(150)]
    steps: list[tuple[int, int]] = []
    found = within(120, folders, texts, step=lambda *at: steps.append(at))
    assert found == answered("echo", folders, texts, lambda *_: None)
    assert (found[0][0].right, found[0][1].right) == (False, True)
    told = [at for at in dict.fromkeys(steps) if at[0]]
    assert told[-1] == (150, 150)
    assert set(told) <= {(done, 150) for done in (*range(32, 150, 32), 150)}, "pieces may arrive at once"
    assert told == sorted(told)


def test_what_was_answered_in_time_is_kept_and_the_process_is_gone(
    folders: Folders, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands until the first replies are there; then the time is over, and the other batches never come."""
    monkeypatch.setenv("ECHO_SLEEPS", "0.2")
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def step(done: int, _total: int) -> None:
        now[0] = 1_000.0 if done else 0.0

    found = within(600, folders[:1], [f"text {n}" for n in range(64_000)], step=step)
    assert 0 < len(found) < 64_000
    assert len(found) % 32 == 0
    assert [process.poll() is None for process in started] == [False]


def test_nothing_in_time_is_an_error_and_not_an_empty_answer(
    folders: Folders, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_SLEEPS", "600")
    with pytest.raises(Unavailable, match=r"nothing was answered within 0\.5 s"):
        within(0.5, folders, ["one"])
    assert [process.poll() is None for process in started] == [False]


def test_a_caller_that_stops_waiting_ends_the_process(
    folders: Folders, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_SLEEPS", "600")

    def stop(_done: int, _total: int) -> None:
        raise Unavailable("the dialog was closed", "x")

    with pytest.raises(Unavailable, match="dialog was closed"):
        within(600, folders, ["one"], step=stop)
    assert [process.poll() is None for process in started] == [False]


def test_the_workloads_error_arrives_with_its_message(folders: Folders) -> None:
    with pytest.raises(Unavailable, match="the workload echo failed: FileNotFoundError"):
        within(120, [("/nowhere", None)], ["one"])
    with pytest.raises(BadInput, match="no workload named 'nobody'"):
        within(120, folders, ["one"], name="nobody")


def test_a_process_that_dies_is_said_to_have_died(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_ENDS", "1")
    with pytest.raises(Unavailable, match="ended by itself"):
        within(120, folders, ["one"])


def test_what_a_model_prints_reaches_nobody(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ECHO_PRINTS", "1")
    assert len(within(120, folders, ["one"])) == 1
    assert capfd.readouterr() == ("", "")
