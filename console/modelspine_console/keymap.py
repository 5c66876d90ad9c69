"""The one table of what an operator can do: keys, words, where it holds, and the call that does it.

Bindings, footer, help, palette and the key table of the README are made from it. It does not know how
anything is done: each row names a method of a controller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelspine_console.action import CHANGE, SCREENS, Action, show_key
from modelspine_console.app_protocol import Host
from modelspine_console.controllers.freshness import Freshness
from modelspine_console.controllers.navigation import Navigation
from modelspine_console.controllers.selection import Selection
from modelspine_console.controllers.write_mode import WriteMode


@dataclass(frozen=True, slots=True)
class Controllers:
    """What the rows of the table call."""

    host: Host
    navigation: Navigation
    selection: Selection
    freshness: Freshness
    write_mode: WriteMode


def _a(
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
        id=id,
        keys=tuple(keys.split()),
        title=title,
        help=text,
        group=group,
        where=frozenset(where.split()),
        mutates=group == CHANGE,
        run=run,
    )


def _change(id: str, keys: str, title: str, text: str, *, where: str) -> Action:  # noqa: A002
    """What changes something is asked for: nothing is done before its plan was shown and confirmed."""
    return _a(id, keys, title, text, CHANGE, lambda on: on.write_mode.ask(id), where=where)


def _screen(key: str, name: str, title: str) -> Action:
    text = f"open the {title} screen"
    return _a(f"screen_{name}", key, title, text, "go to", lambda on: on.navigation.open(name))


ACTIONS: tuple[Action, ...] = (
    *(_screen(*screen) for screen in SCREENS),
    _a("jump", "colon", "jump",
       ":registry :lineage REF :traffic :drift DAY :cost :incident ID :history :at TIME :rw :ro :info :q", "go to",
       lambda on: on.navigation.ask_for_a_place()),
    _a("palette", "ctrl+p", "palette", "everything that can be done now, found by name", "go to",
       lambda on: on.navigation.palette()),
    _a("last", "minus", "last screen", "go to the screen before this one", "go to", lambda on: on.navigation.last()),
    _a("go_back", "escape", "back", "clear the filter, close the dialog, go back: in that order", "go to",
       lambda on: on.navigation.back()),
    _a("lineage", "o", "lineage", "where the entry is from", "go to", lambda on: on.navigation.lineage(),
       where="registry traffic drift cost incident ledger"),
    _a("incident", "i", "incident", "requests this entry answered, or of this day", "go to",
       lambda on: on.navigation.incident(), where="registry lineage traffic drift cost"),
    _a("drill", "enter", "open", "go into what is under the cursor", "move", lambda on: on.navigation.drill()),
    _a("detail", "d", "detail", "move to the detail", "move", lambda on: on.navigation.detail()),
    _a("pane_next", "tab", "next pane", "move to the next pane", "move", lambda on: on.navigation.pane(1)),
    _a("pane_previous", "shift+tab", "previous pane", "move to the pane before", "move",
       lambda on: on.navigation.pane(-1)),
    _a("tab_previous", "left_square_bracket", "tab left", "show the tab before", "move",
       lambda on: on.navigation.tab(-1)),
    _a("tab_next", "right_square_bracket", "tab right", "show the next tab", "move", lambda on: on.navigation.tab(1)),
    _a("down", "j down", "down", "one row down", "move", lambda on: on.navigation.move(1)),
    _a("up", "k up", "up", "one row up", "move", lambda on: on.navigation.move(-1)),
    _a("top", "g home", "top", "to the first row", "move", lambda on: on.navigation.end(last=False)),
    _a("bottom", "G end", "bottom", "to the last row", "move", lambda on: on.navigation.end(last=True)),
    _a("page_down", "ctrl+d pagedown", "page down", "half a page down", "move", lambda on: on.navigation.page(1)),
    _a("page_up", "ctrl+u pageup", "page up", "half a page up", "move", lambda on: on.navigation.page(-1)),
    _a("collapse", "h left", "collapse", "close the branch, or go to its parent", "move",
       lambda on: on.navigation.unfold(open_=False), where="lineage"),
    _a("expand", "l right", "expand", "open the branch", "move", lambda on: on.navigation.unfold(open_=True),
       where="lineage"),
    _a("filter", "slash", "filter", "show rows that match: words, field:value, ! inverts", "look",
       lambda on: on.navigation.ask_for_a_filter()),
    _a("sort", "s", "sort", "sort by the next column", "look", lambda on: on.selection.sort()),
    _a("sort_back", "S", "reverse", "sort the other way round", "look", lambda on: on.selection.sort_back()),
    _a("mark", "space", "mark", "mark the row, or take its mark away", "look", lambda on: on.selection.mark()),
    _a("compare", "equals_sign", "compare", "compare the two marked entries", "look", lambda on: on.selection.compare(),
       where="registry"),
    _a("verify", "v", "verify", "check this again, now: hash the bytes behind it, or run the gate's comparison", "look",
       lambda on: on.selection.verify(), where="registry lineage ledger"),
    _a("zoom", "z", "zoom", "this pane alone, or all of them", "look", lambda on: on.selection.zoom()),
    _a("refresh", "r", "refresh", "read everything again", "look", lambda on: on.freshness.restart()),
    _a("pause", "p", "pause", "stop reading, or go on", "look", lambda on: on.freshness.pause()),
    _a("copy", "y", "copy", "copy the id of what is under the cursor", "take", lambda on: on.selection.copy()),
    _a("copy_menu", "Y", "copy…", "choose what to copy: ids, JSON, the command that does the same", "take",
       lambda on: on.selection.copy_menu()),
    _a("export", "e", "export", "write what is shown to a JSON file", "take", lambda on: on.selection.export()),
    _a("error", "exclamation_mark", "last error", "show the last error in full, to copy", "take",
       lambda on: on.freshness.show_error()),
    _change("promote", "P", "promote", "bind a semver to the entry", where="registry"),
    _change("abort", "A", "abort", "end what is tried out and hold its entry; the route before it is in force again",
       where="traffic"),
    _change("advance", "N", "next step", "take the canary to its next step", where="traffic"),
    _change("weight", "W", "weight", "give what is tried out another weight", where="traffic"),
    _change("rollback", "B", "roll back", "give all traffic back to the entry, and hold the one it leaves",
       where="registry traffic incident"),
    _change("route", "F", "route to", "give all traffic to the entry", where="registry traffic incident"),
    _change("canary", "C", "canary", "let the entry answer few learners, then more while it does no worse",
       where="registry traffic"),
    _change("shadow", "H", "shadow", "copy requests to the entry, whose answers nobody sees", where="registry traffic"),
    _change("release", "L", "release", "let the held entry take traffic again", where="registry"),
    _change("tombstone", "X", "tombstone", "mark the entry as never to be used again", where="registry"),
    _change("never_regress", "R", "never regress", "add the sentence to what the baseline never lets regress",
       where="incident"),
    _change("report", "D", "drift report", "count the day's requests and record its drift report", where="drift"),
    _a("theme", "T", "theme", "light or dark", "console", lambda on: on.host.next_theme()),
    _a("help", "question_mark", "help", "the keys that hold now", "console", lambda on: on.selection.help()),
    _a("step_out", "q", "quit", "go back, or leave", "console", lambda on: on.navigation.step_out()),
    _a("leave", "ctrl+c ctrl+q", "leave", "leave at once", "console", lambda on: on.navigation.leave()),
)  # fmt: skip

FOOTER = ("help", "filter", "jump", "drill", "verify", "lineage", "incident", "export", "step_out")
"""Ids of what the last line names where it holds, the most wanted first; behind what changes something."""
BY_ID = {action.id: action for action in ACTIONS}
CHANGES = tuple(action for action in ACTIONS if action.mutates)


def key_table() -> str:
    """The actions as a Markdown table, for the README."""
    lines = ["| key | what it does |", "|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{show_key(key)}`" for key in action.keys)
        lines.append(f"| {keys} | {action.help.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"
