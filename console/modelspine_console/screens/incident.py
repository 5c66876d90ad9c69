"""The Incident screen: recent requests, and the incident walk of one of them.

The list is a page of the trace store: a filter narrows the page while it is typed and queries the store on enter. A
walk hashes bundles and runs models again, so it starts only on request. What its answers say, core decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelspine.text import argument as shell_argument
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import PAGE
from modelspine_console.draw.format import builtins
from modelspine_console.screens import incident_text as texts
from modelspine_console.screens.base import View, document
from modelspine_console.widgets.document import Doc, Lines
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.traces import Found, Trace
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk

_MAX_WALKS = 20
"""Walks that are kept, so that going back to one does not run models again."""
_COMPLETE = {"day": r"\d{4}-\d{2}-\d{2}", "sha": "[0-9a-f]{64}", "outcome": "accepted|dismissed|revised"}
"""Filter fields that the store can only look up in full; until then they just narrow the page."""


class IncidentView(View):
    """Requests, newest first."""

    NAME = "incident"
    TRACES = True
    FIELDS = texts.FIELDS
    ALWAYS = True

    def __init__(self) -> None:
        self._about = Lines()
        self._evidence = Doc()
        self.answers = Table(texts.answer_columns(), lambda finding: finding.n, head=False)
        walk = Pane("walk", self.answers, above=self._about, below=self._evidence)
        requests = Table(texts.request_columns(self.now), lambda trace: trace.request_id)
        super().__init__(requests, walk, document("trace"))
        self.trace_pane = self.panes[2]
        self.found: Found | None = None
        self.walks: dict[str, Walk] = {}
        self.request = ""
        self._asked: Mapping[str, str] = {}
        """What the page on screen was queried by."""

    def on_mount(self) -> None:
        """Give the exchange and the eight answers fixed heights; the evidence gets the rest."""
        self._about.styles.height = 3
        self.answers.styles.height = 9
        self._about.show(
            lambda width: texts.about(self._trace, self.walks.get(self.request), width, at=self.desk.source.at)
        )
        super().on_mount()

    # the list -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the newest traces again."""
        asked, source = dict(self._asked), self.desk.source
        self.ask("list", lambda: source.traces(asked), self._loaded, about=(source.at, *sorted(asked.items())))

    def _loaded(self, outcome: Outcome[Found]) -> None:
        if outcome.value is None:
            self.lost(outcome)
        elif outcome.value == self.found:
            self.table.refresh()  # only the ages changed
        else:
            self.found = outcome.value
            self.refilter()
            if self.request and self.active:
                self._show_trace()
            else:
                self.select()

    def refilter(self) -> None:
        """Apply the filter to the page."""
        if self.found is None:
            return
        rows, matched = self.found.traces, self.found.matched
        self.show_rows(rows, [texts.haystack(trace) for trace in rows], texts.no_requests(self._asked))
        if self.desk.source.at is not None:
            self.list.describe(f"{self.list.aside}  up to that moment")
        elif matched is None or matched > len(rows):
            total = f"{matched:,}" if matched is not None else "over 10,000"
            self.list.describe(f"{self.list.aside}  newest {PAGE} of {total}")

    def settle(self) -> None:
        """Query the store for what the filter names."""
        asked = {name: value for name in self.FIELDS if name != "source" and (value := self.filter.value(name))}
        for name, pattern in _COMPLETE.items():
            if not re.fullmatch(pattern, asked.get(name, "")):
                asked.pop(name, None)
        words = [term.text for term in self.filter.terms if not term.field and not term.inverted]
        if words:
            asked["text"] = words[0]
        if asked != self._asked:
            self._asked = asked
            self.reload()

    def select(self) -> None:
        """Show the request under the cursor, unless a walk has the focus."""
        trace: Trace | None = self.table.current
        if trace is not None and not (self.active and self.request):
            self._show(trace.request_id)

    # the walk -----------------------------------------------------------------------------------------

    def drill(self) -> None:
        """Walk the request under the cursor; from an answer of the walk, go to where its evidence is shown."""
        trace: Trace | None = self.table.current
        if self.active == 1:
            self._follow()
        elif trace is not None:
            self.open_request(trace.request_id)

    def open_request(self, request_id: str) -> None:
        """Walk a request and show the walk on the whole screen."""
        self.zoomed = True
        self._show(request_id)
        self.activate(1)
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
            self.select_inside()

    def _show_trace(self) -> None:
        """Show the exchange and everything recorded about the request."""
        trace = self._trace
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
        """Leave the walk for the list."""
        went = super().back()
        if went:
            self.select()
        return went

    # names --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry that answered."""
        return self._trace.entry_sha if self._trace is not None else ""

    def reason(self, action: str) -> str | None:
        """A lineage needs an entry that answered, a change a walk that names it."""
        if action == "lineage":
            return None if self.target() else "no entry answered this request"
        return texts.refusal(action, self.walked()) if action in ("rollback", "route", "never_regress") else None

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
        return (self.request, *((f"{finding.n} {texts.NAMES[finding.n - 1]}",) if finding is not None else ()))

    def copies(self) -> list[tuple[str, str]]:
        """The request's names, and the equivalent commands."""
        trace, walk, finding = self._trace, self.walks.get(self.request), self._finding
        if not self.request:
            return []
        found = [("request id", self.request)]
        if trace is not None:
            found += [("entry sha", trace.entry_sha), ("trace id", trace.trace_id)]
            found += [("sentence", trace.sentence)] if trace.sentence else []
        if finding is not None and self.active == 1:
            found.append(("verify command", finding.command))
        if walk is not None and walk.suggestion:
            found.append(("fix", walk.suggestion))
        return [*found, ("command", f"spine incident --json {shell_argument(self.request)}")]

    def export(self) -> tuple[str, Any] | None:
        """The walk that is shown, else the traces in the list."""
        walk = self.walked()
        if walk is not None:
            return f"incident-{walk.request_id}", builtins(walk)
        return "traces", {"traces": builtins(self.table.shown)}
