"""Actions on what the open screen shows: sorting, marking, comparing, verifying, copying, exporting.

It changes no store; an export writes a new file.
"""

from __future__ import annotations

from collections.abc import Callable

from modelspine_console.action import GROUPS
from modelspine_console.app_protocol import Host
from modelspine_console.data.export import FORMATS, as_csv, as_json, write
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.sanitize import SENT, toast
from modelspine_console.screens.base import View


class Selection:
    """What can be done with the rows and documents of the open screen."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def _view(self) -> View:
        view: View = self._host.view
        return view

    def sort(self) -> None:
        """Sort by the next column."""
        self._view.table.next_sort()
        self._view.resorted()

    def reverse_sort(self) -> None:
        """Reverse the sort order."""
        table = self._view.table
        table.sort(table.sorted_by, backwards=not table.backwards)
        self._view.resorted()

    def mark(self) -> None:
        """Mark or unmark the row."""
        self._view.table.mark()
        self._host.moved()

    def compare(self) -> None:
        """Compare the two marked entries."""
        if self._allowed("compare"):
            self._view.compare()

    def counterfactual(self) -> None:
        """Put the stored requests to the two marked entries."""
        if self._allowed("counterfactual"):
            self._view.compare(on_requests=True)

    def verify(self) -> None:
        """Verify what the screen shows."""
        if self._allowed("verify"):
            self._view.verify()

    def help(self) -> None:
        """Show the available keys, from the bindings that are active now."""
        from modelspine_console.dialogs.help import Help

        host, live = self._host, self._host.live_actions()
        groups = [
            (group, [(a.shown, a.help, host.reason(a)) for a in host.actions if a.group == group and a.id in live])
            for group in GROUPS
        ]
        host.push_screen(Help([group for group in groups if group[1]]))

    def copy(self) -> None:
        """Copy the id of what is under the cursor."""
        copies = self._view.copies()
        if copies:
            self._copy(*copies[0])

    def copy_menu(self) -> None:
        """Choose what to copy."""
        from modelspine_console.dialogs.dialogs import Choice

        copies = self._view.copies()
        if copies:
            self._host.push_screen(
                Choice("copy", copies), lambda number: self._copy(*copies[number]) if number is not None else None
            )

    def _copy(self, name: str, text: str) -> None:
        self._host.copy_to_clipboard(text)
        toast(self._host, text, title=f"{name} {SENT}")

    def columns(self) -> None:
        """Choose the columns of the list."""
        from modelspine_console.dialogs.columns import Columns

        if not any(column.title for column in self._view.table.columns):
            toast(self._host, "the lines of this screen have no columns", severity="warning")
            return
        self._host.push_screen(Columns(self._view.table))

    def export(self) -> None:
        """Write what is shown into a JSON file."""
        self.export_as("json")

    def export_as(self, kind: str) -> None:
        """Write what is shown into a file: ``json``, ``csv``, or ``svg`` for a picture of the screen."""
        host, kind = self._host, kind or "json"
        if kind not in FORMATS:
            toast(host, f"unknown format {kind}; available: {', '.join(FORMATS)}", severity="warning")
        elif kind == "svg":  # the prompt or dialog that asked for it must be gone from the picture
            host.screen_stack[-1].refresh(layout=True)
            host.call_after_refresh(self._export_picture)
        else:
            exported = self._view.export()
            if exported is None:
                toast(host, "nothing to export here", severity="warning")
            else:
                name, value = exported
                encode = as_csv if kind == "csv" else as_json
                self._write(name, kind, lambda: encode(value))

    def _export_picture(self) -> None:
        picture = self._host.export_screenshot(title="spine console", simplify=True).encode()
        self._write(self._view.NAME, "svg", lambda: picture)

    def _write(self, name: str, suffix: str, content: Callable[[], bytes]) -> None:
        host = self._host
        folder = host.source.settings.home / "exports"

        def done(outcome: Outcome[object]) -> None:
            if outcome.ok:
                host.call_from_thread(toast, host, outcome.value, title="exported")
            else:
                host.call_from_thread(host.failed, outcome, again=True)

        host.jobs.submit("export", lambda: write(folder, name, suffix, content(), host.clock()), done)

    def _allowed(self, name: str) -> bool:
        """Whether an action can be done now; if not, the reason is shown."""
        reason = self._host.reason(self._host.action(name))
        if reason is not None:
            toast(self._host, reason, severity="warning")
        return reason is None
