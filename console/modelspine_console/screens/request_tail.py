"""The newest requests as they come in: a table for each place that shows them, kept at the newest while one is there.

It does not fetch them, and does not know why there are none to be had.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine_console.data.jobs import Outcome
from modelspine_console.screens.incident_text import NONE, request_columns
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Found


class Tail:
    """Requests, newest first."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.inside, self.beside = (Table(request_columns(now), lambda trace: trace.request_id) for _ in range(2))
        """The table of a tab, and the one that stands beside it where there is room."""
        self.found: Outcome[Found] | None = None

    def came(self, outcome: Outcome[Found]) -> None:
        """Show what was fetched; a cursor on the newest request stays on the newest."""
        self.found = outcome
        for table in (self.inside, self.beside):
            newest = table.cursor == 0
            if outcome.value is not None:
                table.load(outcome.value.traces)
            if newest:
                table.jump(end=False)

    def turn(self, pane: Pane, silent: Callable[[Pane, Outcome[Any]], None]) -> None:
        """Put a pane that shows them into its state; ``silent`` says why they cannot be had."""
        if self.found is None:
            pane.turn("loading", "reading the newest requests …")
        elif self.found.value is None:
            silent(pane, self.found)
        elif not self.found.value.traces:
            pane.turn("empty", *NONE.split("\n", 1))
        else:
            pane.turn("ready")

    def under(self, body: object) -> Any:
        """The request under the cursor of ``body``, where that is one of the tables."""
        return body.current if isinstance(body, Table) and body in (self.inside, self.beside) else None
