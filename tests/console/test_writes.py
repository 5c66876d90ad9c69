"""Write mode over a true project: what cannot be reached without it, the dialog, and what stands afterwards."""

from __future__ import annotations

import asyncio
import json
import re
import string
import subprocess
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key

import console_seed
import console_world as world
from console_dialog import confirming, fill, toasts
from modelspine.cli.run import main
from modelspine.errors import Conflict, Refused, SpineError
from modelspine.spine import Spine
from modelspine_console.data.source import Source
from modelspine_console.keymap import CHANGES
from modelspine_console.writes.changes import Changes
from modelspine_console.writes.plan import Plan, command_of, next_semver, problem

BAD = "req-000000a7"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def writable(spine: Spine, run_console: Any) -> Any:
    """Opens a console in write mode."""

    def open_(**options: Any) -> Any:
        options.setdefault("changes", Changes(spine))
        return run_console(Source(spine), **{"write": True, "interval": 3600, **options})

    return open_


def seq(project: Path) -> int:
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        return spine.ledger.head().seq


def elsewhere(project: Path, text: str = "somebody else") -> None:
    """Somebody else writes into the ledger."""
    with console_seed.open_project(project) as spine:
        spine.registry.note(text)


# read-only is complete --------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", ["registry", "lineage", "traffic", "incident", "ledger"])
async def test_without_write_mode_no_key_and_no_action_changes_anything(
    spine: Spine, project: Path, run_console: Any, screen: str
) -> None:
    before = (project / ".spine/ledger.db").read_bytes()
    async with run_console(Source(spine), changes=Changes(spine), screen=screen, interval=3600) as desk:
        assert "READ-ONLY" in desk.lines()[0]
        for key in (*string.ascii_uppercase, "enter", *string.ascii_uppercase):
            if key != "T":
                await desk.pilot.press(key)
                assert not confirming(desk)
                if len(desk.app.screen_stack) > 1:
                    await desk.press("escape")
        for action in CHANGES:
            assert not desk.app.act(action.id)
            assert not await desk.app.run_action(action.id), "what is on a screen cannot name an action"
            desk.app.write_mode.ask(action.id)
            assert action.title not in desk.lines()[-1]
        await desk.settle()
        assert not confirming(desk)
        await desk.press("ctrl+p")
        await desk.type("roll back")
        await desk.press("enter")
        assert not confirming(desk)
    assert (project / ".spine/ledger.db").read_bytes() == before


async def test_a_console_opened_for_reading_only_stays_so(console: Any) -> None:
    async with console(write=True) as desk:
        desk.app.navigation.jump("rw")
        await desk.settle()
        assert "READ-ONLY" in desk.lines()[0]
        assert "opened read-only" in toasts(desk)


async def test_write_mode_is_shown_and_ends_when_nobody_presses_a_key(writable: Any) -> None:
    clock = Clock()
    async with writable(clock=clock, interval=36_000) as desk:
        assert "WRITE 10min" in desk.lines()[0]
        assert "P promote" in desk.lines()[-1]
        clock.time += timedelta(minutes=9)
        desk.app.tick()
        await desk.press("j", "j")
        clock.time += timedelta(minutes=9)
        desk.app.tick()
        await desk.settle()
        assert "WRITE 60s" in desk.lines()[0], "a key made it last on"
        clock.time += timedelta(minutes=2)
        await desk.press("P")
        assert not confirming(desk), "it had ended before the key, whether anybody looked or not"
        desk.app.tick()
        await desk.settle()
        assert "READ-ONLY" in desk.lines()[0]
        assert "P promote" not in desk.text()
        desk.app.navigation.jump("rw")
        await desk.settle()
        assert "WRITE 10min" in desk.lines()[0]
        desk.app.navigation.jump("ro")
        await desk.settle()
        assert "READ-ONLY" in desk.lines()[0]


