"""Working fluently: completion, history and *did you mean*, help, palette, columns, heads, and exports."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelspine.errors import BadInput
from modelspine_console.controllers.jump import COMMANDS, not_understood
from modelspine_console.data import filter as filters
from modelspine_console.data.completion import command_completion, did_you_mean, filter_completion
from modelspine_console.data.export import as_csv, as_json
from modelspine_console.dialogs.help import help_lines, narrowed
from modelspine_console.frame import action_at
from modelspine_console.keymap import ACTIONS
from modelspine_console.screens import base
from modelspine_console.widgets.prompt import MAX_HISTORY, History
from modelspine_console.widgets.table import Table


def said(desk: Any) -> str:
    """The toasts."""
    return "\n".join(f"{toast.title} {toast.message}" for toast in desk.app._notifications)


NAMES = {"lineage": lambda: ("v1.0.0", "v1.1.0", "production"), "theme": lambda: ("dusk", "paper")}
FIELDS = {"status": lambda: ("held", "production promoted", "held"), "sha": lambda: ("4be1", "c07d")}


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("l", 0, ("ledger", "lineage", "list")),
        ("lin", 0, ("lineage ",)),
        ("  LIN", 2, ("lineage ",)),
        ("lineage ", 8, ("v1.0.0", "v1.1.0", "production")),
        ("lin v1", 4, ("v1.0.0", "v1.1.0")),
        ("theme  p", 7, ("paper",)),
        ("cost x", 5, ()),
    ],
)
def test_a_command_and_its_argument_are_completed(text: str, start: int, words: tuple[str, ...]) -> None:
    found = command_completion(text, COMMANDS, NAMES)
    assert (found.start, found.words, found.warning) == (start, words, "")


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("st", 0, ("status:",)),
        ("!st", 1, ("status:",)),
        ("lora status:", 12, ("held", "production", "promoted")),
        ("status:pro", 7, ("production", "promoted")),
        ("status:held ", 12, ()),
        ("12:30", 0, ()),
    ],
)
def test_a_field_and_its_values_are_completed(text: str, start: int, words: tuple[str, ...]) -> None:
    found = filter_completion(text, FIELDS)
    assert (found.start, found.words, found.warning) == (start, words, "")


def test_what_is_nearly_right_is_answered_with_what_was_meant() -> None:
    assert command_completion("regstry", COMMANDS, NAMES).warning == "unknown command regstry; did you mean registry?"
    assert command_completion("zzz", COMMANDS, NAMES).warning == "unknown command zzz"
    assert filter_completion("statos:x", FIELDS).warning == "no field statos; did you mean status?"
    assert "did you mean registry?" in not_understood("regstry 1")
    assert not_understood("co") == "co is ambiguous: columns, cost"
    assert did_you_mean("qqqq", COMMANDS) == ""


def test_history_steps_back_to_what_was_being_typed() -> None:
    history = History(["one", "two"])
    assert [history.step(-1, "dra"), history.step(-1, "two"), history.step(-1, "one")] == ["two", "one", None]
    assert [history.step(1, "one"), history.step(1, "two"), history.step(1, "dra")] == ["two", "dra", None]
    for number in range(2 * MAX_HISTORY):
        history.add(f"text {number}")
    history.add("text 99")
    history.add("  ")
    assert len(history.texts) == MAX_HISTORY
    assert history.texts[-2:] == ["text 98", "text 99"]


async def test_the_prompt_completes_from_what_was_read(console: Any) -> None:
    async with console() as desk:
        await desk.press(":", "l", "i", "n")
        assert ":lineage" in desk.lines()[-1], "the rest of the word stands behind the caret"
        await desk.press("tab", "v", "0", ".", "1", "tab")
        assert "v0.1.0" in desk.lines()[-1]
        await desk.press("enter")
        assert desk.app.trail[-1] == "lineage"
        await desk.press(":", "up")
        assert desk.app.prompt.text == "lineage v0.1.0"
        await desk.press("down")
        assert desk.app.prompt.text == ""
        await desk.press("escape")


async def test_an_open_prompt_takes_the_place_of_the_footer_and_the_screen_keeps_its_size(console: Any) -> None:
    now = datetime.now(UTC)
    async with console(clock=lambda: now) as desk:  # it stands still, so that no age on the screen changes
        above, panes = desk.lines()[1:-1], [pane.size for pane in desk.app.view.panes]
        for way, close in (("/", "escape"), (":", "escape"), ("/", "enter")):
            await desk.press(way)
            assert desk.lines()[-1].startswith(f" {way}")
            assert desk.lines()[1:-1] == above
            assert [pane.size for pane in desk.app.view.panes] == panes
            await desk.press(close)
            assert "? help" in desk.lines()[-1]
        await desk.pilot.resize_terminal(40, 8)
        await desk.settle()
        assert not desk.app.hint_line.display, "too small a terminal shows only that it is"


async def test_another_screen_opens_without_the_prompt_of_the_one_before(console: Any) -> None:
    async with console(screen="home", size=(110, 30)) as desk:
        await desk.press("/")
        place = next(y for y, line in enumerate(desk.lines()) if " money " in line)
        await desk.pilot.click(offset=(20, place))
        await desk.settle()
        assert desk.app.trail[-1] != "home"
        assert not desk.app.prompt.display
        assert "? help" in desk.lines()[-1]


async def test_a_long_list_shows_its_first_matches_before_all_are_searched(
    console: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[int, str]] = []
    async with console(screen="ledger", size=(110, 16)) as desk:
        view = desk.app.view
        events, shown = len(view.table.rows), view.recount
        assert events > 6
        monkeypatch.setattr(filters, "SLICE", 1)
        monkeypatch.setattr(base, "_PAGE", 2)
        monkeypatch.setattr(Table, "page", 2)
        monkeypatch.setattr(view, "recount", lambda: (shown(), loaded.append((len(view.table.order), view.list.aside))))
        await desk.press("/", "e")
        (some, said), (every, at_last) = loaded
        assert 2 <= some < every
        assert f"{some}+ of {events}" in said
        assert f"{every} of {events}" in at_last
        await desk.press("escape", "/")
        desk.app.prompt.type("r")
        assert view._narrowing.unfinished
        desk.app.prompt.key("enter", None)
        # The next key may be the one that goes to the last row, which is not that of an unfinished search.
        assert view.table.order == [at for at in range(events) if "r" in view._texts[at]]
        await desk.press("/")
        del loaded[:]
        view.reload()
        await desk.settle()
        assert loaded
        assert not any("+" in aside for _, aside in loaded), "a list that was read again is searched as a whole"


async def test_tab_goes_through_the_values_of_a_field(console: Any) -> None:
    async with console() as desk:
        await desk.press("/")
        await desk.type("status:")
        values = desk.app.prompt._found.words
        assert "production" in values
        seen = []
        for _ in values:
            await desk.press("tab")
            seen.append(desk.app.prompt.text.removeprefix("status:"))
        assert tuple(seen) == values
        await desk.press("shift+tab")
        assert desk.app.prompt.text == f"status:{values[-2]}"
        assert len(desk.app.view.table.order) > 0


async def test_hostile_values_are_completed_without_reaching_the_terminal(console: Any, strings: list[str]) -> None:
    values = {"x": lambda: strings}
    async with console() as desk:
        prompt = desk.app.prompt
        prompt.open("/", "", "", lambda text: filter_completion(text, values))
        await desk.type("x:")
        assert len(prompt._found.words) > 20
        for _ in range(len(prompt._found.words)):
            await desk.press("tab")
            drawn = "".join(segment.text for segment in prompt.render_line(0))
            assert not [char for char in drawn if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        await desk.press("escape")


async def test_an_unknown_command_says_what_was_meant(console: Any) -> None:
    async with console() as desk:
        await desk.press(":")
        await desk.type("lineag3")
        assert "did you mean lineage?" in desk.lines()[-1]
        await desk.press("enter")
        assert "did you mean lineage?" in said(desk)


async def test_palette_and_help_say_that_nothing_matches(console: Any) -> None:
    async with console() as desk:
        await desk.press("ctrl+p")
        await desk.type("zzzz")
        assert "no matches for zzzz" in desk.text()
        await desk.press("enter", "ctrl+p")
        await desk.type("csv")
        assert "no matches" not in desk.text()
        await desk.press("escape", "?", "/")
        await desk.type("zzzz")
        assert "no matches for zzzz" in desk.text()
        await desk.press("escape")
        assert "no matches" not in desk.text()
        await desk.press("/")
        await desk.type("previous tab")
        assert "show the previous tab" in desk.text()
        assert "show the next tab" not in desk.text()
        await desk.press("enter", "escape")
        assert len(desk.app.screen_stack) == 1


async def test_the_palette_runs_commands_too(console: Any, project: Path) -> None:
    async with console() as desk:
        await desk.press("ctrl+p")
        await desk.type("theme paper")
        await desk.press("enter")
        assert desk.app.theme == "paper"
        await desk.press("ctrl+p")
        await desk.type("svg file")
        await desk.press("enter")
        (picture,) = (project / ".spine/exports").glob("registry-*.svg")
        assert "command palette" not in picture.read_text().replace("&#160;", " ")


def test_help_stands_in_columns_where_there_is_room_and_loses_no_word() -> None:
    groups = [(f"group {n}", [(f"k{n}{m}", f"what key {n}{m} does at some length, in words", None) for m in range(6)])
              for n in range(6)]  # fmt: skip
    for width, many in ((70, 1), (110, 2), (170, 3)):
        lines = [line.plain for line in help_lines(groups, width)]
        assert max(len(line) for line in lines) <= width
        assert lines[0].count("group") == many
        text = " ".join(" ".join(lines).split())
        assert all(f"k{n}{m}" in text for n in range(6) for m in range(6))
    assert [name for name, _ in narrowed(groups, "GROUP 2 k23")] == ["group 2"]
    assert narrowed([("change", [("B", "roll back all traffic", None)])], "rollback"), "as the command is called"
    assert help_lines([], 80) == []


async def test_a_column_is_left_out_and_comes_back(console: Any) -> None:
    async with console(size=(140, 30)) as desk:
        head = desk.lines()[3]
        assert "entry" in head
        assert "sha" in head
        await desk.press("vertical_line", "space", "escape")
        assert "entry" not in desk.lines()[3]
        assert "sha" in desk.lines()[3]
        assert "variant" in desk.lines()[3], "the room goes to another column"
        await desk.press(":")
        await desk.type("columns")
        await desk.press("enter", "a", "escape")
        assert desk.lines()[3] == head


async def test_what_cannot_be_done_now_says_why_by_key_and_in_the_palette(console: Any) -> None:
    async with console(screen="registry", size=(140, 30)) as desk:
        await desk.press("ctrl+p")
        await desk.type("compare the two marked")
        assert "not now: mark two entries with space" in desk.text()
        await desk.press("enter")
        assert "mark two entries with space" in said(desk)
        desk.app.clear_notifications()
        await desk.press("6", "m")
        assert "investigate the request first (enter)" in said(desk)


async def test_home_has_no_columns_to_choose(console: Any) -> None:
    async with console(screen="home") as desk:
        await desk.press("vertical_line")
        assert len(desk.app.screen_stack) == 1
        assert "no columns" in said(desk)


async def test_a_click_on_a_head_sorts_and_a_second_one_reverses(console: Any) -> None:
    async with console(size=(140, 30)) as desk:
        table = desk.app.view.table
        head = desk.lines()[3]
        x = head.index("entry") + 1
        await desk.pilot.click(table, offset=(x, 0))
        await desk.settle()
        first = [entry.semver for entry in table.shown]
        assert "entry ↑" in desk.lines()[3]
        assert "sort: entry" in desk.text()
        await desk.pilot.click(table, offset=(x, 0))
        await desk.settle()
        assert "entry ↓" in desk.lines()[3]
        assert [entry.semver for entry in table.shown] == first[::-1]


async def test_tabs_of_a_pane_can_be_clicked(console: Any) -> None:
    async with console(size=(120, 30)) as desk:
        view = desk.app.view
        for name in ("buckets", "gate", "summary"):
            place = desk.lines()[view.about.region.y].index(name) - view.about.region.x
            await desk.pilot.click(view.about._head, offset=(place + 1, 0))
            await desk.settle()
            assert view.tab == name
        await desk.pilot.click(view.about._head, offset=(0, 0))
        await desk.settle()
        assert view.tab == "summary"


async def test_keys_in_the_footer_can_be_clicked(console: Any) -> None:
    async with console(size=(140, 30)) as desk:
        footer = desk.lines()[-1]
        for text, prompt in (("/ filter", True), ("? help", False)):
            for x in (footer.index(text), footer.index(text) + len(text) - 1):
                await desk.pilot.click(desk.app.hint_line, offset=(x, 0))
                await desk.settle()
                assert desk.app.prompt.display == prompt
                assert (len(desk.app.screen_stack) > 1) != prompt
                await desk.press("escape")
        await desk.pilot.click(desk.app.hint_line, offset=(footer.index("/ filter") - 1, 0))
        await desk.settle()
        assert not desk.app.prompt.display, "between two keys there is none"


def test_a_change_is_found_in_the_footer_without_its_title() -> None:
    actions = [(action, None) for action in ACTIONS if action.id in ("promote", "rollback")]
    actions += [(action, None) for action in ACTIONS if action.id == "filter"]
    text = " P  B roll back  │  / filter"
    found = [action_at(actions, text, x) for x in range(len(text))]
    assert [action.id if action is not None else "" for action in found] == [
        "", "promote", "", "", *["rollback"] * 11, *[""] * 5, *["filter"] * 8,
    ]  # fmt: skip


async def test_the_arrow_of_the_order_stays_where_the_title_is_cut(console: Any) -> None:
    async with console(size=(80, 24)) as desk:
        table = desk.app.view.table
        for number, column in enumerate(table.columns):
            if column.sort is not None:
                table.sort(number, backwards=False)
                shown = dict(table._widths(40))
                head = table._head_line(40).plain
                assert ("↑" in head) == (column in shown), column.title


def test_csv_has_a_line_an_object_and_runs_no_formula() -> None:
    value = {"note": "x", "rows": [{"a": "=1+1", "b": {"c": -2, "+d": None}}, {"a": "ok, fine", "e": [1, "é"]}]}
    rows = list(csv.reader(io.StringIO(as_csv(value).decode())))
    assert rows[0] == ["a", "b.c", "b.+d", "e"]
    assert rows[1] == ["'=1+1", "-2", "", ""]
    assert rows[2] == ["ok, fine", "", "", '[1, "é"]']
    assert as_csv([{"=x": 1}]).decode().splitlines()[0] == "'=x"
    assert as_csv([{"a": ["\ud800"], "b": "\ud800"}]).decode().splitlines()[1] == '"[""\\ud800""]",\\ud800'
    assert json.loads(as_json({"a": "\ud800"})) == {"a": "\ud800"}
    with pytest.raises(BadInput, match="no rows"):
        as_csv({"a": {"b": 1}, "c": [1, 2], "d": []})


async def test_each_format_is_written(console: Any, project: Path, shas: dict[str, str]) -> None:
    async with console() as desk:
        for kind in ("csv", "svg", "", "xml"):
            await desk.press(":")
            await desk.type(f"export {kind}")
            await desk.press("enter")
        assert "unknown format xml" in said(desk)
        folder = project / ".spine/exports"
        (table,), (picture,), (data,) = (list(folder.glob(f"registry-*.{kind}")) for kind in ("csv", "svg", "json"))
    listed = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["sha"] for row in listed] == [entry["sha"] for entry in json.loads(data.read_text())["entries"]]
    assert {*shas.values()} >= {row["sha"] for row in listed}
    drawn = picture.read_text().replace("&#160;", " ")
    assert "v0.1.0" in drawn
    assert "export svg" not in drawn, "the prompt that asked for the picture is not in it"


async def test_a_copy_is_sent_and_not_said_to_have_arrived(console: Any) -> None:
    async with console() as desk:
        await desk.press("y")
        assert "sha sent to the terminal's clipboard" in said(desk)
        assert "copied" not in said(desk)
