"""How the console looks: its theme, ASCII, the columns of its lists; and what of that is remembered.

It knows how a screen was left, not what is on it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from textual.app import App
from textual.filter import LineFilter

from modelspine_console.data.completion import did_you_mean
from modelspine_console.data.state import ScreenState, State
from modelspine_console.draw.sanitize import toast
from modelspine_console.draw.terminal import Ascii, Indexed
from modelspine_console.draw.theme import NAMES, Palette, theme
from modelspine_console.screens.base import View
from modelspine_console.widgets.prompt import History, Prompt


class Look:
    """The palette, the filters of what is drawn, and the layout of each screen."""

    def __init__(self, app: App[Any], state: State, *, plain: bool, indexed: bool) -> None:
        """``state`` is how the console was left; ``indexed`` names colours by number, for terminals with 256."""
        self._app = app
        self._state = state
        name = state.theme if state.theme in NAMES else NAMES[0]
        self.palette = Palette(name, plain=plain)
        self._ascii = Ascii(enabled=bool(state.ascii))
        self._filters: list[LineFilter] = [self._ascii]
        if indexed and not plain:
            self._filters.append(Indexed(lambda: self.palette.indexes))

    def begin(self, prompt: Prompt) -> None:
        """Give Textual the themes, for everything that it draws itself, and the prompt what was entered before."""
        for name in NAMES:
            self._app.register_theme(theme(name))
        self._app.theme = self.palette.name
        prompt.histories = {":": History(self._state.commands), "/": History(self._state.filters)}

    @property
    def filters(self) -> Collection[LineFilter]:
        """What is applied to every line before it goes to the terminal."""
        return [each for each in self._filters if each.enabled]

    # theme and ASCII ----------------------------------------------------------------------------------

    def next_theme(self) -> None:
        """Switch to the next theme, and name it."""
        self.choose_theme(NAMES[(NAMES.index(self.palette.name) + 1) % len(NAMES)])
        toast(self._app, f"theme: {self.palette.name}")

    def choose_theme(self, name: str) -> None:
        """Switch to a theme by its name."""
        if not name:
            self.next_theme()
        elif name not in NAMES:
            known = did_you_mean(name, NAMES) or f"available: {', '.join(NAMES)}"
            toast(self._app, f"unknown theme {name}; {known}", severity="warning")
        else:
            self.palette = Palette(name, plain=self.palette.plain)
            self._app.theme = name
            self._redraw()

    def switch_ascii(self, word: str) -> None:
        """Draw in ASCII, or in all signs: ``on``, ``off``, or the other of the two."""
        if word not in ("", "on", "off"):
            toast(self._app, f"unknown word {word}; :ascii takes on or off", severity="warning")
            return
        self._ascii.enabled = not self._ascii.enabled if not word else word == "on"
        self._redraw()

    def _redraw(self) -> None:
        self._app.refresh(layout=True)
        for screen in self._app.screen_stack:
            for widget in screen.query("*"):
                widget.refresh()

    # what is remembered -------------------------------------------------------------------------------

    def recall(self, view: View) -> None:
        """Lay a screen out as it was left, before it is first shown."""
        left = self._state.screens.get(view.NAME, ScreenState())
        view.zoomed = left.zoomed
        view.table.hide(left.hidden)
        titles = [column.title if column.sort else None for column in view.table.columns]
        if left.sort in titles or left.backwards:
            place = titles.index(left.sort) if left.sort and left.sort in titles else -1
            view.table.sort(place, backwards=left.backwards)

    def keep(self, views: Collection[View], prompt: Prompt) -> None:
        """Remember how the screens are laid out now, for the same screens of another project."""
        self._state = self.remembered(views, prompt, "")

    def remembered(self, views: Collection[View], prompt: Prompt, screen: str) -> State:
        """How the console is now, to be recalled at the next start."""
        screens = {view.NAME: _left(view) for view in views}
        return State(
            theme=self.palette.name,
            ascii=self._ascii.enabled,
            screen=screen or self._state.screen,  # it may have ended before it opened one
            screens={**self._state.screens, **screens},
            commands=tuple(prompt.histories[":"].texts),
            filters=tuple(prompt.histories["/"].texts),
        )


def _left(view: View) -> ScreenState:
    table = view.table
    sort = table.columns[table.sorted_by].title if table.sorted_by >= 0 else ""
    return ScreenState(
        zoomed=view.zoomed and not view.active, sort=sort, backwards=table.backwards, hidden=tuple(sorted(table.hidden))
    )
