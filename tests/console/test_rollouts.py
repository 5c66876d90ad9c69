"""Rollouts from the console: each key's dialog, what it shows before, what stands afterwards, what it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

import console_seed
from console_dialog import confirming, fill, toasts
from modelspine.cli.run import main
from modelspine.errors import BadInput, Conflict, Refused
from modelspine.ledger.route import Route
from modelspine.ledger.store import Event
from modelspine.spine import Spine
from modelspine.traffic.canary import Decision
from modelspine.traffic.ladder import default_ladder
from modelspine.traffic.request_rate import blast_radius, known_rate
from modelspine_console.data.source import Source
from modelspine_console.data.traffic_source import JUDGED, Traffic
from modelspine_console.keymap import CHANGES
from modelspine_console.writes.changes import Changes
from modelspine_console.writes.plan import affected, command_of, problem

ROLLOUT = ("canary", "shadow", "abort", "advance", "weight")


@pytest.fixture
def writable(spine: Spine, run_console: Any) -> Any:
    """Opens the Traffic screen in write mode."""

    def open_(**options: Any) -> Any:
        defaults = {"screen": "traffic", "write": True, "interval": 3600, "changes": Changes(spine)}
        return run_console(Source(spine), **{**defaults, **options})

    return open_


def stands(project: Path) -> tuple[Route, list[Event]]:
    """The route in force, and every event."""
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        route = spine.registry.route()
        assert route is not None
        return route, spine.registry.events()


def weights(project: Path) -> list[int]:
    return [arm.weight_bp for arm in stands(project)[0].arms]


# canary -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", ["registry", "traffic"])
async def test_a_canary_begins_behind_its_worst_exposure_and_its_name(
    writable: Any, project: Path, shas: dict[str, str], spine: Spine, screen: str
) -> None:
    rate = known_rate(lambda: spine.traces)
    assert rate is not None

    def exposed(weight_bp: int) -> str:
        """The answers a bad candidate gives before it is aborted, as the dialog rounds them."""
        answers = blast_radius(weight_bp, default_ladder().guard, rate).answers
        return f"about {answers:,.0f} answers" if answers >= 1 else "less than one answer"

    before = stands(project)
    async with writable(screen=screen) as desk:
        if screen == "traffic":  # an epoch of the entry, to have it under the cursor
            with console_seed.open_project(project) as opened:
                opened.routing.shadow(shas["lora"], reason="first unseen")
            desk.app.freshness.look()
            await desk.settle()
            before = stands(project)
        await desk.press("j", "C")
        text = desk.text()
        assert "start a canary with v0.3.0 in dev" in text
        assert "→ 1 % canary v0.3.0, the rest stable" in text
        assert f"worst case  {exposed(100)} before an abort, at the {rate:.2g} requests/s of the busiest" in text
        assert "auto-advances while not worse" in text
        assert "empty: 1 %, 10 %, 50 %, 100 %" in text
        await fill(desk, weight="5%")
        text = desk.text()
        assert "→ 5 % canary v0.3.0" in text
        assert f"worst case  {exposed(500)} before an abort" in text
        assert "stays at this weight until it is advanced" in text
        assert "--weight 500" in text
        assert "5 % of traffic (stable v0.1.0)" in text
        await fill(desk, weight="", reason="it knows went")
        assert confirming(desk), "its name is asked for"
        assert stands(project) == before
        await fill(desk, name="v0.3.0")
        assert f"#{before[1][-1].seq + 1} canary started: stable v0.1.0 99 %, canary v0.3.0 1 %" in toasts(desk)
    route, _ = stands(project)
    assert route.ladder is not None
    assert (route.strategy, route.ladder.auto, route.ladder.steps) == ("canary", True, default_ladder().steps)


async def test_a_canary_at_a_weight_of_ones_own_never_climbs(writable: Any, project: Path) -> None:
    async with writable(screen="registry") as desk:
        await desk.press("j", "C")
        await fill(desk, weight="250", reason="a little", name="v0.3.0")
        assert "canary v0.3.0 2.5 %" in toasts(desk)
    route, _ = stands(project)
    assert route.ladder is not None
    assert (route.ladder.auto, weights(project)) == (False, [9_750, 250])


async def test_a_rollout_by_hand_from_weight_to_stable(writable: Any, project: Path, shas: dict[str, str]) -> None:
    console_seed.try_out(project, "canary", shas["lora"])
    async with writable() as desk:
        assert "A abort" in desk.lines()[-1]
        await desk.press("W")
        assert "set the weight of v0.3.0 in dev" in desk.text()
        assert "→ … canary v0.3.0, the rest stable" in desk.text()
        assert "worst case" not in desk.text(), "there is no weight yet"
        await fill(desk, weight="20 %")
        assert "19 % of traffic (stable v0.1.0, canary v0.3.0)" in desk.text()
        assert "worst case  " in desk.text()
        assert "spine route advance --weight 2000 --reason" in desk.text()
        await fill(desk, reason="more of it")
        assert "weight set: stable v0.1.0 80 %, canary v0.3.0 20 %" in toasts(desk)
        assert weights(project) == [8_000, 2_000]
        await desk.settle()
        await desk.press("N")
        text = desk.text()
        assert "now         stable v0.1.0 80 %, canary v0.3.0 20 %" in text
        assert "then        → stable v0.1.0 50 %, canary v0.3.0 50 %" in text
        assert "30 % of traffic" in text
        assert "skips       " in text
        assert "a passing verdict: it is no_data" in text
        await fill(desk, reason="looked at by hand")
        assert confirming(desk), "its name is asked for"
        await fill(desk, name="v0.3.0")
        assert weights(project) == [5_000, 5_000]
        await desk.press("N")
        assert "→ stable v0.3.0 100 %" in desk.text()
        assert "worst case" not in desk.text(), "it is the stable arm then"
        await fill(desk, reason="done", name="v0.3.0")
        assert "advanced: stable v0.3.0 100 %" in toasts(desk)
        assert "single" in desk.lines()[2]
    assert stands(project)[0].stable.sha == shas["lora"]


async def test_an_abort_is_short_and_holds(writable: Any, project: Path, shas: dict[str, str]) -> None:
    console_seed.try_out(project, "canary", shas["lora"], weight_bp=1_000)
    async with writable() as desk:
        await desk.press("A")
        text = desk.text()
        assert "→ stable v0.1.0 100 %; v0.3.0 put on hold" in text
        assert "10 % of traffic" in text
        assert "confirm" not in text
        assert "spine route abort --reason" in text
        await desk.press("enter")
        assert confirming(desk), "a reason is needed"
        await fill(desk, reason="slow")
        assert "aborted: stable v0.1.0 100 %" in toasts(desk)
        for key in ("A", "N", "W"):
            await desk.press(key)
            assert not confirming(desk)
        assert "no rollout is in progress" in toasts(desk)
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        assert spine.registry.state().entries[shas["lora"]].held == "slow"


async def test_a_shadow_begins_unseen_of_an_entry_that_was_never_promoted(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    async with writable(screen="registry") as desk:
        await desk.press("j", "j")
        assert desk.app.view.target() == shas["int8"]
        assert "never promoted" in desk.app.view.reason("canary")
        await desk.press("H")
        assert "none (no traffic change)" in desk.text()
        await fill(desk, weight="20%")
        assert f"→ 20 % of requests mirrored to {shas['int8'][:12]}" in desk.text()
        assert "--share 2000" in desk.text()
        await fill(desk, reason="what would it say?")
        assert f"shadow started: stable v0.1.0 100 %, shadow {shas['int8'][:12]} 20 %" in toasts(desk)
        await desk.press("3", "W")
        assert "20 %" in desk.text()
        await fill(desk, weight="100%", reason="all of it")
        assert weights(project) == [10_000, 10_000]
        await desk.press("N")
        assert "shadow has no steps" in toasts(desk)


async def test_an_arm_is_routed_to_or_rolled_back_to(writable: Any, project: Path, shas: dict[str, str]) -> None:
    console_seed.try_out(project, "canary", shas["lora"], weight_bp=1_000)
    async with writable() as desk:
        await desk.press("j", "B")
        assert not confirming(desk)
        assert "was never the stable arm" in toasts(desk)
        await desk.press("F")
        assert "→ stable v0.3.0 100 %" in desk.text()
        await desk.press("escape", "k", "B")
        assert "roll back to v0.1.0 in dev" in desk.text()
        await fill(desk, reason="enough", name="v0.1.0")
        assert "rolled_back v0.1.0" in toasts(desk)
    assert stands(project)[0].strategy == "single"


# refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "is not a weight"),
        ("lots", "'lots' is not a weight"),
        ("10,5 %", "is not a weight"),
        ("-1", "is not a weight"),
        ("0.001 %", "is not a weight"),
        ("100 %", "100 % is out of range (0 % to 99.99 %)"),
        ("99999", "999.99 % is out of range"),
        ("٣%", "is not a weight"),
    ],
)
async def test_a_weight_that_is_none_keeps_enter_dead(
    writable: Any, project: Path, shas: dict[str, str], typed: str, said: str
) -> None:
    console_seed.try_out(project, "canary", shas["lora"], weight_bp=1_000)
    before = stands(project)
    async with writable() as desk:
        await desk.press("W")
        await fill(desk, reason="x", weight=typed)
        assert confirming(desk)
        plan = desk.app.screen.plan
        assert said in str(problem(plan, "weight", typed))
        assert said in desk.text() or not typed
    assert stands(project) == before


async def test_a_ledger_that_moves_under_the_dialog_changes_nothing(
    writable: Any, project: Path, shas: dict[str, str], spine: Spine
) -> None:
    console_seed.try_out(project, "canary", shas["lora"], weight_bp=1_000)
    async with writable() as desk:
        await desk.press("W")
        with console_seed.open_project(project) as opened:
            opened.routing.abort(reason="somebody else")
        before = stands(project)
        await fill(desk, weight="50%", reason="more")
        assert stands(project) == before
        assert "the ledger moved from" in desk.text()
    with pytest.raises(Refused, match="no rollout is in progress"):
        Changes(spine).plan("weight", shas["lora"])


def test_a_plan_is_sent_on_the_seq_it_was_made_on(spine: Spine, project: Path, shas: dict[str, str]) -> None:
    changes = Changes(spine)
    plan = changes.plan("canary", shas["lora"])
    with console_seed.open_project(project) as opened:
        opened.registry.note("somebody else")
    with pytest.raises(Conflict):
        changes.carry_out(plan, {"weight": "", "reason": "x"})
    assert stands(project)[0].strategy == "single"


@pytest.mark.parametrize("verb", ["shadow", "canary"])
def test_nothing_is_not_everything(spine: Spine, project: Path, shas: dict[str, str], verb: str) -> None:
    plan = Changes(spine).plan(verb, shas["lora"])
    assert problem(plan, "weight", "0") is not None
    with pytest.raises(BadInput, match="weight 0 is out of range"):
        Changes(spine).carry_out(plan, {"weight": "0", "reason": "x", "name": "v0.3.0"})
    assert stands(project)[0].strategy == "single"


@pytest.mark.parametrize("verb", ROLLOUT)
def test_the_command_does_the_same_once(
    spine: Spine,
    project: Path,
    shas: dict[str, str],
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if verb in ("abort", "advance", "weight"):
        console_seed.try_out(project, "canary", shas["lora"])
    changes = Changes(spine)
    plan = changes.plan(verb, shas["lora"])
    values = {"weight": "25 %", "reason": "say 'yes'; $(reboot)", "name": "v0.3.0"}
    assert affected(plan, values).share_bp == {"canary": 2500, "weight": 2400, "advance": 900, "abort": 100}.get(
        verb, 0
    )
    done = changes.carry_out(plan, values)
    monkeypatch.setenv("SPINE_ROOT", str(project))
    assert main([*shlex.split(command_of(plan, values))[1:], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seq"], told["created"]) == (plan.seq + 1, False)
    assert done.text.startswith(f"#{told['seq']} ")
    assert changes.carry_out(plan, values).text.endswith("(no change)")


async def test_what_core_would_refuse_is_grey_with_its_reason(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    async with writable() as desk:
        reasons = {action.id: desk.app.reason(action) for action in CHANGES if desk.app.holds(action)}
        for verb in ("abort", "advance", "weight"):
            assert "no rollout is in progress" in reasons[verb]
        assert "is the stable arm already" in reasons["canary"]
        assert "takes all traffic already" in reasons["route"]
        await desk.press("C", "A")
        assert not confirming(desk)
        assert "no rollout is in progress" in toasts(desk)
    console_seed.try_out(project, "ab", shas["lora"])
    async with writable() as desk:
        assert "ab has no steps" in desk.app.reason(next(a for a in CHANGES if a.id == "advance"))
        assert desk.app.reason(next(a for a in CHANGES if a.id == "weight")) is None
        await desk.press("j", "C")
        assert "a rollout is in progress" in toasts(desk)


async def test_a_small_terminal_shows_what_enter_does_and_every_key_that_changes_something(
    writable: Any, project: Path
) -> None:
    async with writable(screen="registry", size=(80, 24)) as desk:
        last = desk.lines()[-1]
        held = [action for action in CHANGES if desk.app.holds(action)]
        assert len(held) > 5
        shown = last.split("│")[0].split()
        assert all(action.keys[0] in shown for action in held), last
        assert "? help" in last
        await desk.press("j", "C")
        assert confirming(desk)
        assert "Fill in the fields without ✔" in desk.text()
        form = desk.app.screen.form
        form.at = form.stops[-1]
        await desk.press("shift+tab", "tab")
        assert desk.app.screen.plan.key in desk.text().split("spine route canary")[1]
        write_note(project, "somebody else was quicker")
        desk.app.freshness.look()
        await desk.settle()
        assert "the ledger moved from" in desk.text()


def write_note(project: Path, text: str) -> None:
    with console_seed.open_project(project) as opened:
        opened.registry.note(text)


def test_a_next_step_that_the_rules_refuse_is_refused_until_the_verdict_passes() -> None:
    passed = Decision(action="hold", verdict="pass", reason="", waits_for=("a manual advance",), epoch=5, window=1)
    traffic = Traffic(epochs=(), shown=None, pace=None, problem="", hint="", untraced=False,
                      denied={"": {"advance": "no passing verdict"}, JUDGED: {}})  # fmt: skip
    assert traffic.refused("advance") == "no passing verdict"
    held = msgspec.structs.replace(passed, verdict="inconclusive")
    assert msgspec.structs.replace(traffic, decision=held).refused("advance") == "no passing verdict"
    assert msgspec.structs.replace(traffic, decision=passed).refused("advance") is None
