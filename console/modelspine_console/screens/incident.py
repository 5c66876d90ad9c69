"""The Incident screen: a list of requests, and the incident walk of one of them.

A walk hashes bundles and runs models again, so it starts only on request. What its answers say, core decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelspine.text import argument as shell_argument
from modelspine.words import words
from modelspine_console.action import ANSWERS
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins
from modelspine_console.screens import incident_text as texts
from modelspine_console.screens.base import document
from modelspine_console.screens.incident_search import RequestsView
from modelspine_console.widgets.document import Doc, Lines
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Trace
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk

_MAX_WALKS = 20
"""Walks that are kept, so that going back to one does not run models again."""


class IncidentView(RequestsView):
    """Requests, and the walk of one of them."""

    NAME = "incident"
    TRACES = True

    def __init__(self) -> None:
        self._about = Lines()
        self._evidence = Doc()
        self.answers = Table(texts.answer_columns(), lambda finding: finding.n, head=False)
        walk = Pane("walk", self.answers, above=self._about, below=self._evidence)
        super().__init__(walk, document("trace"))
        self.trace_pane = self.panes[2]
        self.walks: dict[str, Walk] = {}
        self.request = ""
        self._answers_of = ""
        """The request whose answers are listed; the list of another one opens on its first answer."""

    def on_mount(self) -> None:
        """Give the exchange and the eight answers fixed heights; the evidence gets the rest."""
        self._about.styles.height = 3
        self.answers.styles.height = 9
        self._about.show(
            lambda width: texts.about(self._trace, self.walks.get(self.request), width, at=self.desk.source.at)
        )
        super().on_mount()

    def reload(self) -> None:
        """Read the page again, unless a walk hides it: the requests before and after the one walked stay the same."""
        hidden = self.found is not None and not self.list.display
        if not hidden or self.desk.reread or self._moment != self.desk.source.at:
            super().reload()

    def arrived(self, *, same: bool) -> None:
        """Show the request under the cursor, unless a walk has the focus."""
        if not same and self.request and self.active:
            self._show_trace()
            self._describe()
        elif not same:
            self.select()

    def select(self) -> None:
        """Show the request under the cursor, unless a walk has the focus."""
        trace: Trace | None = self.table.current
        if self.active and self.request:
            return
        if trace is not None:
            self._show(trace.request_id)
        elif self.found is not None:
            self.request = ""
            self.about.title("walk")
            self._about.refresh()
            for pane in self.panes[1:]:
                pane.turn("empty", "no request selected")

    def refilter(self) -> None:
        """Apply the filter, and show no request where none is left."""
        super().refilter()
        if not self.table.order:
            self.select()

    # the walk -----------------------------------------------------------------------------------------

    def drill(self) -> None:
        """Walk the request under the cursor; from an answer of the walk, go to where its evidence is shown."""
        trace: Trace | None = self.table.current
        if self.active == 1:
            self._follow()
        elif trace is not None:
            self.open_request(trace.request_id)

    def open_request(self, request_id: str) -> None:
        """Walk a request and show the walk on the whole screen, with the cursor on its first answer."""
        self._answers_of = ""
        self._show(request_id)
        self.open_alone(1)
        self._describe()
        if request_id not in self.walks:
            self.about.turn("loading", "verifying hashes, searching training data, re-running the models …")
            self.ask("walk", lambda: self.desk.source.walk(request_id), self._walked)

    def go(self, argument: str) -> None:
        """Open a request by its id."""
        self.table.seek(argument)
        self.open_request(argument)

    def _walked(self, outcome: Outcome[Walk]) -> None:
        walk = outcome.value
        if walk is None:
            self.lost(outcome, self.about)
            return
        self.walks.pop(walk.request_id, None)  # so that it becomes the newest
        self.walks[walk.request_id] = walk
        if len(self.walks) > _MAX_WALKS:
            del self.walks[next(iter(self.walks))]
        if walk.request_id == self.request:  # the cursor may have moved on meanwhile
            self._show(walk.request_id)
            if self.active == 1:
                self.activate(1)

    def _show(self, request_id: str) -> None:
        self.request = request_id
        self._show_trace()
        walk = self.walks.get(request_id)
        if walk is None:
            hint = "Enter: verify hashes, search training data, re-run the models"
            self.about.turn("empty", "not investigated yet", hint)
        else:
            self.about.turn("ready")
            self.answers.load(walk.answers)
            if request_id != self._answers_of:
                self.answers.jump(end=False)
            self._answers_of = request_id
            self.select_inside()

    def _show_trace(self) -> None:
        """Show the exchange and everything recorded about the request."""
        trace = self._trace
        self._describe()
        self.about.title(self.request)
        self._about.refresh()
        if trace is not None:
            lines = texts.trace_lines(trace)
            self.trace_pane.show(lambda _width: lines)

    def select_inside(self) -> None:
        """Show the evidence of the answer under the cursor."""
        finding: Finding | None = self.answers.current
        if finding is not None:
            lines = texts.evidence(finding)
            self._evidence.show(lambda _width: lines)
            self.desk.moved()

    # inside the walk ----------------------------------------------------------------------------------

    def answer(self, number: int) -> None:
        """Put the cursor on one of the eight answers."""
        if self.request in self.walks:
            self.activate(1)
            self.answers.go(number - 1)

    def neighbour(self, step: int) -> None:
        """Walk the request before or after the one that is shown, in the order of the list."""
        if self._no_neighbour(step) is None:
            self.table.move(step)
            trace: Trace | None = self.table.current
            if trace is not None:
                self.open_request(trace.request_id)

    @property
    def _place(self) -> int | None:
        """Where the request that is shown is in the list; None if it is not there."""
        trace: Trace | None = self.table.current
        return self.table.cursor if trace is not None and trace.request_id == self.request else None

    def _describe(self) -> None:
        """Show at the head of the walk where the request is in the list, and the keys to those beside it."""
        place = self._place if self.active else None
        there = "" if place is None else f"{place + 1:,} of {len(self.table.order):,}   ( before   ) after"
        self.about.describe(there)

    def _follow(self) -> None:
        """Go to the screen that shows the evidence of the answer under the cursor."""
        finding = self._finding
        if finding is not None:
            place, argument = texts.place(self.walks[self.request], finding)
            if place:
                self.desk.open_view(place, argument)

    @property
    def _trace(self) -> Trace | None:
        """The trace of the request that is shown."""
        walk = self.walks.get(self.request)
        if walk is not None:
            return walk.trace
        traces = self.found.traces if self.found is not None else ()
        return next((trace for trace in traces if trace.request_id == self.request), None)

    @property
    def _finding(self) -> Finding | None:
        """The answer under the cursor, if the request that is shown was walked."""
        finding: Finding | None = self.answers.current if self.request in self.walks else None
        return finding

    def back(self) -> bool:
        """Leave the walk for the list, with the cursor on the request that was walked."""
        walked = self.request if self.active else ""
        went = super().back()
        if walked and not self.active:
            self.table.seek(walked)
            self.select()
            self._describe()
            self.reload()  # the list stood still during the walk
        return went

    # names --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry that answered."""
        return self._trace.entry_sha if self._trace is not None else ""

    def reason(self, action: str) -> str | None:
        """A lineage needs an entry that answered, a change a walk that names it."""
        if action == "lineage":
            return None if self.target() else "no entry answered this request"
        if action in ("walk_before", "walk_after"):
            return self._no_neighbour(-1 if action == "walk_before" else 1)
        if action.startswith("answer_"):
            return None if self.request in self.walks else "investigate the request first (enter)"
        return texts.refusal(action, self.walked()) if action in ("rollback", "route", "never_regress") else None

    def _no_neighbour(self, step: int) -> str | None:
        """Why there is no request to walk before or after this one; None if there is."""
        place = self._place
        if not self.active:
            return "investigate a request first (enter)"
        if place is None:
            return "this request is not in the list"
        there = 0 <= place + step < len(self.table.order)
        return None if there else f"this is the {'last' if step > 0 else 'first'} request of the list"

    def goal(self) -> tuple[str, str]:
        """The entry that answer 8 names, with the request as the reason."""
        return texts.fix(self.walked())[1], self.request

    def walked(self) -> Any:
        """The walk of the request that is shown, while it has the focus."""
        return self.walks.get(self.request) if self.active else None

    def crumbs(self) -> tuple[str, ...]:
        """The request, and the answer."""
        if not self.active or not self.request:
            return ()
        finding = self._finding
        return (self.request, *((f"{finding.n} {ANSWERS[finding.n - 1][1]}",) if finding is not None else ()))

    def copies(self) -> list[tuple[str, str]]:
        """The request's names, and the equivalent commands."""
        trace, walk, finding = self._trace, self.walks.get(self.request), self._finding
        if not self.request:
            return []
        found = [("request id", self.request)]
        if trace is not None:
            found += [("entry sha", trace.entry_sha), ("trace id", trace.trace_id)]
            found += [(words().input, trace.input)] if trace.input else []
        if finding is not None and self.active == 1:
            found.append(("verify command", finding.command))
        if walk is not None and walk.suggestion:
            found.append(("fix", walk.suggestion))
        return [*found, ("command", f"spine incident --json {shell_argument(self.request)}")]

    def export(self) -> tuple[str, Any] | None:
        """The walk that is shown, else the traces in the list."""
        walk = self.walked()
        return (f"incident-{walk.request_id}", builtins(walk)) if walk is not None else super().export()
