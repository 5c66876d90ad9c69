"""What closes the loop: the price of right answers, what another entry would have said, and what a walk proposes."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import console_seed
import console_tiny as tiny
from modelspine import answering
from modelspine.errors import SpineError
from modelspine.gate.eval_report import CostPerQuality
from modelspine.incident import counterfactual as module
from modelspine.incident.finding import finding
from modelspine_console.screens import incident_text as texts

COST = CostPerQuality(usd=0.1464, low=0.12, high=0.17, runs=2, rate_per_hour=0.05)


@pytest.fixture
def priced(project: Path, shas: dict[str, str]) -> None:
    """The gate has measured what right answers of the first entry cost."""
    with console_seed.open_project(project) as spine:
        more = {"cost_per_quality": msgspec.to_builtins(COST)}
        spine.registry.gated(shas["base"], result="pass", report="0" * 64, baseline="0" * 64, stable=None, **more)


@pytest.fixture
def judging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workload is found by any name, and judges every answer."""
    monkeypatch.setattr(answering, "load_workload", lambda _name: tiny.Tiny())
    monkeypatch.setattr(answering, "grade", lambda _workload, _text, output: "goed" not in output)


# the price of right answers ---------------------------------------------------------------------------


async def test_the_registry_shows_the_one_number_with_its_unit_and_its_noise(console: Any, priced: None) -> None:
    async with console(size=(200, 40)) as desk:
        await desk.press("G", "z")
        assert "USD/1M right" in desk.text()
        assert "0.146" in next(line for line in desk.lines() if "▌" in line)
        await desk.press("z", "d", "z")
        assert "0.146 USD per million right answers   0.12 to 0.17 in 2 runs" in desk.text()
        await desk.press("escape", "escape", "g")
        assert "not measured at the gate" in desk.text()
    async with console(size=(80, 24)) as desk:
        assert "USD/1M right" not in desk.text(), "the first column to go where there is no room"


async def test_the_cost_screen_says_what_is_live_beside_what_the_gate_measured(console: Any, priced: None) -> None:
    async with console(screen="cost", argument="v0.1.0", size=(200, 50)) as desk:
        await desk.press("right_square_bracket")
        text = desk.text()
        assert "live: 240 requests, " in text
        assert "live, from requests" in text
        assert "0.146 USD per million right answers" in text


# what another entry would have said -------------------------------------------------------------------


async def test_two_marked_entries_answer_the_stored_requests(console: Any, judging: None) -> None:
    async with console(size=(120, 40)) as desk:
        await desk.press("w")
        assert "mark two entries with space" in " ".join(toast.message for toast in desk.app._notifications)
        await desk.press("j", "space", "G", "space", "w")
        assert "stored requests" in desk.lines()[1]
        await desk.press("z")
        text = desk.text()
        assert "accepted as correct only by v0.1.0" in text
        assert "240 requests, 235 distinct texts; different answers to 6" in text
        assert "Yesterday he goed to school." in text
        figures = next(line.split() for line in desk.lines() if "wrong text accepted as correct" in line)
        assert figures[-2:] == ["0", "6"]
        await desk.press("escape")
        assert "stored requests" in desk.text(), "only the zoom is undone"
        await desk.press("escape")
        assert "stored requests" not in desk.text()


async def test_what_fails_is_shown_where_the_answers_would_be(console: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise SpineError("the weights are gone", "restore them")

    monkeypatch.setattr(module, "counterfactual", fails)
    async with console(size=(160, 40)) as desk:
        await desk.press("j", "space", "G", "space", "w")
        assert "the weights are gone" in desk.text()
        assert "restore them" in desk.text()


async def test_the_progress_is_shown_and_escape_stops_the_answers(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def slow(*_: Any, progress: Any, **__: Any) -> Any:
        for done in range(500):
            try:
                progress(done, 500)
            except SpineError as error:
                ended.append(error.message)
                raise
            time.sleep(0.01)

    monkeypatch.setattr(module, "counterfactual", slow)
    async with console(size=(160, 40)) as desk:
        await desk.press("j", "space", "G", "space")
        await desk.pilot.press("w")
        await desk.pilot.pause(0.3)
        assert "of 500 stored texts" in desk.text()
        await desk.pilot.press("escape")
        await desk.settle()
        assert len(ended) == 1
        assert "another comparison" not in desk.text()


# what a walk proposes ---------------------------------------------------------------------------------


def walk(evidence: dict[str, Any], suggestion: str, *, command: str = "spine list") -> Any:
    answers = tuple(finding(n, "x", "verified", evidence if n == 8 else {}, command) for n in range(1, 9))
    return SimpleNamespace(answers=answers, suggestion=suggestion, trace=SimpleNamespace(entry_sha="a" * 64))


def test_advice_to_release_an_entry_leads_to_that_entry_and_to_no_other_key() -> None:
    held = {"sha": "b" * 64, "right": True, "held": "slow", "gate": "pass"}
    wrong = {"sha": "c" * 64, "right": False, "held": "slow"}
    evidence = {"go_to": None, "verb": None, "release": "b" * 64, "entries": [wrong, held]}
    found = walk(evidence, "release it: `spine release v0.3.0 …`")
    assert texts.place(found, found.answers[7]) == ("registry", "b" * 64)
    for action in ("rollback", "route"):
        assert texts.refusal(action, found) == "answer 8 says: release it: `spine release v0.3.0 …`"


def test_advice_without_an_entry_leads_nowhere_and_what_is_fixed_to_production() -> None:
    nothing = walk({"go_to": None, "verb": None, "entries": []}, "nothing to fix: the answer was correct")
    assert texts.place(nothing, nothing.answers[7]) == ("", "")
    assert texts.refusal("rollback", nothing) == "answer 8 says: nothing to fix: the answer was correct"
    fixed = walk({"go_to": "d" * 64, "verb": None, "entries": []}, "no rollback needed")
    assert texts.place(fixed, fixed.answers[7]) == ("registry", "d" * 64)
    assert texts.refusal("rollback", fixed) == "answer 8 says: no rollback needed"


@pytest.mark.parametrize(("verb", "action", "key"), [("route single", "route", "route to (F)"),
                                                    ("rollback", "rollback", "roll back (B)")])  # fmt: skip
def test_the_first_command_of_the_advice_is_offered(verb: str, action: str, key: str) -> None:
    evidence = {"go_to": "b" * 64, "verb": verb, "entries": []}
    move = f"spine {verb} v0.2.0 --reason req-1"
    at_once = walk(evidence, move, command=move)
    assert texts.refusal(action, at_once) is None
    assert texts.refusal("never", at_once) == f"answer 8 recommends {key}"
    advice = f"`spine gate v0.2.0`; then `{move}`"
    gated = walk(evidence, advice, command="spine gate v0.2.0")
    for each in ("rollback", "route"):
        assert texts.refusal(each, gated) == f"answer 8 says: {advice}"
    assert texts.place(gated, gated.answers[7]) == ("registry", "b" * 64)


async def test_the_commands_of_answers_7_and_8_are_shown_and_can_be_copied(console: Any) -> None:
    async with console(screen="incident", argument="req-000000a7", size=(120, 40)) as desk:
        for key in ("k", "G"):
            await desk.press("G", key)
            found = desk.app.view._finding
            assert found.answer[:40] in desk.text()
            assert found.command in texts.evidence(found)[-1].plain
            assert ("verify command", found.command) in desk.app.view.copies()
