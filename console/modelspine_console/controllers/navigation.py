"""Going places: screens, panes and rows, what is typed behind ``/`` and ``:``, another moment, and the way out.

It changes what is shown and nothing else.
"""

from __future__ import annotations

from modelspine_console.app_protocol import Host
from modelspine_console.controllers import jump as jumps
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.data.jobs import attempt
from modelspine_console.draw.sanitize import toast
from modelspine_console.screens.base import View
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Table

PLACES = "registry · lineage REF · traffic · drift DAY · cost · incident ID · history · at TIME · rw · ro · q"


class Navigation:
    """Moving between screens, and inside the one that is open."""

    def __init__(self, host: Host, write_mode: WriteMode) -> None:
        self._host = host
        self._write_mode = write_mode

    @property
    def _view(self) -> View | None:
        view: View | None = self._host.view
        return view

    @property
    def _body(self) -> Table | Doc | None:
        return self._view.pane.body if self._view is not None else None

    # screens ------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Open a screen."""
        self._host.open_view(name)

    def lineage(self) -> None:
        """Show where the entry here comes from."""
        if self._view is not None and self._view.target():
            self._host.open_view("lineage", self._view.target())

    def incident(self) -> None:
        """Show the requests this is about."""
        asked = self._view.requests() if self._view is not None else ""
        if asked:
            self._host.open_view("incident")
            self._filter_by(asked)

    def last(self) -> None:
        """Go to the screen before this one."""
        trail = self._host.trail
        earlier = next((name for name in reversed(trail) if name != trail[-1]), "")
        if earlier:
            self._host.open_view(earlier)

    def back(self) -> None:
        """Clear the filter, else undo a step in the screen, else go to the screen before."""
        view, trail = self._view, self._host.trail
        if view is None:
            return
        if view.filter_text:
            self._filter_by("")
        elif not view.back() and len(trail) > 1:
            trail.pop()
            self._host.open_view(trail[-1])
        self._host.moved()

    def step_out(self) -> None:
        """Go back inside a screen, or leave."""
        if self._view is None or not self._view.back():
            self.leave()

    def leave(self) -> None:
        """Give the terminal back."""
        self._host.jobs.close()
        self._host.exit(0)

    # panes and rows -----------------------------------------------------------------------------------

    def drill(self) -> None:
        """Go into what is under the cursor."""
        if self._view is not None:
            self._view.drill()

    def detail(self) -> None:
        """Move to the detail."""
        if self._view is not None:
            self._view.activate(1)

    def pane(self, step: int) -> None:
        """Move to the next pane, or to the one before."""
        if self._view is not None:
            self._view.step(step)

    def tab(self, step: int) -> None:
        """Show the next tab, or the one before."""
        if self._view is not None:
            self._view.turn_tab(step)
            self._host.moved()

    def move(self, rows: int) -> None:
        """Move the cursor by rows."""
        if self._body is not None:
            self._body.move(rows)

    def page(self, direction: int) -> None:
        """Move the cursor by half a page."""
        if self._body is not None:
            self.move(direction * max(1, self._body.size.height // 2))

    def end(self, *, last: bool) -> None:
        """To the first row, or the last."""
        if self._body is not None:
            self._body.jump(end=last)

    def unfold(self, *, open_: bool) -> None:
        """Open the branch under the cursor, or close it."""
        if self._view is not None:
            self._view.unfold(open_=open_)

    # what is typed ------------------------------------------------------------------------------------

    def ask_for_a_filter(self) -> None:
        """Open the filter prompt."""
        view = self._view
        if view is not None:
            note = "  ".join(f"{name}:" for name in sorted(view.FIELDS)) + "  ! inverts"
            self._host.prompt.open("/", view.asked(), view.PROMPT or note)

    def ask_for_a_place(self) -> None:
        """Open the jump prompt."""
        self._host.prompt.open(":", "", PLACES)

    def palette(self) -> None:
        """Open the palette."""
        from modelspine_console.dialogs.dialogs import Choice

        host = self._host
        actions = [action for action in host.actions if host.holds(action) and host.reason(action) is None]
        items = [(action.title, f"{action.shown}  {action.help}") for action in actions]

        def chosen(number: int | None) -> None:
            if number is not None:
                host.call_later(host.act, actions[number].id)

        host.push_screen(Choice("palette", items, typed=True), chosen)

    def prompt_changed(self) -> None:
        """A filter narrows while it is typed."""
        if self._host.prompt.sign == "/" and self._view is not None:
            self._view.narrow(self._host.prompt.text)

    def prompt_done(self, kept: bool) -> None:
        """The prompt ended: keep the filter or drop it, or jump."""
        prompt, view = self._host.prompt, self._view
        prompt.close()
        if view is not None:
            view.activate(view.active)
            if prompt.sign == "/" and not kept:
                view.narrow("")
            if prompt.sign == "/":
                view.settle()
        if prompt.sign == ":" and kept:
            self.jump(prompt.text)

    def _filter_by(self, text: str) -> None:
        """Set the filter of the open screen."""
        if self._view is not None:
            self._view.set_filter(text)
            self._view.settle()

    def jump(self, text: str) -> None:
        """Go where a jump names."""
        host, found = self._host, jumps.parse(text)
        if found is None:
            if text.strip():
                toast(host, f"no place is called {text}; there are {', '.join(jumps.VERBS)}", severity="warning")
        elif found.place in ("error", "export", "help", "leave"):
            host.call_later(host.act, found.place)
        elif found.place == "info":
            self._info()
        elif found.place == "at":
            self._travel(found.argument)
        elif found.place in ("rw", "ro"):
            self._write_mode.switch(on=found.place == "rw")
        else:
            host.open_view(found.place, found.argument)

    def _travel(self, text: str) -> None:
        host = self._host
        outcome = attempt(lambda: host.source.moment(text))
        if not outcome.ok:
            host.failed(outcome)
            return
        host.source.at = outcome.value
        for view in host.views.values():
            view.reload()
        host.tick()

    def _info(self) -> None:
        from modelspine_console.dialogs.dialogs import Reader
        from modelspine_console.dialogs.settings import setting_lines

        host = self._host
        host.push_screen(Reader("settings", lambda _width: setting_lines(host.source.settings)))
