"""The one table of what an operator can do: keys, words, where it holds, and the method that does it.

Bindings, footer, help, palette and the key table of the README are made from it. It does not know how
anything is done: the app has a method ``action_<id>`` for each row.
"""

from __future__ import annotations

import msgspec

SCREENS: tuple[tuple[str, str, str], ...] = (
    ("1", "registry", "Registry"),
    ("2", "lineage", "Lineage"),
    ("3", "traffic", "Traffic"),
    ("4", "drift", "Drift"),
    ("5", "cost", "Cost"),
    ("6", "incident", "Incident"),
    ("7", "ledger", "Ledger"),
)
"""Key, name and title of each screen there is."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing an operator can do."""

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    group: str
    where: frozenset[str] = frozenset()
    """Names of the screens it holds on; none named means all."""
    mutates: bool = False
    """True where it changes something; such an action exists in write mode alone, and its key is a capital."""

    @property
    def shown(self) -> str:
        """Its keys as people write them."""
        return " ".join(show_key(key) for key in self.keys)


_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "minus": "-",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "exclamation_mark": "!",
    "space": "space",
    "enter": "enter",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def show_key(key: str) -> str:
    """A key as people write it."""
    return _NAMES.get(key, key)


def _a(id: str, keys: str, title: str, text: str, group: str, *, where: str = "") -> Action:  # noqa: A002
    return Action(
        id=id,
        keys=tuple(keys.split()),
        title=title,
        help=text,
        group=group,
        where=frozenset(where.split()),
        mutates=group == CHANGE,
    )


CHANGE = "change (write mode)"
"""The group of what changes something."""

_SCREEN_ACTIONS = tuple(
    _a(f"screen_{name}", key, title, f"open the {title} screen", "go to") for key, name, title in SCREENS
)

ACTIONS: tuple[Action, ...] = (
    *_SCREEN_ACTIONS,
    _a("jump", "colon", "jump",
       ":registry :lineage REF :traffic :drift DAY :cost :incident ID :history :at TIME :rw :ro :info :q", "go to"),
    _a("palette", "ctrl+p", "palette", "everything that can be done now, found by name", "go to"),
    _a("last", "minus", "last screen", "go to the screen before this one", "go to"),
    _a("go_back", "escape", "back", "clear the filter, close the dialog, go back: in that order", "go to"),
    _a("lineage", "o", "lineage", "where the entry is from", "go to",
       where="registry traffic drift cost incident ledger"),
    _a("incident", "i", "incident", "requests this entry answered, or of this day", "go to",
       where="registry lineage traffic drift cost"),
    _a("drill", "enter", "open", "go into what is under the cursor", "move"),
    _a("detail", "d", "detail", "move to the detail", "move"),
    _a("pane_next", "tab", "next pane", "move to the next pane", "move"),
    _a("pane_previous", "shift+tab", "previous pane", "move to the pane before", "move"),
    _a("tab_previous", "left_square_bracket", "tab left", "show the tab before", "move"),
    _a("tab_next", "right_square_bracket", "tab right", "show the next tab", "move"),
    _a("down", "j down", "down", "one row down", "move"),
    _a("up", "k up", "up", "one row up", "move"),
    _a("top", "g home", "top", "to the first row", "move"),
    _a("bottom", "G end", "bottom", "to the last row", "move"),
    _a("page_down", "ctrl+d pagedown", "page down", "half a page down", "move"),
    _a("page_up", "ctrl+u pageup", "page up", "half a page up", "move"),
    _a("collapse", "h left", "collapse", "close the branch, or go to its parent", "move", where="lineage"),
    _a("expand", "l right", "expand", "open the branch", "move", where="lineage"),
    _a("filter", "slash", "filter", "show rows that match: words, field:value, ! inverts", "look"),
    _a("sort", "s", "sort", "sort by the next column", "look"),
    _a("sort_back", "S", "reverse", "sort the other way round", "look"),
    _a("mark", "space", "mark", "mark the row, or take its mark away", "look"),
    _a("compare", "equals_sign", "compare", "compare the two marked entries", "look", where="registry"),
    _a("verify", "v", "verify", "check this again, now: hash the bytes behind it, or run the gate's comparison", "look",
       where="registry lineage ledger"),
    _a("zoom", "z", "zoom", "this pane alone, or all of them", "look"),
    _a("refresh", "r", "refresh", "read everything again", "look"),
    _a("pause", "p", "pause", "stop reading, or go on", "look"),
    _a("copy", "y", "copy", "copy the id of what is under the cursor", "take"),
    _a("copy_menu", "Y", "copy…", "choose what to copy: ids, JSON, the command that does the same", "take"),
    _a("export", "e", "export", "write what is shown to a JSON file", "take"),
    _a("error", "exclamation_mark", "last error", "show the last error in full, to copy", "take"),
    _a("promote", "P", "promote", "bind a semver to the entry", CHANGE, where="registry"),
    _a("abort", "A", "abort", "end what is tried out and hold its entry; the route before it is in force again", CHANGE,
       where="traffic"),
    _a("advance", "N", "next step", "take the canary to its next step", CHANGE, where="traffic"),
    _a("weight", "W", "weight", "give what is tried out another weight", CHANGE, where="traffic"),
    _a("rollback", "B", "roll back", "give all traffic back to the entry, and hold the one it leaves", CHANGE,
       where="registry traffic incident"),
    _a("route", "F", "route to", "give all traffic to the entry", CHANGE, where="registry traffic incident"),
    _a("canary", "C", "canary", "let the entry answer few learners, then more while it does no worse", CHANGE,
       where="registry traffic"),
    _a("shadow", "H", "shadow", "copy requests to the entry, whose answers nobody sees", CHANGE,
       where="registry traffic"),
    _a("release", "L", "release", "let the held entry take traffic again", CHANGE, where="registry"),
    _a("tombstone", "X", "tombstone", "mark the entry as never to be used again", CHANGE, where="registry"),
    _a("never_regress", "R", "never regress", "add the sentence to what the baseline never lets regress", CHANGE,
       where="incident"),
    _a("report", "D", "drift report", "count the day's requests and record its drift report", CHANGE, where="drift"),
    _a("theme", "T", "theme", "light or dark", "console"),
    _a("help", "question_mark", "help", "the keys that hold now", "console"),
    _a("step_out", "q", "quit", "go back, or leave", "console"),
    _a("leave", "ctrl+c ctrl+q", "leave", "leave at once", "console"),
)  # fmt: skip

FOOTER = ("help", "filter", "jump", "drill", "verify", "lineage", "incident", "export", "step_out")
"""Ids of what the last line names where it holds, the most wanted first; behind what changes something."""
BY_ID = {action.id: action for action in ACTIONS}
GROUPS = ("go to", "move", "look", "take", CHANGE, "console")
CHANGES = tuple(action for action in ACTIONS if action.mutates)


def key_table() -> str:
    """The actions as a Markdown table, for the README."""
    lines = ["| key | what it does |", "|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{show_key(key)}`" for key in action.keys)
        lines.append(f"| {keys} | {action.help.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"
