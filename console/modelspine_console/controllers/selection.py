"""Actions that change what is shown or take something along; one method ``action_<id>`` a row of the table.

None takes an argument, so none can be given one by anything on the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from modelspine_console.data.export import write
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.draw.theme import NAMES, Palette
from modelspine_console.keymap import ACTIONS, GROUPS, Action
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine_console.app import Console
    from modelspine_console.screens.base import View


class Handlers:
    """The actions; mixed into the app."""

    @property
    def _app(self) -> Console:
        return cast("Console", self)

    @property
    def _view(self) -> View | None:
        return self._app.view

    # look -----------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the filter prompt."""
        view = self._view
        if view is not None:
            note = "  ".join(f"{name}:" for name in sorted(view.FIELDS)) + "  ! inverts"
            self._app.prompt.open("/", view.asked(), view.PROMPT or note)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort(lambda table: table.next_sort())

    def action_sort_back(self) -> None:
        """Sort the other way round."""
        self._sort(lambda table: table.sort(table.sorted_by, backwards=not table.backwards))

    def _sort(self, change: Callable[[Table], None]) -> None:
        view = self._view
        if view is not None:
            change(view.table)
            view.recount()

    def action_mark(self) -> None:
        """Mark the row."""
        if self._view is not None:
            self._view.table.mark()
            self._app.moved()

    def action_compare(self) -> None:
        """Compare the two marked entries."""
        from modelspine_console.screens.registry import RegistryView

        if isinstance(self._view, RegistryView) and self._allowed("compare"):
            self._view.compare()

    def action_verify(self) -> None:
        """Hash again what is behind this."""
        if self._view is not None and self._allowed("verify"):
            self._view.verify()

    def action_zoom(self) -> None:
        """Show one pane alone, or all."""
        view = self._view
        if view is not None:
            view.zoomed = not view.zoomed
            view.activate(view.active)

    def action_refresh(self) -> None:
        """Read everything again, opening the stores anew."""
        self._app.restart()

    def action_pause(self) -> None:
        """Stop reading, or go on."""
        self._app.paused = not self._app.paused
        if not self._app.paused:
            self._app.link = "stale"
            self._app.look()
        self._app.tick()

    # take -----------------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy the id."""
        copies = self._view.copies() if self._view is not None else []
        if copies:
            self._copy(*copies[0])

    def action_copy_menu(self) -> None:
        """Choose what to copy."""
        from modelspine_console.dialogs.dialogs import Choice

        copies = self._view.copies() if self._view is not None else []
        if copies:
            self._app.push_screen(
                Choice("copy", copies), lambda number: self._copy(*copies[number]) if number is not None else None
            )

    def _copy(self, name: str, text: str) -> None:
        self._app.copy_to_clipboard(text)
        toast(self._app, text, title=f"{name} copied")

    def action_export(self) -> None:
        """Write what is shown into a file."""
        exported = self._view.export() if self._view is not None else None
        if exported is None:
            toast(self._app, "there is nothing to write here", severity="warning")
            return
        folder = self._app.source.settings.home / "exports"
        name, value = exported

        def done(outcome: Outcome[object]) -> None:
            if outcome.ok:
                self._app.call_from_thread(toast, self._app, outcome.value, title="written")
            else:
                self._app.call_from_thread(self._app.failed, outcome)

        self._app.jobs.submit("export", lambda: write(folder, name, value, self._app.clock()), done)

    def action_error(self) -> None:
        """Show the last error in full."""
        from modelspine_console.dialogs.dialogs import Reader

        error = self._app.last_error
        if error is None:
            toast(self._app, "no error so far")
            return
        text = f"{error.error}\n{error.hint}"
        self._app.push_screen(
            Reader(
                "last error",
                lambda _width: [safe(error.error, "bad", limit=4000), safe(""), safe(error.hint)],
                copied=text,
            )
        )

    # console --------------------------------------------------------------------------------------------

    def action_theme(self) -> None:
        """Light or dark."""
        app = self._app
        name = NAMES[(NAMES.index(app.palette.name) + 1) % len(NAMES)]
        app.palette = Palette(name, plain=app.palette.plain)
        app.theme = name
        app.refresh(layout=True)
        for widget in app.screen.query("*"):
            widget.refresh()

    def action_help(self) -> None:
        """The keys that hold now, from the live bindings."""
        from modelspine_console.dialogs.dialogs import Reader, help_lines

        live = {binding.action for _, binding, _, _ in self._app.screen.active_bindings.values()}
        groups = [
            (group, [(a.shown, a.help, self._app.reason(a)) for a in ACTIONS if a.group == group and a.id in live])
            for group in GROUPS
        ]
        self._app.push_screen(Reader("keys", lambda width: help_lines([g for g in groups if g[1]], width)))

    def action_step_out(self) -> None:
        """Go back inside a screen, or leave."""
        if self._view is None or not self._view.back():
            self._app.leave()

    def action_leave(self) -> None:
        """Leave at once."""
        self._app.leave()

    def _allowed(self, name: str) -> bool:
        action: Action = next(a for a in ACTIONS if a.id == name)
        reason = self._app.reason(action)
        if reason is not None:
            toast(self._app, reason, severity="warning")
        return reason is None
