"""What the console remembers between two starts, the settings that an operator writes, and keys by action id."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from textual.keys import _character_to_key

from modelspine.errors import BadInput
from modelspine_console.action import show_key
from modelspine_console.controllers.rebinding import rebound
from modelspine_console.data.preferences import Preferences, preferences_file, read_preferences
from modelspine_console.data.source import Source
from modelspine_console.data.state import ScreenState, State, read_state, starting, state_file, write_state
from modelspine_console.draw.theme import NAMES
from modelspine_console.keymap import ACTIONS


def test_files_are_where_the_xdg_base_directories_are(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert state_file({"HOME": home}) == tmp_path / ".local/state/spine/console.json"
    assert preferences_file({"HOME": home}) == tmp_path / ".config/spine/console.toml"
    set_ = {"HOME": home, "XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}
    assert state_file(set_) == Path("/s/spine/console.json")
    assert preferences_file(set_) == Path("/c/spine/console.toml")
    assert state_file({"HOME": home, "XDG_STATE_HOME": "relative"}) == tmp_path / ".local/state/spine/console.json"
    assert state_file({}) is None
    assert read_state(None) == (State(), "")
    assert read_preferences(None) == Preferences()
    write_state(None, State())


def test_a_state_survives_and_a_damaged_one_is_named_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a/b/console.json"
    state = State(theme="paper", screen="cost", screens={"cost": ScreenState(sort="n")}, commands=("cost",))
    write_state(path, state)
    assert read_state(path) == (state, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600, "filters can contain texts of learners"
    deep = b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    long = b'{"commands": ["' + b"x" * 400 + b'"]}'
    for raw in (b"{", b"[]", b'{"theme": 3}', b"\xff", b'{"theme": "\xff"}', long, deep):
        path.write_bytes(raw)
        found, wrong = read_state(path)
        assert found == State()
        assert str(path) in wrong
    write_state(path, state)
    assert read_state(path)[0] == state
    write_state(Path("/proc/nowhere/console.json"), state)  # it is no reason to fail


def test_what_is_set_wins_and_a_demo_begins_at_its_beginning() -> None:
    left = State(theme="paper", ascii=True, screen="cost", filters=("x",))
    assert starting(left, "", None, demo=False) == left
    assert starting(left, "dusk", False, demo=False) == State(theme="dusk", ascii=False, screen="cost", filters=("x",))
    assert starting(left, "", None, demo=True) == State(theme="paper", ascii=True)


async def test_a_console_opens_as_it_was_left(spine: Any, run_console: Any) -> None:
    async with run_console(Source(spine), size=(140, 30)) as desk:
        await desk.press("T", "s", "s", "S", "vertical_line", "j", "space", "escape", "z")
        await desk.press("7", "/")
        await desk.type("promoted")
        await desk.press("enter", ":")
        await desk.type("ascii")
        await desk.press("enter")
        app = desk.app
        names = [entry.sha for entry in app.views["registry"].table.shown]
        left = app.look.remembered(app.views.values(), app.prompt, app.trail[-1])
    assert (left.theme, left.ascii, left.screen) == ("paper", True, "ledger")
    assert left.commands == ("ascii",)
    assert left.filters == ("promoted",)
    assert left.screens["registry"].hidden == ("sha",)
    async with run_console(Source(spine), size=(140, 30), screen="registry", state=left) as desk:
        app, view = desk.app, desk.app.view
        assert app.theme == app.palette.name == "paper"
        assert view.zoomed
        assert [entry.sha for entry in view.table.shown] == names
        assert " sha " not in desk.lines()[3]
        assert desk.segments().isascii()
        await desk.press("/", "up")
        assert app.prompt.text == "promoted"
        again = app.look.remembered(app.views.values(), app.prompt, app.trail[-1])
        assert app.look.remembered(app.views.values(), app.prompt, "").screen == "ledger"
        assert again.screens["ledger"] == left.screens["ledger"], "a screen that was not opened stays remembered"


async def test_a_walk_that_fills_the_screen_is_not_remembered_as_a_zoomed_list(spine: Any, run_console: Any) -> None:
    async with run_console(Source(spine), screen="incident") as desk:
        await desk.press("enter")
        assert desk.app.view.zoomed
        left = desk.app.look.remembered(desk.app.views.values(), desk.app.prompt, "incident")
        assert not left.screens["incident"].zoomed


async def test_a_state_that_does_not_fit_is_harmless(spine: Any, run_console: Any) -> None:
    odd = State(theme="gone", screens={"registry": ScreenState(sort="nothing", hidden=("no such", "status"))})
    async with run_console(Source(spine), state=odd, warning="the file \x1b]0;x\x07 is bad") as desk:
        assert "status" in desk.lines()[3], "the first column stays"
        assert "is bad" in " ".join(toast.message for toast in desk.app._notifications)
        assert "\x1b" not in " ".join(toast.message for toast in desk.app._notifications)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("theme = 3", "Expected `str`", "README"),
        ("themes = 'x'", "unknown setting 'themes'", "did you mean theme?"),
        ("theme = ", "could not be read", "fix it"),
        ("x = " + "[" * 100_000, "could not be read", "fix it"),
        ("[keys]\nexport = 3", "Expected", "README"),
    ],
)
def test_a_mistake_in_the_settings_is_named(tmp_path: Path, text: str, said: str, hint: str) -> None:
    path = tmp_path / "console.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        read_preferences(path)
    assert str(path) in str(caught.value)
    assert hint in caught.value.hint


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "console.toml"
    path.write_text('\ufefftheme = "paper"\nascii = true\n[keys]\nexport = "x"\nleave = ["ctrl+c", "ctrl+x"]\n')
    assert read_preferences(path) == Preferences("paper", True, {"export": "x", "leave": ("ctrl+c", "ctrl+x")})


@pytest.mark.parametrize(
    ("keys", "said", "hint"),
    [
        ({"exprot": "x"}, "no action exprot", "did you mean export"),
        ({"export": "q"}, "q is the key of both", "another key for step_out"),
        ({"export": "x", "verify": "x"}, "x is the key of both", "another key"),
        ({"promote": "x"}, "one capital letter", "by accident"),
        ({"promote": "ctrl+x"}, "one capital letter", "by accident"),
        ({"promote": "enter"}, "one capital letter", "by accident"),
        ({"leave": "x"}, "must have ctrl", "ctrl"),
        ({"filter": "&"}, "keeps its key /", 'filter = ["/", "&"]'),
        ({"go_back": "b"}, "keeps its key esc", '["esc", "b"]'),
        ({"suspend": "Z"}, "must have ctrl", "ctrl+z"),
        ({"export": ()}, "no key", "at least one"),
        ({"export": ""}, "is no key", "written as"),
        ({"export": "nokey"}, "is no key", "written as"),
        ({"export": "hyper+x"}, "is no key", "written as"),
        ({"export": "\x1b[2J"}, "is no key", "written as"),
        ({"export": "alt+1"}, "cannot be a key", "tabs"),
        ({"export": "ctrl+m"}, "cannot be a key", "Enter"),
        ({"export": "ctrl+["}, "cannot be a key", "Esc"),
    ],
)
def test_a_key_that_cannot_be_is_refused(keys: Any, said: str, hint: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        rebound(ACTIONS, keys, "console.toml")
    assert hint in caught.value.hint
    assert str(caught.value).startswith("console.toml")
    assert "\x1b" not in str(caught.value)


def test_keys_are_written_as_help_shows_them() -> None:
    signs = tuple("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    for action in rebound([ACTIONS[0]], {ACTIONS[0].id: signs}, "x"):
        assert tuple(show_key(key) for key in action.keys) == signs
        assert [_character_to_key(sign) for sign in signs] == [*action.keys], "as Textual calls them"
    written = {"export": ("f5", "&", "ctrl+pgdn", "alt+x"), "top": "←", "collapse": "h", "page_down": "pgdn"}
    found = {action.id: action for action in rebound(ACTIONS, written, "x")}
    assert found["export"].keys == ("f5", "ampersand", "ctrl+pagedown", "alt+x")
    assert found["top"].keys == ("left",)
    assert found["page_down"].shown == "pgdn"


async def test_a_key_that_was_set_works_and_is_what_footer_help_and_palette_name(
    spine: Any, run_console: Any, project: Path
) -> None:
    actions = rebound(ACTIONS, {"export": "v", "verify": "e", "filter": ("&", "/"), "screen_ledger": "7"}, "x")
    async with run_console(Source(spine), actions=actions) as desk:
        assert "& filter" in desk.lines()[-1]
        assert "v export" in desk.lines()[-1]
        await desk.press("v")
        assert list((project / ".spine/exports").glob("registry-*.json"))
        await desk.press("7", "e")
        assert not list((project / ".spine/exports").glob("ledger-*.json"))
        await desk.press("&")
        assert desk.app.prompt.display
        await desk.press("escape", "1", "?", "/")
        await desk.type("export what")
        assert any(line.split()[:3] == ["v", "export", "what"] for line in desk.lines())
        await desk.press("escape", "escape", "ctrl+p")
        await desk.type("export what")
        assert "v  export what" in desk.text()


def test_the_readme_names_the_id_of_every_action() -> None:
    from modelspine_console.keymap import key_table

    assert all(f"`{action.id}`" in key_table() for action in ACTIONS)


def test_the_example_in_the_readme_is_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "console.toml"
    path.write_text("theme" + page.split("```toml\ntheme")[1].split("```")[0])
    preferences = read_preferences(path)
    assert preferences.theme in NAMES
    assert preferences.keys
    found = {action.id: action.shown for action in rebound(ACTIONS, preferences.keys, "x")}
    assert (found["export"], found["rollback"]) == ("E ctrl+x", "U")


def test_state_is_written_as_json_that_a_person_can_read(tmp_path: Path) -> None:
    write_state(tmp_path / "s.json", State(theme="dusk", ascii=False))
    assert json.loads((tmp_path / "s.json").read_text()) == {"theme": "dusk", "ascii": False}
