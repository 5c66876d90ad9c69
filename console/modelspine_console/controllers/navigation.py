"""Going places: screens, the filter and command prompts, and quitting.

It changes what is shown and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelspine_console.action import SCREENS
from modelspine_console.app_protocol import Host
from modelspine_console.controllers import jump as jumps
from modelspine_console.controllers.moments import Moments
from modelspine_console.controllers.projects import Projects
from modelspine_console.controllers.suggestions import command_words, filter_words
from modelspine_console.controllers.write_mode import WriteMode
from modelspine_console.draw.sanitize import toast
from modelspine_console.screens.base import View

PLACES = (
    "home · registry · lineage REF · traffic · drift DAY · cost · incident ID · history · at TIME [.. TIME]"
    " · ctx PROJECT · rw · ro · q"
)


class Navigation:
    """Moves between screens and handles what is typed into the prompt."""

    def __init__(self, host: Host, write_mode: WriteMode, projects: Projects) -> None:
        self._host = host
        self._write_mode = write_mode
        self.moments = Moments(host)
        self.projects = projects
        self.commands: Mapping[str, Callable[[str], None]] = {}
        """What runs a command that goes nowhere, given its argument."""

    @property
    def _view(self) -> View | None:
        view: View | None = self._host.view
        return view

    # screens ------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Open a screen."""
        self._host.open_view(name)

    def lineage(self) -> None:
        """Show the lineage of the entry the open screen is about."""
        target = self._view.target() if self._view is not None else ""
        if target:
            self._host.open_view("lineage", target)

    def incident(self) -> None:
        """List the requests of the entry or day the open screen is about."""
        requests = self._view.requests() if self._view is not None else ""
        if requests:
            self._host.open_view("incident")
            self.filter_by(requests)

    def last(self) -> None:
        """Go to the previous screen."""
        trail = self._host.trail
        previous = next((name for name in reversed(trail) if name != trail[-1]), "")
        if previous:
            self._host.open_view(previous)

    def back(self) -> None:
        """Undo one level, the innermost: a step in the screen, else the filter, else the way from another screen."""
        view, trail = self._view, self._host.trail
        if view is None:
            return
        if view.back():
            pass
        elif view.filter_text:
            self.filter_by("")
        elif len(trail) > 1:
            trail.pop()
            self._host.open_view(trail[-1])
        self._host.moved()

    def step_out(self) -> None:
        """Undo a step in the screen, or quit."""
        if self._view is None or not self._view.back():
            self.leave()

    def leave(self) -> None:
        """Quit."""
        self._host.jobs.close()
        self._host.exit(0)

    # prompts ------------------------------------------------------------------------------------------

    def open_filter_prompt(self) -> None:
        """Open the filter prompt."""
        view = self._view
        if view is not None:
            note = "  ".join(f"{name}:" for name in sorted(view.fields)) + "  ! excludes"
            self._host.prompt.open("/", view.asked(), note, filter_words(view))

    def open_command_prompt(self) -> None:
        """Open the command prompt."""
        self._host.prompt.open(":", "", PLACES, command_words(self._host.views, self.projects.names))

    def open_palette(self) -> None:
        """Open the command palette: the actions that can be done now, then the others with the reason."""
        from modelspine_console.dialogs.dialogs import Choice

        host = self._host
        known = [(action, host.reason(action)) for action in host.actions if host.holds(action)]
        known.sort(key=lambda each: each[1] is not None)
        actions = [action for action, _ in known]
        items = [(a.title, f"{a.shown}  {f'not now: {why}; ' if why else ''}{a.help}") for a, why in known]
        items += [(title, f":{command}  {text}") for title, command, text in jumps.IN_PALETTE]

        def chosen(number: int | None) -> None:
            if number is not None and number < len(actions):
                host.call_later(host.act, actions[number].id)
            elif number is not None:
                host.call_later(self.jump, jumps.IN_PALETTE[number - len(actions)][1])

        host.push_screen(Choice("command palette", items, typed=True), chosen)

    def prompt_changed(self) -> None:
        """Filter while the filter is being typed."""
        if self._host.prompt.sign == "/" and self._view is not None:
            self._view.narrow(self._host.prompt.text)

    def prompt_done(self, kept: bool) -> None:
        """Close the prompt: keep or drop the filter, or run the command."""
        prompt, view = self._host.prompt, self._view
        prompt.close()
        if view is not None:
            view.activate(view.active)
            if prompt.sign == "/":
                if not kept:
                    view.narrow("")
                view.finish_search()
                view.settle()
        if prompt.sign == ":" and kept:
            self.jump(prompt.text)

    def leave_prompt(self) -> None:
        """Close an open prompt, as Escape does; a click can open another screen while one is open."""
        if self._host.prompt.display:
            self.prompt_done(kept=False)

    def click(self, tab: int | None) -> None:
        """Open the screen of a tab."""
        if tab is not None and self._view is not None:
            self.leave_prompt()
            self._host.act(f"screen_{SCREENS[tab][1]}")

    def filter_by(self, text: str) -> None:
        """Filter the open screen."""
        if self._view is not None:
            self._view.set_filter(text)
            self._view.settle()

    def jump(self, text: str) -> None:
        """Run a command of the command prompt."""
        host, found = self._host, jumps.parse(text)
        if found is None:
            if text.strip():
                toast(host, jumps.not_understood(text), severity="warning")
        elif found.place in self.commands:
            self.commands[found.place](found.argument)
        elif found.place in ("error", "help", "leave"):
            host.call_later(host.act, found.place)
        elif found.place == "info":
            self._show_settings()
        elif found.place == "ctx":
            self.projects.show(found.argument)
        elif found.place == "at":
            self.moments.show(found.argument)
        elif found.place in ("rw", "ro"):
            self._write_mode.switch(on=found.place == "rw")
        else:
            host.open_view(found.place, found.argument)

    def _show_settings(self) -> None:
        from modelspine_console.dialogs.dialogs import Reader
        from modelspine_console.dialogs.settings import setting_lines

        host = self._host
        host.push_screen(Reader("settings", lambda _width: setting_lines(host.source.settings)))
