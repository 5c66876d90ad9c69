"""Each screen with its keys, over a true project."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.keys import _character_to_key

import console_world as world
from modelspine.times import ledger_time
from modelspine_console.action import SCREENS
from modelspine_console.keymap import ACTIONS, BY_ID, FOOTER, key_table

BAD = "req-000000a7"


async def test_registry_lists_every_entry_and_details_follow_the_cursor(console: Any, shas: dict[str, str]) -> None:
    async with console() as desk:
        text = desk.text()
        for name in ("v0.1.0", "v0.3.0", shas["int8"][:12], shas["old"][:12]):
            assert name in text
        assert "● production" in text
        assert "✖ tombstoned" in text
        assert "4 of 4" in text
        assert shas["old"][:32] in text
        await desk.press("j")
        assert shas["lora"][:32] in desk.text()
        assert "v0.3.0" in desk.lines()[9]


async def test_registry_tabs(console: Any) -> None:
    async with console(size=(120, 60)) as desk:
        await desk.press("G")
        await desk.press("right_square_bracket")
        text = desk.text()
        assert "verb by tense" in text
        assert "past_simple" in text
        assert "n = 12 a cell" in text
        await desk.press("right_square_bracket")
        assert "never gated" in desk.text()
        await desk.press("right_square_bracket")
        assert "training manifest" in desk.text()
        assert "layer0.b" in desk.text()
        await desk.press("right_square_bracket")
        assert "promoted" in desk.text()
        assert "first model" in desk.text()
        await desk.press(*["left_square_bracket"] * 4)
        assert "▸summary" in desk.text()


async def test_compare_needs_two_marks_and_shows_what_differs(console: Any) -> None:
    async with console(size=(120, 60)) as desk:
        await desk.press("equals_sign", "u")
        assert desk.app.view.active == 0
        await desk.press("space", "j", "space", "equals_sign")
        text = desk.text()
        assert "compare" in desk.lines()[1]
        assert "data/train_v2.jsonl" in text
        assert any("Δ pp" in line for line in desk.lines())
        assert "+2.83" in text
        assert " unchanged: " in text
        assert not any(line.endswith("  unchanged") for line in desk.lines())
        changes = [
            float(line.rsplit(" ", 1)[1].replace("−", "-")) for line in desk.lines() if line.startswith(" verb/")
        ]
        assert changes == sorted(changes, key=abs, reverse=True)
        await desk.press("u")
        assert any(line.endswith("  unchanged") for line in desk.lines())
        await desk.press("u")
        assert not any(line.endswith("  unchanged") for line in desk.lines())
        await desk.press("escape")
        assert "compare" not in desk.lines()[1]
        assert desk.app.view.list.display


async def test_escape_undoes_a_zoom_before_it_leaves_a_pane(console: Any) -> None:
    async with console(size=(120, 40)) as desk:
        view = desk.app.view
        view.set_filter("v0")
        await desk.press("2", "1", "d", "z")
        assert (view.active, view.zoomed) == (1, True)
        await desk.press("escape")
        assert (view.active, view.zoomed, view.filter_text) == (1, False, "v0")
        await desk.press("escape")
        assert (view.active, view.filter_text) == (0, "v0")
        await desk.press("escape")
        assert (desk.app.view.NAME, view.filter_text) == ("registry", "")
        await desk.press("escape")
        assert desk.app.view.NAME == "lineage"


async def test_sort_goes_through_columns_and_back(console: Any) -> None:
    async with console() as desk:
        table = desk.app.view.table
        first = table.current.sha
        await desk.press("s")
        assert table.rows[table.order[0]].production
        assert "sort: status" in desk.text()
        await desk.press("S")
        assert table.rows[table.order[-1]].production
        while table.sorted_by >= 0:
            await desk.press("s")
        assert table.current.sha == first


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("v0", 2),
        ("!v0", 2),
        ("status:promoted", 2),
        ("status:production", 1),
        ("variant:lora", 1),
        ("variant:", 0),
        ("lora v0", 1),
    ],
)
async def test_filter(console: Any, text: str, left: int) -> None:
    async with console() as desk:
        await desk.press("slash")
        await desk.type(text)
        assert len(desk.app.view.table.order) == left
        await desk.press("enter")
        assert f"{left} of 4" in desk.text() or not left
        await desk.press("escape")
        assert len(desk.app.view.table.order) == 4


async def test_lineage_opens_branches_and_reads_rows(console: Any, shas: dict[str, str]) -> None:
    async with console() as desk:
        await desk.press("j", "o")
        text = desk.text()
        assert f"lineage of {shas['lora'][:12]}" in text
        assert "data/train_v2.jsonl" in text
        assert text.count("▸") >= 2
        await desk.press("G", "l")
        assert "fp32" in desk.text()
        assert "data/train_v1.jsonl" in desk.text()
        await desk.press("h")
        assert "data/train_v1.jsonl" not in desk.text()
        await desk.press("g", "j", "j", "j", "enter")
        assert "1,248 of 1,248" in desk.text()
        await desk.press("slash")
        await desk.type("went")
        await desk.press("enter")
        assert "48 of 1,248  /went" in desk.text()
        assert "She went there" in desk.text()
        await desk.press("escape", "g", "v")
        assert "✔ verified" in desk.text()


async def test_incident_from_list_to_evidence_and_into_lineage(console: Any, shas: dict[str, str]) -> None:
    async with console(screen="incident") as desk:
        assert "240 of 240" in desk.text()
        await desk.press("slash")
        await desk.type("outcome:dismissed")
        await desk.press("enter")
        assert "6 of 6" in desk.text()
        await desk.press("enter")
        lines = desk.lines()
        assert "false accept" in desk.text()
        assert sum("✔ verified" in line or "? missing" in line or "· recorded" in line for line in lines) >= 8
        await desk.press("j", "j", "j")
        assert "Did that corpus contain" in desk.text()
        await desk.press("enter")
        assert f"lineage of {shas['base'][:12]}" in desk.text()
        assert "no matches in 1,200 rows" in desk.text()
        await desk.press("minus")
        assert "false accept" in desk.text()
        await desk.press("e")
        home = desk.app.source.settings.home
    file = next((home / "exports").glob("incident-req-*.json"))
    assert [a["n"] for a in json.loads(file.read_text())["answers"]] == list(range(1, 9))


async def test_incident_open_on_start_and_way_out(console: Any, project: Path, shas: dict[str, str]) -> None:
    world.baseline(project, shas["base"])
    async with console(screen="incident", argument=BAD) as desk:
        assert BAD in desk.lines()[1]
        assert "Yesterday he went" in desk.text()
        await desk.press("G", "enter")
        assert desk.app.view.NAME == "registry"
        assert desk.app.view.target() == shas["lora"]


async def test_an_unknown_request_is_an_error_with_a_way_out(console: Any) -> None:
    async with console(screen="incident", argument="req-nobody-has") as desk:
        assert "no trace has the id" in desk.text()
        assert "spine traces list" in desk.text()


async def test_requests_of_an_entry(console: Any, shas: dict[str, str]) -> None:
    async with console() as desk:
        await desk.press("G", "i")
        assert desk.app.view.filter_text == f"sha:{shas['base']}"
        assert "240 of 240" in desk.text()
        await desk.press("minus", "g", "i")
        assert desk.app.view.list.state in ("nomatch", "empty")


async def test_ledger_body_chain_and_verify(console: Any) -> None:
    async with console(screen="ledger") as desk:
        assert "9 of 9" in desk.text() or "10 of 10" in desk.text()
        await desk.press("d", "right_square_bracket")
        assert "press v to read it from disk" in desk.text()
        await desk.press("v")
        assert "hashed again" in desk.text()
        await desk.press("escape", "G", "o")
        assert desk.app.view.NAME == "ledger", "the first event is about no entry"


@pytest.mark.parametrize(
    ("typed", "screen", "seen"),
    [
        ("history 3", "ledger", "#3"),
        ("ledger #2", "ledger", "#2"),
        ("lineage v0.3.0", "lineage", "train_v2"),
        ("registry production", "registry", "production"),
        (f"incident {BAD}", "incident", BAD),
        ("reg v0.1.0", "registry", "v0.1.0"),
    ],
)
async def test_jump(console: Any, typed: str, screen: str, seen: str) -> None:
    async with console(screen="ledger" if screen == "registry" else "registry") as desk:
        await desk.press("colon")
        desk.app.prompt.type(typed)
        await desk.press("enter")
        assert screen == desk.app.view.NAME
        assert seen in desk.text()


@pytest.mark.parametrize(
    ("burst", "screen", "seen"),
    [
        ("/lora\r", "registry", "1 of 4  /lora"),
        ("/lora\x1b/int8\r", "registry", "/int8"),
        (":history 3\rd]", "ledger", "▸chain"),
        ("7:registry v0.3.0\rd", "registry", "registry ▸ v0.3.0"),
        ("?q7d]", "ledger", "▸chain"),
        (":lineage v0.3.0\r:7\x1b-", "registry", "4 of 4"),
        ("\x10lineage screen\r", "lineage", "lineage"),
    ],
)
async def test_a_burst_of_keys_is_taken_in_its_order(console: Any, burst: str, screen: str, seen: str) -> None:
    special = {"\r": "enter", "\x1b": "escape", "\x10": "ctrl+p"}
    async with console() as desk:
        for char in burst:
            key = special.get(char) or _character_to_key(char)
            desk.app.post_message(Key(key, char if char.isprintable() else None))
        await desk.settle()
        assert screen == desk.app.view.NAME
        assert seen in desk.text()


async def test_an_unknown_ref_leaves_nothing_of_the_walk_before(console: Any) -> None:
    async with console(size=(150, 40)) as desk:
        await desk.press("2")
        assert "data/train_v1" in desk.text()
        desk.app.navigation.jump("lineage nosuch")
        await desk.settle()
        assert "no entry is named" in desk.text()
        assert "data/train_v1" not in desk.text()
        assert "no hop selected" in desk.text()


async def test_requests_are_those_up_to_the_moment_that_is_shown(console: Any, spine: Any) -> None:
    found = spine.traces.list(limit=500).traces
    async with console(screen="incident") as desk:
        desk.app.navigation.jump(f"at {ledger_time(found[100].started_ns)}")
        await desk.settle()
        assert f"{len(found) - 100} of {len(found) - 100}" in desk.text()
        assert "up to that moment" in desk.text()
        await desk.press("enter")
        assert "based on the present" in desk.text()


async def test_digests_are_not_folded_where_two_columns_just_fit(console: Any, shas: dict[str, str]) -> None:
    async with console(size=(110, 40)) as desk:
        await desk.press("j", "j")
        text = desk.text()
        for start in range(0, 64, 32):
            assert f" {shas['int8'][start : start + 32]}" in text
            assert f" {shas['base'][start : start + 32]}" in text


@pytest.mark.parametrize("width", [80, 84, 110, 140, 200])
async def test_the_list_of_entries_shows_what_they_are_judged_by(console: Any, width: int) -> None:
    async with console(size=(width, 30)) as desk:
        head = desk.lines()[3]
        for title in ("accuracy", "false accepts", "gate", *(("USD/1M right",) if width > 84 else ())):
            assert title in head
        assert "584/600  97.3 %" in desk.text()


async def test_another_moment_is_shown_and_marked(console: Any, spine: Any) -> None:
    early = spine.registry.events()[1].at
    async with console() as desk:
        desk.app.navigation.jump(f"at {early}")
        await desk.settle()
        assert f"AT {early[:19]}Z" in desk.lines()[0]
        assert "1 of 1" in desk.text()
        assert "production" not in desk.text()
        desk.app.navigation.jump("at now")
        await desk.settle()
        assert "4 of 4" in desk.text()
        desk.app.navigation.jump("at breakfast")
        await desk.settle()
        assert "is not a time" in desk.app.freshness.last_error.error
        assert desk.app.freshness.last_error.hint in list(desk.app._notifications)[-1].message, "the way out is shown"
        assert "4 of 4" in desk.text(), "a text that is no time changes nothing"


async def test_help_is_made_of_live_bindings(console: Any) -> None:
    async with console(size=(120, 80)) as desk:
        await desk.press("question_mark")
        text = desk.text()
        for action in ACTIONS:
            shown = (not action.where or "registry" in action.where) and not action.mutates
            assert (action.help[:30] in text) == shown, action.id
        await desk.press("escape")
        assert "question_mark" not in desk.text()


async def test_no_key_is_bound_twice() -> None:
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))
    for forbidden in ("ctrl+i", "ctrl+m", "ctrl+h", "ctrl+left_square_bracket", *(f"alt+{n}" for n in range(10))):
        assert forbidden not in keys
    assert [key for key, _, _ in SCREENS] == list("01234567")
    assert key_table().count("\n") == len(ACTIONS) + 2
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in key_table().splitlines()]
    assert set(cells) == {4}, "a sign that parts the cells of a table has to be escaped in one"
    assert set(FOOTER) <= set(BY_ID)


async def test_palette_runs_what_is_chosen(console: Any) -> None:
    async with console() as desk:
        await desk.press("ctrl+p")
        await desk.type("open the ledger")
        await desk.press("enter")
        assert desk.app.view.NAME == "ledger"


async def test_zoom_panes_theme_pause_and_last_screen(console: Any) -> None:
    async with console() as desk:
        await desk.press("z")
        assert [pane.display for pane in desk.app.view.panes] == [True, False, False]
        await desk.press("escape", "tab")
        assert desk.app.view.active == 1
        await desk.press("shift+tab", "T")
        assert desk.app.palette.name == "paper"
        await desk.press("p")
        assert "paused" in desk.lines()[0]
        await desk.press("p", "7", "minus")
        assert desk.app.view.NAME == "registry"
        assert "live" in desk.lines()[0]


async def test_a_screen_that_is_gone_back_to_shows_what_happened_meanwhile(
    console: Any, project: Path, seed: Any
) -> None:
    async with console(screen="ledger") as desk:
        await desk.press("1")
        with seed.open_project(project) as writer:
            writer.registry.note("written while the Registry was open")
        desk.app.freshness.look()
        await desk.settle()
        await desk.press("escape")
        assert desk.app.view.NAME == "ledger"
        assert "written while" in desk.text()


async def test_copying(console: Any, shas: dict[str, str]) -> None:
    async with console() as desk:
        await desk.press("G", "y")
        assert desk.app.clipboard == shas["base"]
        await desk.press("Y", "j", "enter")
        assert desk.app.clipboard == "v0.1.0"


async def test_q_goes_back_before_it_leaves(console: Any) -> None:
    async with console() as desk:
        await desk.press("enter")
        assert desk.app.view.active == 1
        await desk.press("q")
        assert desk.app.view.active == 0
        await desk.pilot.press("q")
        assert desk.app.return_value == 0


async def test_settings_are_shown_with_their_origin(console: Any) -> None:
    async with console(size=(120, 60)) as desk:
        desk.app.navigation.jump("info")
        await desk.settle()
        assert "spine.toml" in desk.text()
        assert "ledger" in desk.text()
