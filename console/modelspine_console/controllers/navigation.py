"""Prompts and jumps: what is typed behind ``/`` and ``:``, going to another moment, starting over, leaving.

It changes what is shown and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from modelspine_console.app_protocol import Answer
from modelspine_console.controllers import jump as jumps
from modelspine_console.data.jobs import Outcome, attempt
from modelspine_console.data.source import Pulse
from modelspine_console.draw.sanitize import toast

if TYPE_CHECKING:
    from modelspine_console.app import Console


class Travel:
    """Prompt handling; mixed into the app."""

    @property
    def _app(self) -> Console:
        return cast("Console", self)

    def prompt_changed(self) -> None:
        """A filter narrows while it is typed."""
        if self._app.prompt.sign == "/" and self._app.view is not None:
            self._app.view.narrow(self._app.prompt.text)

    def prompt_done(self, kept: bool) -> None:
        """The prompt ended: keep the filter or drop it, or jump."""
        prompt = self._app.prompt
        prompt.close()
        if self._app.view is not None:
            self._app.view.activate(self._app.view.active)
            if prompt.sign == "/" and not kept:
                self._app.view.narrow("")
            if prompt.sign == "/":
                self._app.view.settle()
        if prompt.sign == ":" and kept:
            self.jump(prompt.text)

    def filter_by(self, text: str) -> None:
        """Set the filter of the open screen."""
        if self._app.view is not None:
            self._app.view.set_filter(text)
            self._app.view.settle()

    def jump(self, text: str) -> None:
        """Go where a jump names."""
        found = jumps.parse(text)
        if found is None:
            if text.strip():
                toast(self._app, f"no place is called {text}; there are {', '.join(jumps.VERBS)}", severity="warning")
        elif found.place in ("error", "export", "help", "leave"):
            self._app.call_later(self._app.run_action, found.place)
        elif found.place == "info":
            self._info()
        elif found.place == "at":
            self._travel(found.argument)
        elif found.place in ("rw", "ro"):
            self._app.write_mode(on=found.place == "rw")
        else:
            self._app.open_view(found.place, found.argument)

    def _travel(self, text: str) -> None:
        outcome = attempt(lambda: self._app.source.moment(text))
        if not outcome.ok:
            self._app.failed(outcome)
            return
        self._app.source.at = outcome.value
        for view in self._app.views.values():
            view.reload()
        self._app.tick()

    def _info(self) -> None:
        from modelspine_console.dialogs.dialogs import Reader
        from modelspine_console.dialogs.settings import setting_lines

        self._app.push_screen(Reader("settings", lambda _width: setting_lines(self._app.source.settings)))

    def restart(self) -> None:
        """Close the stores, open them again and read everything."""

        def done(outcome: Outcome[Any]) -> None:
            self._app.post_message(Answer("pulse", 0, outcome))

        def again() -> Pulse:
            self._app.source.reopen()
            return self._app.source.pulse()

        self._app.last_error = None
        self._app.reread = True
        self._app.jobs.submit("pulse", again, done)

    def leave(self) -> None:
        """Give the terminal back."""
        self._app.jobs.close()
        self._app.exit(0)
