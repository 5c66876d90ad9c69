"""What is shown of a screen, and what is taken along: sorting, marking, checking, copying, exporting.

It changes no store; a file it writes is new.
"""

from __future__ import annotations

from collections.abc import Callable

from modelspine_console.action import GROUPS
from modelspine_console.app_protocol import Host
from modelspine_console.data.export import write
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.sanitize import toast
from modelspine_console.screens.base import View
from modelspine_console.widgets.table import Table


class Selection:
    """What may be done with the rows and documents of the open screen."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def _view(self) -> View | None:
        view: View | None = self._host.view
        return view

    # look ---------------------------------------------------------------------------------------------

    def sort(self) -> None:
        """Sort by the next column."""
        self._sort(lambda table: table.next_sort())

    def sort_back(self) -> None:
        """Sort the other way round."""
        self._sort(lambda table: table.sort(table.sorted_by, backwards=not table.backwards))

    def _sort(self, change: Callable[[Table], None]) -> None:
        view = self._view
        if view is not None:
            change(view.table)
            view.recount()

    def mark(self) -> None:
        """Mark the row."""
        if self._view is not None:
            self._view.table.mark()
            self._host.moved()

    def compare(self) -> None:
        """Compare the two marked entries."""
        if self._view is not None and self._allowed("compare"):
            self._view.compare()

    def verify(self) -> None:
        """Hash again what is behind this."""
        if self._view is not None and self._allowed("verify"):
            self._view.verify()

    def zoom(self) -> None:
        """Show one pane alone, or all."""
        view = self._view
        if view is not None:
            view.zoomed = not view.zoomed
            view.activate(view.active)

    def help(self) -> None:
        """The keys that hold now, from the live bindings."""
        from modelspine_console.dialogs.dialogs import Reader, help_lines

        host, live = self._host, self._host.live_actions()
        groups = [
            (group, [(a.shown, a.help, host.reason(a)) for a in host.actions if a.group == group and a.id in live])
            for group in GROUPS
        ]
        host.push_screen(Reader("keys", lambda width: help_lines([g for g in groups if g[1]], width)))

    # take ---------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Copy the id."""
        copies = self._view.copies() if self._view is not None else []
        if copies:
            self._copy(*copies[0])

    def copy_menu(self) -> None:
        """Choose what to copy."""
        from modelspine_console.dialogs.dialogs import Choice

        copies = self._view.copies() if self._view is not None else []
        if copies:
            self._host.push_screen(
                Choice("copy", copies), lambda number: self._copy(*copies[number]) if number is not None else None
            )

    def _copy(self, name: str, text: str) -> None:
        self._host.copy_to_clipboard(text)
        toast(self._host, text, title=f"{name} copied")

    def export(self) -> None:
        """Write what is shown into a file."""
        host = self._host
        exported = self._view.export() if self._view is not None else None
        if exported is None:
            toast(host, "there is nothing to write here", severity="warning")
            return
        folder = host.source.settings.home / "exports"
        name, value = exported

        def done(outcome: Outcome[object]) -> None:
            if outcome.ok:
                host.call_from_thread(toast, host, outcome.value, title="written")
            else:
                host.call_from_thread(host.failed, outcome)

        host.jobs.submit("export", lambda: write(folder, name, value, host.clock()), done)

    def _allowed(self, name: str) -> bool:
        reason = self._host.reason(self._host.action(name))
        if reason is not None:
            toast(self._host, reason, severity="warning")
        return reason is None
