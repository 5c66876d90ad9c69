"""The console's app: header, tabs, one screen at a time, prompt and footer.

It knows which screen is open and passes keys to actions. It reads no store (``data.source`` does, in threads) and adds
no rule to those of core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.events import Event, Key, Paste, Resize
from textual.screen import Screen

from modelspine_console import frame
from modelspine_console.action import SCREENS, Action
from modelspine_console.app_protocol import Answer
from modelspine_console.controllers.freshness import Freshness, context_of
from modelspine_console.controllers.keys import Keys
from modelspine_console.controllers.look import Look
from modelspine_console.controllers.navigation import Navigation
from modelspine_console.controllers.projects import Projects
from modelspine_console.controllers.selection import Selection
from modelspine_console.controllers.signals import Signals
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.data.jobs import Jobs, Outcome
from modelspine_console.data.source import Clock, Pulse, Source, utc_now
from modelspine_console.data.state import NOTHING, State
from modelspine_console.draw.changed_cells import ThriftyApp
from modelspine_console.draw.sanitize import toast
from modelspine_console.draw.theme import Palette
from modelspine_console.keymap import ACTIONS, EARLY, FOOTER, Controllers
from modelspine_console.screens.base import View
from modelspine_console.screens.index import make_view
from modelspine_console.widgets.document import Lines
from modelspine_console.widgets.footer import Footer
from modelspine_console.widgets.prompt import Prompt
from modelspine_console.widgets.tab_row import TabRow

if TYPE_CHECKING:
    from modelspine_console.writes.changes import Changes

INTERVAL = 2.0
"""Seconds between two polls of the ledger."""
_MIN_SIZE = (60, 16)
"""Columns and lines below which nothing but a message is drawn."""
_MAX_TRAIL = 20


class Frame(Screen[None], inherit_bindings=False):
    """The Textual screen below all dialogs. It inherits no bindings, so every key is the console's."""


class Console(ThriftyApp, inherit_bindings=False):
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
        indexed: bool = False,
        quit_after: str = "",
        demo: bool = False,
        project: str = "",
        state: State = NOTHING,
        warning: str = "",
        actions: Sequence[Action] = ACTIONS,
    ) -> None:
        self.look = Look(self, state, plain=plain, indexed=indexed)
        super().__init__(ansi_color=True if plain else None)
        self.actions, self._by_id = actions, {action.id: action for action in actions}
        self.source, self.jobs = source, Jobs()
        self.clock, self.interval, self.demo = clock, interval, demo
        self.header, self.tab_row, self.small = Lines(base="bar"), TabRow(self.tab_clicked), Lines(id="small")
        self.freshness = Freshness(self)
        self.write_mode = WriteMode(self, self.freshness, changes, on=write)
        self.projects = Projects(self, self.freshness, self.write_mode, self.look, project)
        self.navigation = Navigation(self, self.write_mode, self.projects)
        self.keys, self.body = Keys(self, self.write_mode), Container(id="body")
        self.hint_line = Footer(self.keys.click)
        known = (self.navigation, Selection(self), self.freshness, self.write_mode, self.look, Signals(self))
        self._controllers = Controllers(self, *known)
        self.prompt = Prompt(self.hint_line, changed=self.navigation.prompt_changed, done=self.navigation.prompt_done)
        self.views, self.trail = dict[str, View](), list[str]()
        self._first, self._quit_after, self._warning = (screen, argument), quit_after, warning
        self._drawn = tuple[Any, ...]()
        self.look.begin(self.prompt)

    def get_default_screen(self) -> Frame:
        """The screen below all dialogs."""
        return Frame(id="frame")

    def compose(self) -> ComposeResult:
        """The frame; screens are created when they are first opened."""
        yield from (self.header, self.tab_row, self.body, self.prompt, self.hint_line, self.small)

    def on_mount(self) -> None:
        """Show the frame, then start reading."""
        self.set_keymap({each.id: ",".join(each.keys) for each in self.actions if each not in ACTIONS})
        self.header.show(lambda width: [frame.header(self.context(), width)])
        self.tab_row.show(lambda width: [frame.tabs(self.tabs(), self.where(), width)])
        self.hint_line.show(lambda width: [frame.hints(self.offered(), width)])
        self.small.show(lambda _width: frame.too_small(*self.size, self.action("step_out").shown))
        self.set_interval(1.0, self.tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._controllers.signals.begin()
        if self._quit_after == "frame":
            self.exit(0)
            return
        if self._warning:
            toast(self, self._warning, severity="warning")
        self.open_view(*self._first)
        self.freshness.look()
        self.set_interval(self.interval, self.freshness.look)

    def on_resize(self, event: Resize) -> None:
        """Lay the screens out for the new size, or show only a message if it is too small."""
        width, height = event.size
        self.screen_stack[0].set_class(width < _MIN_SIZE[0] or height < _MIN_SIZE[1], "-tiny")
        for view in self.views.values():
            view.make_room(width)

    def context(self) -> frame.Context:
        """What the header shows."""
        return context_of(self, self.freshness, self.write_mode.seconds, demo=self.demo, project=self.projects.name)

    def where(self) -> tuple[str, ...]:
        """The breadcrumbs."""
        view = self.view
        return (view.NAME, *view.crumbs()) if view is not None else ("…",)

    def tabs(self) -> list[tuple[str, str, bool]]:
        """Key and title of each screen, and whether it is open."""
        return [(key, title, bool(self.trail) and self.trail[-1] == name) for key, name, title in SCREENS]

    def offered(self) -> list[tuple[Action, str | None]]:
        """The actions the footer names, each with the reason if it cannot be done now."""
        wanted = [*(each for each in self.actions if each.mutates), *(self._by_id[name] for name in FOOTER)]
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
            "moment": self.navigation.moments.came, "between": self.navigation.moments.compared,
            "project": self.projects.came,
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

    @property
    def palette(self) -> Palette:
        """The colours of everything that is drawn."""
        return self.look.palette

    def get_line_filters(self) -> Sequence[Any]:
        """What is applied to every line before it goes to the terminal."""
        return [*super().get_line_filters(), *self.look.filters]

    @property
    def view(self) -> View | None:
        """The open screen; None before the first one is open."""
        return self.views.get(self.trail[-1]) if self.trail else None

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen; it is created when it is first opened."""
        self.navigation.leave_prompt()
        if not self.trail or self.trail[-1] != name:
            self.trail.append(name)
            del self.trail[:-_MAX_TRAIL]
        if (view := self.views.get(name)) is None:
            view = self.views[name] = make_view(name)
            view.make_room(self.size.width)
            self.look.recall(view)
            self.body.mount(view)
        elif not view.display:  # only the screen that is open follows the ledger
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

    def action(self, name: str) -> Action:
        """One action by its id."""
        return self._by_id[name]

    def act(self, name: str) -> bool:
        """Perform an action if it applies, or say why it cannot be done now; True if it was performed."""
        action = self._by_id[name]
        if not self.holds(action) or (self.view is None and name not in EARLY):
            return False
        why = None if action.mutates else self.reason(action)  # a change has its own way to say it
        if why is not None:
            toast(self, why, severity="warning")
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
        known = self._by_id.get(action)
        return super().check_action(action, parameters) if known is None else self.holds(known)
