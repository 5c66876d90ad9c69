"""Actions that go somewhere: screens, panes, rows; one method ``action_<id>`` a row of ``keymap``.

None takes an argument, so none can be given one by anything on the screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from modelspine_console.keymap import ACTIONS
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine_console.app import Console
    from modelspine_console.screens.base import View


class Moving:
    """Going places; mixed into the app."""

    @property
    def _app(self) -> Console:
        return cast("Console", self)

    @property
    def _view(self) -> View | None:
        return self._app.view

    def _body(self) -> Table | Doc | None:
        return self._view.pane.body if self._view is not None else None

    # go to --------------------------------------------------------------------------------------------

    def action_screen_registry(self) -> None:
        """Open the Registry."""
        self._app.open_view("registry")

    def action_screen_lineage(self) -> None:
        """Open the Lineage."""
        self._app.open_view("lineage")

    def action_screen_traffic(self) -> None:
        """Open the Traffic."""
        self._app.open_view("traffic")

    def action_screen_drift(self) -> None:
        """Open the Drift."""
        self._app.open_view("drift")

    def action_screen_cost(self) -> None:
        """Open the Cost."""
        self._app.open_view("cost")

    def action_screen_incident(self) -> None:
        """Open the Incidents."""
        self._app.open_view("incident")

    def action_screen_ledger(self) -> None:
        """Open the Ledger."""
        self._app.open_view("ledger")

    def action_lineage(self) -> None:
        """Show where the entry here comes from."""
        if self._view is not None and self._view.target():
            self._app.open_view("lineage", self._view.target())

    def action_incident(self) -> None:
        """Show the requests this is about."""
        asked = self._view.requests() if self._view is not None else ""
        if asked:
            self._app.open_view("incident")
            self._app.filter_by(asked)

    def action_last(self) -> None:
        """Go to the screen before this one."""
        earlier = next((name for name in reversed(self._app.trail) if name != self._app.trail[-1]), "")
        if earlier:
            self._app.open_view(earlier)

    def action_go_back(self) -> None:
        """Clear the filter, else undo a step in the screen, else go to the screen before."""
        view = self._view
        if view is None:
            return
        if view.filter_text:
            self._app.filter_by("")
        elif not view.back() and len(self._app.trail) > 1:
            self._app.trail.pop()
            self._app.open_view(self._app.trail[-1])
        self._app.moved()

    def action_jump(self) -> None:
        """Open the jump prompt."""
        self._app.prompt.open(
            ":",
            "",
            "registry · lineage REF · traffic · drift DAY · cost · incident ID · history · at TIME · rw · ro · q",
        )

    def action_palette(self) -> None:
        """Open the palette."""
        from modelspine_console.dialogs.dialogs import Choice

        actions = [action for action in ACTIONS if self._app.holds(action) and self._app.reason(action) is None]
        items = [(action.title, f"{action.shown}  {action.help}") for action in actions]

        def chosen(number: int | None) -> None:
            if number is not None:
                self._app.call_later(self._app.run_action, actions[number].id)

        self._app.push_screen(Choice("palette", items, typed=True), chosen)

    # move -----------------------------------------------------------------------------------------------

    def action_drill(self) -> None:
        """Go into what is under the cursor."""
        if self._view is not None:
            self._view.drill()

    def action_detail(self) -> None:
        """Move to the detail."""
        if self._view is not None:
            self._view.activate(1)

    def action_pane_next(self) -> None:
        """Move to the next pane."""
        if self._view is not None:
            self._view.step(1)

    def action_pane_previous(self) -> None:
        """Move to the pane before."""
        if self._view is not None:
            self._view.step(-1)

    def action_tab_next(self) -> None:
        """Show the next tab."""
        if self._view is not None:
            self._view.turn_tab(1)
            self._app.moved()

    def action_tab_previous(self) -> None:
        """Show the tab before."""
        if self._view is not None:
            self._view.turn_tab(-1)
            self._app.moved()

    def action_down(self) -> None:
        """One row down."""
        self._move(1)

    def action_up(self) -> None:
        """One row up."""
        self._move(-1)

    def action_page_down(self) -> None:
        """Half a page down."""
        self._move(self._half())

    def action_page_up(self) -> None:
        """Half a page up."""
        self._move(-self._half())

    def action_top(self) -> None:
        """To the first row."""
        self._jump(end=False)

    def action_bottom(self) -> None:
        """To the last row."""
        self._jump(end=True)

    def action_collapse(self) -> None:
        """Close the branch."""
        if self._view is not None:
            self._view.unfold(open_=False)

    def action_expand(self) -> None:
        """Open the branch."""
        if self._view is not None:
            self._view.unfold(open_=True)

    def _move(self, rows: int) -> None:
        body = self._body()
        if body is not None:
            body.move(rows)

    def _jump(self, *, end: bool) -> None:
        body = self._body()
        if body is not None:
            body.jump(end=end)

    def _half(self) -> int:
        body = self._body()
        return max(1, body.size.height // 2) if body is not None else 1
