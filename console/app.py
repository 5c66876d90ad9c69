"""The console itself: header, breadcrumbs, one screen at a time, prompt and keys.

It knows which screen is open and how fresh the data is, and turns keys into calls of the open view. It reads
no store (``console.source`` does, in threads) and adds no rule to what core says.
"""

from __future__ import annotations

import signal
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.events import Key, Resize
from textual.screen import Screen

from console import shell
from console.actions import ACTIONS, BY_ID, FOOTER, SCREENS, Action
from console.desk import Answer
from console.handlers import Handlers
from console.jobs import Jobs, Outcome
from console.lines import Lines
from console.moving import Moving
from console.prompt import Prompt
from console.safe import toast
from console.screens import make_view
from console.source import Clock, Pulse, Source, utc_now
from console.theme import NAMES, Palette, theme
from console.travel import Travel
from console.view import ONE, THREE, TWO, View

INTERVAL = 2.0
"""Seconds between two looks at the stores; data older than three of them is stale."""
_NARROW, _WIDE = 84, 140
_LEAST = (60, 16)


class Frame(Screen[None], inherit_bindings=False):
    """The one screen below all dialogs; its keys are the console's alone."""


class Console(Moving, Handlers, Travel, App[int], inherit_bindings=False):
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
        screen: str = "registry",
        argument: str = "",
        clock: Clock = utc_now,
        interval: float = INTERVAL,
        plain: bool = False,
        quit_after: str = "",
    ) -> None:
        super().__init__(ansi_color=True if plain else None)
        self.source = source
        self.clock = clock
        self.interval = interval
        self.jobs = Jobs()
        self.pulse: Pulse | None = None
        self.palette = Palette(NAMES[0], plain=plain)
        self.header, self.crumb_line = Lines(base="bar"), Lines()
        self.hint_line, self.small = Lines(base="bar"), Lines(id="small")
        self.body, self.prompt = Container(id="body"), Prompt()
        self.views: dict[str, View] = {}
        self.trail: list[str] = []
        self.link: shell.Link = "connecting"
        self.paused = False
        self.last_error: Outcome[Any] | None = None
        self._answered: float | None = None
        self._first = (screen, argument)
        self._quit_after = quit_after
        self.reread = False
        self._said: tuple[Any, ...] = ()
        for name in NAMES:
            self.register_theme(theme(name))
        self.theme = NAMES[0]

    def get_default_screen(self) -> Frame:
        """The screen below all dialogs."""
        return Frame(id="frame")

    # frame --------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """The frame; screens are made when they are first opened."""
        yield self.header
        yield self.crumb_line
        yield self.body
        yield self.prompt
        yield self.hint_line
        yield self.small

    def on_mount(self) -> None:
        """Show the frame, then start reading."""
        self.header.show(lambda width: [shell.header(self.context(), width)])
        self.crumb_line.show(lambda width: [shell.crumbs(self.where(), width)])
        self.hint_line.show(lambda width: [shell.hints(self.offered(), self.tabs(), width)])
        self.small.show(lambda _width: shell.too_small(self.size.width, self.size.height))
        self.set_interval(1.0, self.tick)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._on_signal(number)
        if self._quit_after == "frame":
            self.exit(0)
            return
        self.open_view(*self._first)
        self.look()
        self.set_interval(self.interval, self.look)

    def _on_signal(self, number: signal.Signals) -> None:
        """A signal leaves by the same door as a key, so the terminal is given back; the exit code tells."""
        if self._loop is not None and not self.is_headless:
            self._loop.add_signal_handler(number, lambda: self.exit(128 + number, return_code=128 + number))

    def on_resize(self, event: Resize) -> None:
        """One, two or three columns; or nothing but a line where there is no room."""
        width, height = event.size
        self.screen_stack[0].set_class(width < _LEAST[0] or height < _LEAST[1], "-tiny")
        room = ONE if width < _NARROW else THREE if width >= _WIDE else TWO
        for view in self.views.values():
            if view.room != room:
                view.room = room
                view.lay_out()

    # what the frame says --------------------------------------------------------------------------------

    def context(self) -> shell.Context:
        """What the header says."""
        now = self.clock()
        age = None if self._answered is None else max(0.0, now.timestamp() - self._answered)
        ledger = str(self.source.settings.ledger).rsplit("/", 1)[-1]
        return shell.Context(
            env=self.pulse.env if self.pulse else "",
            ledger=ledger,
            readonly=True,
            link=self.link,
            age=age,
            now=now,
            at=self.source.at,
        )

    def where(self) -> tuple[str, ...]:
        """The breadcrumbs."""
        view = self.view
        return (view.TITLE, *view.crumbs()) if view is not None else ("…",)

    def tabs(self) -> list[tuple[str, str, bool]]:
        """The screens, and which is open."""
        return [(key, title, bool(self.trail) and self.trail[-1] == name) for key, name, title in SCREENS]

    def offered(self) -> list[tuple[Action, str | None]]:
        """The actions the footer names, with the reason where one cannot be done now."""
        wanted = [BY_ID[name] for name in FOOTER]
        return [(action, self.reason(action)) for action in wanted if self.holds(action)]

    def moved(self) -> None:
        """Draw the lines around the screen anew."""
        said = (self.where(), self.offered(), self.tabs())
        if said != self._said:
            self._said = said
            self.crumb_line.refresh()
            self.hint_line.refresh()

    # freshness ----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask the ledger for a sign of life."""
        if not self.paused:
            self.jobs.submit("pulse", self.source.pulse, self._post)

    def _post(self, outcome: Outcome[Any]) -> None:
        self.post_message(Answer("pulse", 0, outcome))

    def on_answer(self, answer: Answer) -> None:
        """The ledger answered, or did not."""
        if answer.slot != "pulse":
            return
        pulse = answer.outcome.value
        if pulse is None:
            if self.link != "disconnected":
                self.failed(answer.outcome)
            self.link = "disconnected"
        else:
            came_back = self.link == "disconnected"
            self._answered = self.clock().timestamp()
            changed = self.pulse is not None and pulse != self.pulse
            self.pulse = pulse
            self.link = "live"
            if self.view is not None and (changed or came_back or self.reread or self.view.ALWAYS):
                self.view.reload()
            self.reread = False
        self.tick()

    def tick(self) -> None:
        """Age the data: three intervals without an answer make it stale."""
        now = self.clock().timestamp()
        old = self._answered is not None and now - self._answered > 3 * self.interval
        if self.paused:
            self.link = "paused"
        elif self.link in ("live", "stale"):
            self.link = "stale" if old else "live"
        for view in self.views.values():
            view.dim(self.link in ("stale", "disconnected") or (self.paused and old))
        self.header.refresh()
        self.moved()

    def failed(self, outcome: Outcome[Any]) -> None:
        """Show a failure once: a toast now, the whole text on demand."""
        known = self.last_error
        self.last_error = outcome
        if known is None or known.error != outcome.error:
            toast(self, outcome.error, severity="error")

    # screens ------------------------------------------------------------------------------------------

    @property
    def view(self) -> View | None:
        """The screen that is open."""
        return self.views.get(self.trail[-1]) if self.trail else None

    def open_view(self, name: str, argument: str = "") -> None:
        """Go to a screen; it is made when it is first opened."""
        before = self.view
        if not self.trail or self.trail[-1] != name:
            self.trail.append(name)
            del self.trail[:-20]
        view = self.views.get(name)
        if view is None:
            view = self.views[name] = make_view(name)
            width = self.size.width
            view.room = ONE if width < _NARROW else THREE if width >= _WIDE else TWO
            self.body.mount(view)
        elif view is not before:
            view.reload()
        for other in self.views.values():
            other.display = other is view
        if argument:
            view.go(argument)
        self.call_after_refresh(view.activate, view.active)

    # actions ------------------------------------------------------------------------------------------

    def holds(self, action: Action) -> bool:
        """True where an action belongs to the open screen."""
        return not action.where or (bool(self.trail) and self.trail[-1] in action.where)

    def reason(self, action: Action) -> str | None:
        """Why an action cannot be done now; None where it can."""
        return self.view.reason(action.id) if self.view is not None else None

    def on_key(self, event: Key) -> None:
        """Hand the prompt the keys that were on their way elsewhere when it opened."""
        if self.prompt.display:
            event.prevent_default()  # Textual would run its own handler, which looks for a binding, as well
            self.prompt.on_key(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the table says, where it says so."""
        known = BY_ID.get(action)
        if known is None:
            return super().check_action(action, parameters)
        return self.holds(known)
