"""The console's app: header, tabs, one screen at a time, prompt and footer.

It knows which screen is open and passes keys to actions. It reads no store (``data.source`` does, in threads) and adds
no rule to those of core.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.events import Event, Key, Paste, Resize
from textual.screen import Screen

from modelspine_console import frame
from modelspine_console.action import SCREENS, Action
from modelspine_console.app_protocol import Answer
from modelspine_console.controllers.freshness import Freshness, context_of
from modelspine_console.controllers.keys import Keys
from modelspine_console.controllers.navigation import Navigation
from modelspine_console.controllers.selection import Selection
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.data.source import Clock, Pulse, Source, utc_now
from modelspine_console.draw.theme import NAMES, Palette, theme
from modelspine_console.keymap import ACTIONS, BY_ID, CHANGES, FOOTER, Controllers
from modelspine_console.screens.base import View, room_of
from modelspine_console.screens.index import make_view
from modelspine_console.widgets.document import Lines
from modelspine_console.widgets.prompt import Prompt
from modelspine_console.widgets.tab_row import TabRow

if TYPE_CHECKING:
    from modelspine_console.writes.changes import Changes

INTERVAL = 2.0
"""Seconds between two polls of the ledger."""
_MIN_SIZE = (60, 16)
"""Columns and lines below which nothing but a message is drawn."""
_EARLY = ("leave", "step_out")
"""Actions that work before the first screen is open."""
_MAX_TRAIL = 20


class Frame(Screen[None], inherit_bindings=False):
    """The Textual screen below all dialogs. It inherits no bindings, so every key is the console's."""