async def test_write_mode_that_ends_under_a_dialog_stops_it(writable: Any, project: Path) -> None:
    clock = Clock()
    async with writable(clock=clock, interval=36_000) as desk:
        await desk.press("j", "j", "P")
        clock.time += timedelta(minutes=11)
        desk.app.tick()
        await desk.settle()
        assert "read-only" in desk.text()
        before = seq(project)
        await fill(desk, reason="late", name="v0.1.0")
        assert seq(project) == before


@pytest.mark.parametrize("how", ["at", "paused", "gone"])
async def test_old_or_other_data_is_not_changed(writable: Any, spine: Spine, project: Path, how: str) -> None:
    async with writable() as desk:
        if how == "at":
            desk.app.navigation.jump(f"at {spine.registry.events()[-1].at}")
        elif how == "paused":
            await desk.press("p")
        else:
            (project / ".spine/ledger.db").rename(project / ".spine/away.db")
            desk.app.freshness.look()
        await desk.settle()
        await desk.press("P")
        assert not confirming(desk)
        assert {"at": "at now", "paused": "paused", "gone": "disconnected"}[how] in toasts(desk)


# the dialog -------------------------------------------------------------------------------------------


async def test_the_dialog_says_everything_and_enter_is_dead_until_the_name_is_typed(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    async with writable() as desk:
        await desk.press("j", "j")  # newest first: old, lora, int8, base
        assert desk.app.view.target() == shas["int8"]
        before = seq(project)
        await desk.press("P")
        text = desk.text()
        for said in (f"promote {shas['int8'][:12]} in dev", "is v0.4.0", "never gated", "none (no traffic change)"):
            assert said in text
        assert f"--expect {before}" in text
        await desk.press("enter", "enter", "enter")
        await desk.type("smaller")
        await desk.press("enter", "enter")
        for wrong in (shas["int8"][:11], shas["base"][:12], "v0.4.0", f"{shas['int8'][:12]} "):
            await fill(desk, name=wrong)
            assert confirming(desk), wrong
        assert seq(project) == before
        await fill(desk, name=shas["int8"][:12])
        assert not confirming(desk)
        assert f"#{before + 1} promoted v0.4.0" in toasts(desk)
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        assert spine.registry.state().semvers["v0.4.0"] == shas["int8"]


async def test_keys_that_come_before_the_dialog_are_typed_into_it_and_confirm_nothing(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    async with writable() as desk:
        await desk.press("j", "j")
        before = seq(project)
        for char in f"Pquit X\tnope\r{shas['int8'][:12]}\r":
            key = {"\t": "tab", "\r": "enter", " ": "space"}.get(char, char)
            desk.app.post_message(Key(key, char if char.isprintable() else None))
        await desk.settle()
        assert confirming(desk)
        assert desk.app.screen.form.values["reason"] == "quit X"
        assert seq(project) == before
        await desk.press("escape")
        desk.app.post_message(Key("P", "P"))
        desk.app.post_message(Key("escape", None))
        await desk.settle()
        assert not confirming(desk), "escape called it off"


async def test_a_semver_that_is_taken_or_none_keeps_enter_dead(writable: Any, project: Path) -> None:
    async with writable() as desk:
        await desk.press("j", "j", "P")
        before = seq(project)
        name = desk.app.screen.plan.names[0]
        for wrong in ("v0.1.0", "1.0", "", "v1.0.0\u202e"):
            await fill(desk, semver=wrong, reason="x", name=name)
            assert confirming(desk), wrong
        await fill(desk, semver="v1.0.0", reason="  ", name=name)
        assert confirming(desk), "a reason of blanks is none"
        assert seq(project) == before


async def test_the_command_is_copied_and_does_the_same_once(
    writable: Any, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with writable() as desk:
        await desk.press("j", "j", "P")
        await desk.type("say 'yes'; $(reboot)")
        await desk.press("tab", "tab", "y")
        command = desk.app.clipboard
        assert command.startswith("spine promote ")
        await fill(desk, name=desk.app.screen.plan.names[0])
        after = seq(project)
    import shlex

    monkeypatch.setenv("SPINE_ROOT", str(project))
    assert main([*shlex.split(command)[1:], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seq"], told["created"]) == (after, False)
    assert seq(project) == after


@pytest.mark.parametrize("seen", [True, False])
async def test_a_ledger_that_moves_under_the_dialog_changes_nothing(writable: Any, project: Path, seen: bool) -> None:
    async with writable() as desk:
        await desk.press("j", "j", "P")
        elsewhere(project)
        if seen:
            desk.app.freshness.look()
            await desk.settle()
            assert "the ledger moved from" in desk.text()
        before = seq(project)
        await fill(desk, reason="x", name=desk.app.screen.plan.names[0])
        assert seq(project) == before
        assert "the ledger moved from" in desk.text()
        assert "nothing was changed" in desk.text()
        await desk.press("escape", "escape")
        assert not confirming(desk)


async def test_rollback_routes_holds_and_says_the_seq(writable: Any, project: Path, shas: dict[str, str]) -> None:
    with console_seed.open_project(project) as spine:
        spine.routing.single(shas["lora"], reason="it knows went")
    async with writable() as desk:
        await desk.press("G", "B")
        text = desk.text()
        assert "roll back to v0.1.0 in dev" in text
        assert "stable v0.3.0 100 %" in text
        assert "stable v0.1.0 100 %; v0.3.0 put on hold" in text
        assert "100 % of traffic" in text
        before = seq(project)
        await fill(desk, reason="too eager", name="v0.1.0")
        assert f"#{before + 1} rolled_back v0.1.0" in toasts(desk)
        await desk.press("g", "j")
        assert "‖ held" in desk.text()
        await desk.press("L")
        await fill(desk, reason="it was not the model")
        assert f"#{before + 3} released" in toasts(desk)
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        state = spine.registry.state()
        assert state.production == shas["base"]
        assert state.entries[shas["lora"]].status == "promoted"


async def test_what_core_would_refuse_is_grey_with_its_reason(writable: Any, shas: dict[str, str]) -> None:
    async with writable(size=(150, 80)) as desk:
        reasons = {a.id: desk.app.reason(a) for a in CHANGES}
        assert "tombstoned" in reasons["promote"]
        assert "tombstoned" in reasons["tombstone"]
        await desk.press("G")
        reasons = {a.id: desk.app.reason(a) for a in CHANGES}
        assert "takes all traffic already" in reasons["rollback"]
        assert "is receiving traffic" in reasons["tombstone"]
        assert "is not on hold" in reasons["release"]
        assert reasons["promote"] is None
        await desk.press("X")
        assert not confirming(desk)
        assert "is receiving traffic" in toasts(desk)
        await desk.press("question_mark")
        assert "roll back all traffic to this entry" in desk.text()


async def test_tombstoning_asks_for_the_name(writable: Any, project: Path, shas: dict[str, str]) -> None:
    async with writable() as desk:
        await desk.press("j", "j", "X")
        await fill(desk, reason="not needed", name=shas["int8"][:12])
        assert "tombstoned" in toasts(desk)


# incident ---------------------------------------------------------------------------------------------


async def test_the_incident_goes_to_the_entry_that_answer_8_names(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    world.baseline(project, shas["base"])
    async with writable(screen="incident", argument=BAD) as desk:
        await desk.press("B")
        assert not confirming(desk)
        assert "answer 8 recommends route to (F)" in toasts(desk)
        await desk.press("F")
        assert desk.app.screen.plan.sha == shas["lora"]
        assert f"--reason {BAD}" in desk.text()
        await fill(desk, name="v0.3.0")
        assert " routed v0.3.0" in toasts(desk)
    with console_seed.open_project(project) as spine:
        assert spine.registry.state().production == shas["lora"]
        spine.routing.single(shas["base"], reason="back for the test")
    async with writable(screen="incident", argument=BAD) as desk:
        await desk.press("B")
        await fill(desk, name="v0.3.0")
        assert "rolled_back" in toasts(desk)
    with Spine(console_seed.settings_of(project), readonly=True) as spine:
        assert spine.registry.state().entries[shas["base"]].status == "held"


async def test_never_regress_makes_a_branch_and_changes_no_file(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    async with writable(screen="incident") as desk:
        await desk.press("R")
        assert "investigate the request first" in toasts(desk)
    file = world.baseline(project, shas["base"], items=(world.GO,))
    before, copied = file.read_bytes(), []
    async with writable(screen="incident", argument=BAD) as desk:
        desk.app.copy_to_clipboard = copied.append
        await desk.press("R")
        assert "1 never-regress item" in desk.text()
        assert f"spine incident {BAD} --never-regress --reason" in desk.text()
        await desk.press("enter")
        assert confirming(desk), "a reason is required"
        await fill(desk, reason="a learner complained about goed")
        assert not confirming(desk)
        assert f"branch never-regress/{BAD}" in desk.text()
        assert f"git merge never-regress/{BAD}" in desk.text()
        await desk.press("y")
        assert copied == [f"git merge never-regress/{BAD}"]
        await desk.press("escape")
        assert await git(project, "status", "--short") == ""
        assert file.read_bytes() == before
        await git(project, "merge", "-q", f"never-regress/{BAD}")
        await desk.press("R")
        assert "already contains this sentence" in toasts(desk)
    items = json.loads(file.read_bytes())["never_regress"]
    assert items[1] == {
        "id": BAD, "text": "Yesterday he goed to school.", "correct_form": "Yesterday he went to school.",
        "reason": "a learner complained about goed",
    }  # fmt: skip


async def git(root: Path, *words: str) -> str:
    told = await asyncio.to_thread(
        subprocess.run, ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    )
    return told.stdout


async def test_a_rollback_shows_what_it_costs_and_is_not_blocked(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    with console_seed.open_project(project) as spine:
        spine.routing.single(shas["lora"], reason="for the test")
    async with writable(size=(120, 48)) as desk:
        await desk.press("G", "B")
        text = desk.text()
        assert "gives up 12 of 60 on verb/go and less in 4 other buckets" in text
        assert "items lost" in text
        assert any(line.split()[:6].count("60/60") and "48/60" in line for line in text.splitlines())
        assert "and 1 other bucket" in text
        await fill(desk, reason="in trouble", name="v0.1.0")
        assert "rolled_back" in toasts(desk)


async def test_a_rollback_shows_what_it_would_mean_for_recent_traffic(
    writable: Any, project: Path, shas: dict[str, str], spine: Spine
) -> None:
    """First how far asking is, then the finding; closing the dialog stops it."""
    go_on, stopped = threading.Event(), threading.Event()

    class Asking(Changes):
        def traffic(self, sha: str, step: Any) -> str:
            step(3, 10)
            while not go_on.wait(0.02):
                try:
                    step(4, 10)
                except SpineError:
                    stopped.set()
                    raise
            return "had v0.1.0 answered instead of v0.3.0, 43 users would have been told a lie"

    with console_seed.open_project(project) as opened:
        opened.routing.single(shas["lora"], reason="for the test")
    async with writable(changes=Asking(spine), size=(120, 48)) as desk:
        await desk.press("G")
        await desk.pilot.press("B")
        await until(desk, "4 of 10 texts answered by both")
        await desk.pilot.press("escape")
        await desk.settle()
        assert stopped.is_set()
        go_on.set()
        await desk.press("B")
        await until(desk, "43 users would have been told a lie")
        await fill(desk, reason="in trouble", name="v0.1.0")
        assert "rolled_back" in toasts(desk)


async def until(desk: Any, text: str) -> None:
    """Wait until a text is on the screen."""
    for _ in range(400):
        if text in desk.text():
            return
        await desk.pilot.pause(0.02)
    raise AssertionError(desk.text())


async def test_traffic_that_cannot_be_asked_is_not_checked(writable: Any, project: Path, shas: dict[str, str]) -> None:
    with console_seed.open_project(project) as opened:
        opened.routing.single(shas["lora"], reason="for the test")
    async with writable(size=(140, 48)) as desk:
        await desk.press("G", "B")
        # Which of both is said depends on whether a test before this one has installed a second workload.
        assert re.search(r"traffic +not checked: (the workload minitutor failed|no workload is set)", desk.text())


async def test_routing_back_shows_what_it_costs_and_routing_forward_does_not(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    with console_seed.open_project(project) as opened:
        opened.routing.single(shas["lora"], reason="for the test")
    async with writable(size=(120, 48)) as desk:
        await desk.press("G", "F")
        assert "gives up 12 of 60 on verb/go and less in 4 other buckets" in desk.text()


async def test_a_rollback_whose_cost_cannot_be_computed_says_why_and_goes_on(
    writable: Any, project: Path, shas: dict[str, str], spine: Spine
) -> None:
    class Broken(Changes):
        def rollback_cost(self, sha: str) -> Any:
            raise Refused("the disk is gone", "mount it")

    with console_seed.open_project(project) as opened:
        opened.routing.single(shas["lora"], reason="for the test")
    async with writable(changes=Broken(spine)) as desk:
        await desk.press("G", "B")
        assert "unknown: the disk is gone" in desk.text()
        await fill(desk, reason="in trouble", name="v0.1.0")
        assert "rolled_back" in toasts(desk)


# gate -------------------------------------------------------------------------------------------------


async def test_the_gate_tab_compares_on_demand_and_writes_nothing(
    writable: Any, project: Path, shas: dict[str, str]
) -> None:
    world.worse(project, shas["base"])
    before = seq(project)
    async with writable(size=(200, 60)) as desk:
        await desk.press("G", "v")
        text = desk.text()
        assert "▸gate" in text
        assert "✖ fail  baseline and production" in text
        assert "fewer, " in text
        lines = [line for line in desk.lines() if "verb/" in line]
        assert "✖" in lines[0]
        assert "may lose" in text
        assert seq(project) == before, "a comparison is not written down"
        elsewhere(project)
        desk.app.freshness.look()
        await desk.settle()
        assert "press v to compare" in desk.text(), "it was made on another state"


async def test_the_gate_tab_shows_the_run_and_the_signature(
    tmp_path: Path, run_console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha, file = world.prod(tmp_path / "prod")
    monkeypatch.chdir(tmp_path)  # a short path in a message, so that its line never breaks within the words looked for
    settings = console_seed.settings_of(tmp_path / "prod")
    with Spine(settings, readonly=True) as spine:
        async with run_console(Source(spine), changes=Changes(spine), write=True, interval=3600) as desk:
            await desk.press("P")
            assert f"promote {sha[:12]} in prod" in desk.text()
            assert "signed verdict" in desk.text()
            before = seq(settings.root)
            await fill(desk, reason="first", verdict="", name=sha[:12])
            assert confirming(desk), "without a verdict enter is dead"
            plan = desk.app.screen.plan
            with pytest.raises(Refused, match="only verdicts signed by CI"):
                Changes(spine).carry_out(plan, {"semver": "v0.1.0", "reason": "around the dialog", "verdict": ""})
            assert seq(settings.root) == before + 1, "the refusal is written down"
            await desk.press("escape")
            desk.app.freshness.look()
            await desk.settle()
            await desk.press("P")
            await fill(desk, reason="first", verdict="nosuch", name=sha[:12])
            assert "there is no verdict at" in desk.text()
            await desk.press("escape", "P")
            await fill(desk, reason="first", verdict="prod", name=sha[:12])
            assert "cannot be read" in desk.text(), "said as the command says it"
            await desk.press("escape", "P")
            await fill(desk, reason="first", verdict=str(file), name=sha[:12])
            assert "promoted v0.1.0" in toasts(desk)
            desk.app.freshness.look()
            await desk.settle()
            await desk.press("right_square_bracket", "right_square_bracket")
            assert "✔ pass" in desk.text()
            assert "✔ verified" in desk.text()
            assert "signed by" in desk.text()


@pytest.mark.parametrize("size", [(60, 16), (84, 20), (50, 12)])
async def test_the_field_that_is_typed_into_is_in_sight_from_the_start(
    spine: Spine, canary: None, run_console: Any, size: tuple[int, int]
) -> None:
    async with run_console(
        Source(spine), changes=Changes(spine), write=True, screen="traffic", size=(60, 16), interval=3600
    ) as desk:
        await desk.press("A")
        await desk.pilot.resize_terminal(*size)
        await desk.settle()
        assert "▸ reason" in desk.text()
        await desk.press("x")
        assert "▸ reason  ✔ x" in desk.text()


# quitting ---------------------------------------------------------------------------------------------


class Slow(Changes):
    """Carries out nothing before it is let."""

    def __init__(self, spine: Spine) -> None:
        super().__init__(spine)
        self.begun, self.gate, self.over = threading.Event(), threading.Event(), threading.Event()

    def carry_out(self, plan: Plan, values: Mapping[str, str]) -> str:
        self.begun.set()
        self.gate.wait(10)
        try:
            return super().carry_out(plan, values)
        finally:
            self.over.set()


async def test_a_quit_during_a_promotion_leaves_its_outcome_readable_by_its_key(
    spine: Spine, project: Path, run_console: Any
) -> None:
    slow = Slow(spine)
    async with run_console(Source(spine), changes=slow, write=True, interval=3600) as desk:
        await desk.press("j", "j", "P")
        plan = desk.app.screen.plan
        desk.app.screen.form.editors["reason"].put("x")
        desk.app.screen.form.editors["name"].put(plan.names[0])
        await desk.pilot.press("enter")
        assert slow.begun.wait(5)
        await desk.pilot.press("ctrl+c")
        assert desk.app.return_value == 0
        assert plan.key in desk.app.write_mode.parting
        assert "--semver v0.4.0" in desk.app.write_mode.parting
    slow.gate.set()
    assert await asyncio.to_thread(slow.over.wait, 10)
    with Spine(console_seed.settings_of(project), readonly=True) as after:
        event = after.ledger.by_key(plan.key)
        assert event is not None
        assert event.body["semver"] == "v0.4.0"


async def test_a_second_change_waits_for_the_first(spine: Spine, run_console: Any) -> None:
    slow = Slow(spine)
    async with run_console(Source(spine), changes=slow, write=True, interval=3600) as desk:
        await desk.press("j", "j", "P")
        form = desk.app.screen.form
        form.editors["reason"].put("x")
        form.editors["name"].put(desk.app.screen.plan.names[0])
        await desk.pilot.press("enter", "enter")
        assert slow.begun.wait(5)
        sent = dict(form.values)
        await desk.pilot.press("y", "backspace")
        form.type("more")
        form.paste("more")
        await desk.pilot.pause()
        assert form.values == sent, "the dialog shows what was sent"
        assert "the change goes on" in desk.text()
        await desk.pilot.press("escape", "P")
        assert not confirming(desk)
        assert "another change is in progress" in toasts(desk)
        slow.gate.set()
        await desk.settle()
        assert "promoted v0.4.0" in toasts(desk)


# parts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "suggested"),
    [([], "v0.1.0"), (["v0.1.0", "v0.3.0"], "v0.4.0"), (["v1.9.2", "v0.10.0"], "v1.10.0"), (["junk"], "v0.1.0")],
)
def test_next_semver(taken: list[str], suggested: str) -> None:
    assert next_semver(taken) == suggested


def test_a_plan_is_sent_on_the_seq_it_was_made_on_and_on_no_other(spine: Spine, project: Path) -> None:
    changes = Changes(spine)
    plan = changes.plan("promote", spine.registry.resolve("v0.3.0"))
    assert problem(plan, "name", "v0.3.0") is None
    assert problem(plan, "name", "") is not None
    elsewhere(project)
    before = seq(project)
    with pytest.raises(Conflict):
        changes.carry_out(plan, {"semver": "v9.0.0", "reason": "x"})
    assert seq(project) == before
    assert f"--expect {plan.seq}" in command_of(plan, {})
