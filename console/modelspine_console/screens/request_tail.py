"""The newest requests as they arrive: one table for each place that shows them, kept at the newest one.

It does not fetch them, and does not know why they may be unavailable.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelspine.traffic.sentences import requests_sentence
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import headline
from modelspine_console.screens.incident_list import NO_REQUESTS, request_columns
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Found


class Tail:
    """Requests, newest first."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.inside, self.beside = (Table(request_columns(now), lambda trace: trace.request_id) for _ in range(2))
        """The table of the requests tab, and the one that is shown beside the tabs where there is room."""
        self.found: Outcome[Found] | None = None

    def came(self, outcome: Outcome[Found]) -> None:
        """Show what was fetched; a cursor on the newest request stays on the newest one."""
        self.found = outcome
        for table in (self.inside, self.beside):
            newest = table.cursor == 0
            if outcome.value is not None:
                table.load(outcome.value.traces)
            if newest:
                table.jump(end=False)

    def turn(self, pane: Pane, explain: Callable[[Pane, Outcome[Any]], None]) -> None:
        """Set the state of a pane that shows the requests; ``explain`` says why they are unavailable."""
        if self.found is None:
            pane.turn("loading", "reading the newest requests …")
        elif self.found.value is None:
            explain(pane, self.found)
        elif not self.found.value.traces:
            pane.turn("empty", *NO_REQUESTS.split("\n", 1))
        else:
            said = requests_sentence(self.found.value.traces)
            if pane.above is not None:
                pane.above.show(lambda _width: headline(said))
            pane.turn("ready")

    def under(self, body: object) -> Any:
        """The request under the cursor of ``body``; None if that is none of the two tables."""
        return body.current if isinstance(body, Table) and body in (self.inside, self.beside) else None