class Console(App[int], inherit_bindings=False):
    """The operator's console over one project."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    CSS = """
    Screen { layout: vertical; background: $background; overflow: hidden; }
    Screen:ansi { background: ansi_default; }
    #body { height: 1fr; width: 1fr; }
    #small { display: none; height: 1fr; width: 1fr; }
    Screen.-tiny > * { display: none; }
    Screen.-tiny > #small { display: block; }
    ModalScreen { background: $background 60%; }
    Toast { max-width: 60; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding(",".join(action.keys), action.id, action.title, id=action.id, tooltip=action.help) for action in ACTIONS
    ]

    def __init__(
        self,
        source: Source,
        *,
        changes: Changes | None = None,
        write: bool = False,
        screen: str = "home",
        argument: str = "",
        clock: Clock = utc_now,
        interval: float = INTERVAL,
        plain: bool = False,
        quit_after: str = "",
        demo: bool = False,
    ) -> None:
        super().__init__(ansi_color=True if plain else None)
        self.source = source
        self.clock = clock
        self.demo = demo
        self.interval = interval
        self.jobs = Jobs()
        self.palette = Palette(NAMES[0], plain=plain)
        self.header, self.tab_row = Lines(base="bar"), TabRow(self.tab_clicked)
        self.hint_line, self.small = Lines(base="bar"), Lines(id="small")
        self.freshness = Freshness(self)
        self.write_mode = WriteMode(self, self.freshness, changes)
        self.write_mode.begin(on=write)
        self.navigation = Navigation(self, self.write_mode)
        self.keys = Keys(self, self.write_mode)
        self._controllers = Controllers(self, self.navigation, Selection(self), self.freshness, self.write_mode)
        self.body = Container(id="body")
        self.prompt = Prompt(changed=self.navigation.prompt_changed, done=self.navigation.prompt_done)
        self.views: dict[str, View] = {}
        self.trail: list[str] = []
        self._first = (screen, argument)
        self._quit_after = quit_after
        self._drawn: tuple[Any, ...] = ()
        for name in NAMES:
            self.register_theme(theme(name))
        self.theme = NAMES[0]

    def get_default_screen(self) -> Frame:
        """The screen below all dialogs."""
        return Frame(id="frame")

    def compose(self) -> ComposeResult:
        """The frame; screens are created when they are first opened."""
        yield from (self.header, self.tab_row, self.body, self.prompt, self.hint_line, self.small)

    def on_mount(self) -> None:
        """Show the frame, then start reading."""
        self.header.show(lambda width: [frame.header(self.context(), width)])
        self.tab_row.show(lambda width: [frame.tabs(self.tabs(), self.where(), width)])
        self.hint_line.show(lambda width: [frame.hints(self.offered(), width)])
        self.small.show(lambda _width: frame.too_small(self.size.width, self.size.height))
        self.set_interval(1.0, self.tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._handle_signal(number)
        if self._quit_after == "frame":
            self.exit(0)
            return
        self.open_view(*self._first)
        self.freshness.look()
        self.set_interval(self.interval, self.freshness.look)

    def _handle_signal(self, number: signal.Signals) -> None:
        """Quit on a signal as on a key, so that the terminal is restored; the exit code is 128 plus the signal."""
        if self._loop is not None and not self.is_headless:
            self._loop.add_signal_handler(number, lambda: self.exit(128 + number, return_code=128 + number))

    def on_resize(self, event: Resize) -> None:
        """Lay the screens out for the new size, or show only a message if it is too small."""
        width, height = event.size
        self.screen_stack[0].set_class(width < _MIN_SIZE[0] or height < _MIN_SIZE[1], "-tiny")
        for view in self.views.values():
            if view.room != room_of(width):
                view.room = room_of(width)
                view.lay_out()

    def context(self) -> frame.Context:
        """What the header shows."""
        return context_of(self, self.freshness, self.write_mode.seconds, demo=self.demo)

    def where(self) -> tuple[str, ...]:
        """The breadcrumbs."""
        view = self.view
        return (view.NAME, *view.crumbs()) if view is not None else ("…",)

    def tabs(self) -> list[tuple[str, str, bool]]:
        """Key and title of each screen, and whether it is open."""
        return [(key, title, bool(self.trail) and self.trail[-1] == name) for key, name, title in SCREENS]

    def offered(self) -> list[tuple[Action, str | None]]:
        """The actions the footer names, each with the reason if it cannot be done now."""
        wanted = [*CHANGES, *(BY_ID[name] for name in FOOTER)]
        return [(action, self.reason(action)) for action in wanted if self.holds(action)]

    def moved(self) -> None:
        """Redraw the breadcrumbs and the footer if they changed."""
        drawn = (self.where(), self.offered(), self.tabs())
        if drawn != self._drawn:
            self._drawn = drawn
            self.header.refresh()
            self.tab_row.refresh()
            self.hint_line.refresh()

    def on_answer(self, answer: Answer) -> None:
        """Handle the outcome of a poll, or of planning or making a change."""
        handlers: dict[str, Callable[[Outcome[Any]], None]] = {
            "pulse": self.freshness.pulsed, "plan": self.write_mode.planned, "change": self.write_mode.changed,
            "cost": self.write_mode.priced, "traffic": self.write_mode.told, "servers": self.freshness.counted,
        }  # fmt: skip
        handlers[answer.slot](answer.outcome)

    def tick(self) -> None:
        """Update everything that depends on the time."""
        self.freshness.age()
        self.write_mode.expire()
        self.write_mode.recheck()
        self.header.base = "prod" if self.pulse is not None and self.pulse.env == "prod" else "bar"
        self.header.refresh()
        self.moved()

    @property
    def pulse(self) -> Pulse | None:
        """The ledger's last answer."""
        return self.freshness.pulse

    @property
    def reread(self) -> bool:
        """Whether everything is being read again."""
        return self.freshness.reread

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show an error."""
        self.freshness.failed(outcome, again=again)

    def next_theme(self) -> None:
        """Switch to the next theme."""
        name = NAMES[(NAMES.index(self.palette.name) + 1) % len(NAMES)]
        self.palette = Palette(name, plain=self.palette.plain)
        self.theme = name
        self.refresh(layout=True)
        for widget in self.screen.query("*"):
            widget.refresh()

    @property
    def view(self) -> View | None:
        """The open screen; None before the first one is open."""
        return self.views.get(self.trail[-1]) if self.trail else None

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen; it is created when it is first opened."""
        before = self.view
        if not self.trail or self.trail[-1] != name:
            self.trail.append(name)
            del self.trail[:-_MAX_TRAIL]
        view = self.views.get(name)
        if view is None:
            view = self.views[name] = make_view(name)
            view.room = room_of(self.size.width)
            self.body.mount(view)
        elif view is not before:
            view.reload()
        for other in self.views.values():
            other.display = other is view
        if argument:
            view.go(argument)
        self.call_after_refresh(lambda: view.activate(view.active))

    def open_filtered(self, name: str, text: str) -> None:
        """Go to a screen and show only the rows that match."""
        self.open_view(name)
        self.navigation.filter_by(text)

    def tab_clicked(self, x: int, width: int) -> None:
        """Open the screen whose tab was clicked."""
        self.navigation.click(frame.tab_at(self.tabs(), self.where(), width, x))

    actions = ACTIONS

    def action(self, name: str) -> Action:
        """One action by its id."""
        return BY_ID[name]

    def act(self, name: str) -> bool:
        """Perform an action if it applies; True if it was performed."""
        action = BY_ID[name]
        if not self.holds(action) or (self.view is None and name not in _EARLY):
            return False
        action.run(self._controllers)
        return True

    def live_actions(self) -> set[str]:
        """Ids of the actions whose keys are active now."""
        return {binding.action for _, binding, _, _ in self.screen.active_bindings.values()}

    def holds(self, action: Action) -> bool:
        """Whether an action applies to the open screen and the mode."""
        if action.mutates and self.write_mode.seconds is None:
            return False
        return not action.where or (bool(self.trail) and self.trail[-1] in action.where)

    def reason(self, action: Action) -> str | None:
        """Why an action cannot be done now; None if it can."""
        why = self.write_mode.refusal() if action.mutates else None
        return why or (self.view.reason(action.id) if self.view is not None else None)

    @property
    def typist(self) -> Any:
        """What is being typed into; None where keys are commands."""
        return self.keys.typist

    async def on_event(self, event: Event) -> None:
        """Pass every key and paste on at once, in the order they arrive."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self.app_focus = True  # a key proves it, even where the terminal reports no focus
            await self.keys.take(event)
        else:
            await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a binding is active; those of the action table are where their action applies."""
        known = BY_ID.get(action)
        return super().check_action(action, parameters) if known is None else self.holds(known)
