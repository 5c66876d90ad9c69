"""The Incident screen: recent requests, and one of them walked back to its evidence.

The list is a page of the trace store; a filter narrows the page at once and asks the store on enter. A walk
hashes bundles and asks models again, so it starts when it is asked for. What the answers are, core says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from modelspine.text import argument
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

_KEPT = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHA = re.compile(r"[0-9a-f]{64}")
_OUTCOMES = ("accepted", "dismissed", "revised")


class IncidentView(View):
    """Requests, newest first."""

    NAME = "incident"
    TITLE = "incident"
    FIELDS = frozenset({"id", "arm", "outcome", "sha", "day", "text", "verb", "tense", "source"})
    LIST = 5
    ALWAYS = True

    def __init__(self) -> None:
        self._about = Lines()
        self._evidence = Doc()
        self.answers = Table(texts.answer_columns(), lambda finding: finding.n, head=False)
        walk = Pane("walk", self.answers, above=self._about, below=self._evidence)
        super().__init__(
            Table(texts.request_columns(self.now), lambda trace: trace.request_id), walk, document("trace")
        )
        self.walk_pane, self.trace_pane = self.panes[1:]
        self.found: Found | None = None
        self.walks: dict[str, Walk] = {}
        self.request = ""
        self._asked: Mapping[str, str] = {}

    def on_mount(self) -> None:
        """Leave the answers just the room they take."""
        self._about.styles.height = 3
        self.answers.styles.height = 9
        self._about.show(
            lambda width: texts.about(self._trace(), self.walks.get(self.request), width, at=self.desk.source.at)
        )
        super().on_mount()

    # the list -----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the newest traces again."""
        asked, at = dict(self._asked), self.desk.source.at
        about = (at, *sorted(asked.items()))
        self.ask("list", lambda: self.desk.source.traces(asked), self._loaded, about=about)

    def _loaded(self, outcome: Outcome[Found]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        if outcome.value != self.found:
            self.found = outcome.value
            self.refilter()
            if self.request and self.active:
                self._show_trace()
            else:
                self.select()
        else:
            self.table.refresh()

    def refilter(self) -> None:
        """Apply the filter to the page."""
        if self.found is None:
            return
        rows = self.found.traces
        self.show_rows(rows, tuple(texts.haystack(trace) for trace in rows), texts.FIELDS, texts.none(self._asked))
        matched = self.found.matched
        if self.desk.source.at is not None:
            self.list.describe(f"{self.list.aside}  up to that moment")
        elif matched is None or matched > len(rows):
            more = f"{matched:,}" if matched is not None else "over 10,000"
            self.list.describe(f"{self.list.aside}  newest {PAGE} of {more}")

    def settle(self) -> None:
        """Ask the store for what the filter names."""
        asked = {name: value for name in self.FIELDS if (value := self.filter.value(name))}
        if not _DAY.fullmatch(asked.get("day", "")):
            asked.pop("day", None)
        if not _SHA.fullmatch(asked.get("sha", "")):
            asked.pop("sha", None)
        if asked.get("outcome") not in _OUTCOMES:
            asked.pop("outcome", None)
        words = [term.text for term in self.filter.terms if not term.field and not term.inverted]
        if words:
            asked["text"] = words[0]
        asked.pop("source", None)
        if asked != self._asked:
            self._asked = asked
            self.reload()

    def select(self) -> None:
        """Show the request under the cursor; its walk only where it has been walked."""
        trace: Trace | None = self.table.current
        if trace is None or (self.active and self.request):
            return
        self._show(trace.request_id)

    # the walk -----------------------------------------------------------------------------------------

    def drill(self) -> None:
        """From the list into the walk, filling the screen; from an answer to where its evidence is."""
        if self.active == 1:
            self._follow()
            return
        trace: Trace | None = self.table.current
        if trace is not None:
            self.open_request(trace.request_id)

    def open_request(self, request_id: str) -> None:
        """Walk a request and show it on the whole screen."""
        self.zoomed = True
        self.request = request_id
        self._show(request_id)
        self.activate(1)
        if request_id not in self.walks:
            self.walk_pane.turn("loading", "walking: bytes are hashed, corpora searched, models asked again …")
            self.ask("walk", lambda: self.desk.source.walk(request_id), self._walked)

    def go(self, argument: str) -> None:
        """Open a request by its id."""
        self.table.seek(argument)
        self.open_request(argument)

    def verify(self) -> None:
        """Walk again."""
        if self.request:
            self.walks.pop(self.request, None)
            self.open_request(self.request)

    def _walked(self, outcome: Outcome[Walk]) -> None:
        if outcome.value is None:
            self.walk_pane.turn("error", outcome.error, outcome.hint)
            self.desk.failed(outcome)
            return
        walk = outcome.value
        self.walks.pop(walk.request_id, None)
        self.walks[walk.request_id] = walk
        if len(self.walks) > _KEPT:
            del self.walks[next(iter(self.walks))]
        self._show(walk.request_id)
        if self.active == 1:
            self.activate(1)

    def _show(self, request_id: str) -> None:
        self.request = request_id
        self._show_trace()
        walk = self.walks.get(request_id)
        if walk is None:
            self.walk_pane.turn(
                "empty",
                "not walked yet",
                "enter walks it back to its evidence: hashes bytes, searches corpora, asks models again",
            )
            return
        self.walk_pane.turn("ready")
        self.answers.load(walk.answers)
        self.select_inside()

    def _show_trace(self) -> None:
        """Show the exchange and what the request left behind."""
        trace = self._trace()
        self.walk_pane.title(self.request)
        self._about.refresh()
        if trace is not None:
            self.trace_pane.turn("ready")
            lines = texts.trace_lines(trace)
            cast("Doc", self.trace_pane.body).show(lambda _width: lines)

    def select_inside(self) -> None:
        """Show the evidence of the answer under the cursor."""
        finding: Finding | None = self.answers.current
        if finding is not None:
            lines = texts.evidence(finding)
            self._evidence.show(lambda _width: lines)
            self.desk.moved()

    def _follow(self) -> None:
        """Go to where the evidence of an answer stands."""
        walk, finding = self.walks.get(self.request), self.answers.current
        if walk is None or finding is None:
            return
        place, argument = texts.place(walk, finding)
        if place:
            self.desk.open_view(place, argument)

    def _trace(self) -> Trace | None:
        walk = self.walks.get(self.request)
        if walk is not None:
            return walk.trace
        if self.found is None:
            return None
        return next((trace for trace in self.found.traces if trace.request_id == self.request), None)

    def back(self) -> bool:
        """Out of the walk, back to the list."""
        went = super().back()
        if went:
            self.select()
        return went

    # words --------------------------------------------------------------------------------------------

    def target(self) -> str:
        """SHA of the entry that answered."""
        trace = self._trace()
        return trace.entry_sha if trace is not None else ""

    def reason(self, action: str) -> str | None:
        """A lineage needs an entry that answered, a change a walk that names it."""
        if action == "lineage":
            return None if self.target() else "no entry answered this"
        return texts.refusal(action, self.walked()) if action in ("rollback", "route", "never_regress") else None

    def goal(self, _verb: str) -> tuple[str, str]:
        """The one entry answer 8 names, and the request as the reason."""
        return texts.way_out(self.walked())[1], self.request

    def walked(self) -> Any:
        """The walk of the request that is shown."""
        return self.walks.get(self.request) if self.active else None

    def crumbs(self) -> tuple[str, ...]:
        """The request, and the answer."""
        if not self.active or not self.request:
            return ()
        finding = self.answers.current if self.request in self.walks else None
        return (self.request, *((f"{finding.n} {texts.NAMES[finding.n - 1]}",) if finding is not None else ()))

    def copies(self) -> list[tuple[str, str]]:
        """The request's names, and the headless twin."""
        trace = self._trace()
        found = [("request id", self.request)] if self.request else []
        if trace is not None:
            found += [("entry sha", trace.entry_sha), ("trace id", trace.trace_id)]
            found += [("sentence", trace.sentence)] if trace.sentence else []
        finding = self.answers.current if self.request in self.walks and self.active == 1 else None
        if finding is not None:
            found.append(("check command", finding.command))
        if self.request in self.walks and self.walks[self.request].suggestion:
            found.append(("way out", self.walks[self.request].suggestion))
        return [*found, ("command", f"spine incident --json {argument(self.request)}")] if found else []

    def export(self) -> tuple[str, Any] | None:
        """The walk where there is one, else the traces that are shown."""
        walk = self.walks.get(self.request)
        if walk is not None and self.active:
            return f"incident-{walk.request_id}", builtins(walk)
        return "traces", {"traces": [builtins(self.table.rows[index]) for index in self.table.order]}
