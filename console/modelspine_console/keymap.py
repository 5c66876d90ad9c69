"""The table of all actions: keys, texts, the screens they apply to, and the call that performs each.

Bindings, footer, help, command palette and the key table of the README are made from it. It does not know how anything
is done: each row calls one method of the open screen or of a controller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelspine_console.action import ANSWERS, CHANGE, SCREENS, Action, show_key
from modelspine_console.app_protocol import Host
from modelspine_console.controllers.freshness import Freshness
from modelspine_console.controllers.look import Look
from modelspine_console.controllers.navigation import Navigation
from modelspine_console.controllers.selection import Selection
from modelspine_console.controllers.signals import Signals
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.screens.base import View


@dataclass(frozen=True, slots=True)
class Controllers:
    """What the rows of the table call."""

    host: Host
    navigation: Navigation
    selection: Selection
    freshness: Freshness
    write_mode: WriteMode
    look: Look
    signals: Signals

    def __post_init__(self) -> None:
        """Tell the navigation what it runs but does not know."""
        self.navigation.commands = commands(self)

    @property
    def view(self) -> View:
        """The open screen; the app runs no action that needs one before the first screen is open."""
        view: View = self.host.view
        return view


def _action(
    id: str,  # noqa: A002
    keys: str,
    title: str,
    text: str,
    group: str,
    run: Callable[[Controllers], object],
    *,
    where: str = "",
) -> Action:
    return Action(
        id=id, keys=tuple(keys.split()), title=title, help=text, group=group, where=frozenset(where.split()), run=run
    )


def _change(id: str, keys: str, title: str, text: str, *, where: str) -> Action:  # noqa: A002
    """An action that changes a store: it only opens the dialog with its plan, which has to be confirmed."""
    return _action(id, keys, title, text, CHANGE, lambda on: on.write_mode.ask(id), where=where)


def _screen(key: str, name: str, title: str) -> Action:
    text = f"open the {title} screen"
    return _action(f"screen_{name}", key, title, text, "go to", lambda on: on.navigation.open(name))


def _answer(number: int, key: str, name: str) -> Action:
    text = f"go to answer {number} of the investigation, {name}"
    return _action(f"answer_{number}", key, name, text, "move", lambda on: on.view.answer(number), where="incident")


ACTIONS: tuple[Action, ...] = (
    *(_screen(*screen) for screen in SCREENS),
    _action("jump", "colon", "command",
            ":home :registry :lineage REF :traffic :drift DAY :cost :incident ID :history :at TIME :export csv "
            ":theme NAME :columns :ascii :rw :ro :ctx PROJECT :info :q", "go to",
            lambda on: on.navigation.open_command_prompt()),
    _action("palette", "ctrl+p", "palette", "command palette", "go to", lambda on: on.navigation.open_palette()),
    _action("last", "minus", "last screen", "go to the previous screen", "go to", lambda on: on.navigation.last()),
    _action("go_back", "escape", "back", "undo one level, the innermost first",
            "go to", lambda on: on.navigation.back()),
    _action("lineage", "o", "lineage", "show the entry's lineage", "go to", lambda on: on.navigation.lineage(),
            where="home registry traffic drift cost incident ledger"),
    _action("incident", "i", "incident", "list the requests of this entry, or of this day", "go to",
            lambda on: on.navigation.incident(), where="home registry lineage traffic drift cost"),
    _action("earlier", "less_than_sign", "earlier", "show the moment of the event before", "go to",
            lambda on: on.navigation.moments.step(-1)),
    _action("later", "greater_than_sign", "later", "show the moment of the event after, at the end the present",
            "go to", lambda on: on.navigation.moments.step(1)),
    _action("drill", "enter", "open", "open what is under the cursor", "move", lambda on: on.view.drill()),
    _action("detail", "d", "detail", "move to the detail pane", "move", lambda on: on.view.activate(1)),
    _action("pane_next", "tab", "next pane", "move to the next pane", "move", lambda on: on.view.step(1)),
    _action("pane_previous", "shift+tab", "previous pane", "move to the previous pane", "move",
            lambda on: on.view.step(-1)),
    _action("tab_previous", "left_square_bracket", "tab left", "show the previous tab", "move",
            lambda on: on.view.turn_tab(-1)),
    _action("tab_next", "right_square_bracket", "tab right", "show the next tab", "move",
            lambda on: on.view.turn_tab(1)),
    _action("down", "j down", "down", "one row down", "move", lambda on: on.view.pane.body.move(1)),
    _action("up", "k up", "up", "one row up", "move", lambda on: on.view.pane.body.move(-1)),
    _action("walk_before", "left_parenthesis", "before", "investigate the request before this one in the list", "move",
            lambda on: on.view.neighbour(-1), where="incident"),
    _action("walk_after", "right_parenthesis", "after", "investigate the request after this one in the list", "move",
            lambda on: on.view.neighbour(1), where="incident"),
    *(_answer(number, *each) for number, each in enumerate(ANSWERS, 1)),
    _action("top", "g home", "top", "to the first row", "move", lambda on: on.view.pane.body.jump(end=False)),
    _action("bottom", "G end", "bottom", "to the last row", "move", lambda on: on.view.pane.body.jump(end=True)),
    _action("page_down", "ctrl+d pagedown", "page down", "half a page down", "move", lambda on: on.view.page(1)),
    _action("page_up", "ctrl+u pageup", "page up", "half a page up", "move", lambda on: on.view.page(-1)),
    _action("collapse", "h left", "collapse", "close the branch, or go to its parent", "move",
            lambda on: on.view.unfold(open_=False), where="lineage"),
    _action("expand", "l right", "expand", "open the branch", "move", lambda on: on.view.unfold(open_=True),
            where="lineage"),
    _action("filter", "slash", "filter", "filter rows: words, field:value, ! excludes", "view",
            lambda on: on.navigation.open_filter_prompt()),
    _action("sort", "s", "sort", "sort by the next column", "view", lambda on: on.selection.sort()),
    _action("sort_back", "S", "reverse", "reverse the sort order", "view", lambda on: on.selection.reverse_sort()),
    _action("mark", "space", "mark", "mark or unmark the row", "view", lambda on: on.selection.mark()),
    _action("compare", "equals_sign", "compare", "compare the two marked entries", "view",
            lambda on: on.selection.compare(), where="registry"),
    _action("counterfactual", "w", "what if", "put all stored requests to the two marked entries", "view",
            lambda on: on.selection.counterfactual(), where="registry"),
    _action("toggle_unchanged", "u", "unchanged", "list or hide what is unchanged between the compared entries", "view",
            lambda on: on.view.toggle_unchanged(), where="registry"),
    _action("verify", "v", "verify", "verify now: hash the bytes again, or run the gate's comparison", "view",
            lambda on: on.selection.verify(), where="registry lineage ledger"),
    _action("columns", "vertical_line", "columns", "choose the columns of the list", "view",
            lambda on: on.selection.columns()),
    _action("zoom", "z", "zoom", "show only this pane, or all panes", "view", lambda on: on.view.zoom()),
    _action("refresh", "r", "refresh", "reopen the stores and read everything again", "view",
            lambda on: on.freshness.restart()),
    _action("pause", "p", "pause", "pause or resume automatic refresh", "view", lambda on: on.freshness.pause()),
    _action("copy", "y", "copy", "copy the id of what is under the cursor", "copy & export",
            lambda on: on.selection.copy()),
    _action("copy_menu", "Y", "copy…", "choose what to copy: an id, or the equivalent command", "copy & export",
            lambda on: on.selection.copy_menu()),
    _action("export", "e", "export", "export what is shown as JSON; `:export csv` and `:export svg` for other formats",
            "copy & export",
            lambda on: on.selection.export()),
    _action("error", "exclamation_mark", "last error", "show the last error in full", "copy & export",
            lambda on: on.freshness.show_error()),
    _change("promote", "P", "promote", "promote the entry under a semver", where="registry"),
    _change("abort", "A", "abort", "abort the rollout and hold the candidate", where="traffic"),
    _change("advance", "N", "next step", "move the canary to its next step", where="traffic"),
    _change("weight", "W", "weight", "set the candidate's share of traffic", where="traffic"),
    _change("rollback", "B", "roll back", "roll back all traffic to this entry and hold the current one",
            where="registry traffic incident"),
    _change("route", "F", "route to", "route all traffic to this entry", where="registry traffic incident"),
    _change("canary", "C", "canary", "send a small share of traffic to this entry, then ramp up",
            where="registry traffic"),
    _change("shadow", "H", "shadow", "mirror requests to this entry and discard its responses",
            where="registry traffic"),
    _change("release", "L", "release", "release the entry from hold", where="registry"),
    _change("tombstone", "X", "tombstone", "tombstone the entry permanently", where="registry"),
    _change("never_regress", "R", "never regress", "make a branch that adds the request to the never-regress items",
            where="incident"),
    _change("report", "D", "drift report", "compute and record the day's drift report", where="drift"),
    _action("theme", "T", "theme", "switch to the next theme; `:theme NAME` switches to one by name", "console",
            lambda on: on.look.next_theme()),
    _action("help", "question_mark", "help", "show the available keys", "console", lambda on: on.selection.help()),
    _action("step_out", "q", "quit", "go back in this screen, or quit", "console", lambda on: on.navigation.step_out()),
    _action("suspend", "ctrl+z", "suspend", "stop the console and return to the shell; `fg` brings it back", "console",
            lambda on: on.signals.suspend()),
    _action("leave", "ctrl+c ctrl+q", "leave", "quit immediately", "console", lambda on: on.navigation.leave()),
)  # fmt: skip


def commands(on: Controllers) -> dict[str, Callable[[str], None]]:
    """The commands behind ``:`` that go nowhere, by name; each takes its argument."""
    return {
        "export": on.selection.export_as,
        "theme": on.look.choose_theme,
        "ascii": on.look.switch_ascii,
        "columns": lambda _argument: on.selection.columns(),
    }


FOOTER = ("help", "step_out", "filter", "jump", "drill", "verify", "lineage", "incident", "export")
"""Ids of the actions that the footer names after those that change something, the most wanted first."""
EARLY = ("leave", "step_out", "suspend")
"""Ids of the actions that work before the first screen is open."""
BY_ID = {action.id: action for action in ACTIONS}
CHANGES = tuple(action for action in ACTIONS if action.mutates)


def key_table() -> str:
    """The actions as a Markdown table, for the README."""
    lines = ["| key | action | id |", "|---|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{show_key(key)}`" for key in action.keys).replace("|", "\\|")
        lines.append(f"| {keys} | {action.help.replace('|', '&#124;')} | `{action.id}` |")
    return "\n".join(lines) + "\n"
