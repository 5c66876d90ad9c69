"""``spine diff A B --traffic``: the finding first, what it rests on, and what was left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_world import HOSTILE, World, check_refused, leave_trace, make_world, run
from modelspine import answering as module
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def world(tmp_path: Path, echo: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """One request of the world, two more with a text, and one whose text was not kept."""
    made = make_world(tmp_path / "project")
    monkeypatch.chdir(made.root)
    leave_trace(made.root, "req-00000002", "goed home", "goed home")
    leave_trace(made.root, "req-00000003", f"walk {HOSTILE}", "")
    leave_trace(made.root, "req-00000004", "", "", input=None, input_sha256="0" * 64)

    def grade(_workload: object, text: str, output: str) -> bool | None:
        return None if text.startswith("walk") else output == text.upper()

    monkeypatch.setattr(module, "grade", grade)
    return made


def test_the_finding_comes_first_and_the_rest_says_what_it_rests_on(world: World, capsys: Capture) -> None:
    done = run(capsys, "diff", "v0.1.0", "v0.2.0", "--traffic")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("had v0.1.0 answered instead of v0.2.0, 1 user would have been told that ")
    assert lines[2].split("  ")[0] == "entry"
    weak, strong = lines[3:5]
    assert weak.split()[-5:] == ["0/2", "0.0", "%", "0", "2"]
    assert strong.split()[-5:] == ["2/2", "100.0", "%", "2", "0"]
    assert "users" in done.out
    assert lines[-1] == (
        "3 requests with 3 distinct texts; different answers to 3; left out: 1 request whose text was not kept; "
        "not judged: 1 request whose right answer the workload does not know"
    )
    assert "\x1b" not in done.out


def test_the_json_is_whole_and_nothing_is_written(world: World, capsys: Capture) -> None:
    with open_spine(world.root, readonly=True) as spine:
        before = spine.traces.list(limit=100)
    found = run(capsys, "diff", "v0.1.0", "v0.2.0", "--traffic", "--since", "2020-01-01", "--json").json
    assert found["sentence"].startswith("had v0.1.0 answered instead of v0.2.0, 1 user ")
    assert (found["since"], found["requests"], found["without_text"], found["ungraded"]) == ("2020-01-01", 3, 1, 1)
    assert (found["a"]["sha"], found["b"]["only_right"], found["a"]["false_accepts"]) == (world.silent, 2, 2)
    assert found["a"]["mistakes"][0]["users"] == 1
    with open_spine(world.root, readonly=True) as spine:
        assert spine.traces.list(limit=100) == before


def test_without_an_oracle_there_is_no_finding_about_mistakes(
    world: World, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "grade", lambda *_: None)
    first = run(capsys, "diff", "v0.1.0", "v0.2.0", "--traffic").out.splitlines()[0]
    assert first == (
        "the workload does not know the right answer to any of these requests; the two give different answers to 3 of 3"
    )


def test_what_is_refused(world: World, capsys: Capture) -> None:
    check_refused(run(capsys, "diff", "v0.1.0", "v0.2.0", "--since", "2026-11-16"), 2)
    for day in ("tomorrow", "2026-13-01", "2026-11-16T00:00:00Z"):
        check_refused(run(capsys, "diff", "v0.1.0", "v0.2.0", "--traffic", "--since", day), 2)
    check_refused(run(capsys, "diff", "v0.1.0", "v0.2.0", "--traffic", "--since", "2999-01-01"), 2)
