"""The list of requests: a page of the trace store, which a filter and an order ask for.

While a filter is typed it narrows the page at once and searches the whole store in the background; a newer filter
stops the search of an older one. The list says how much of the store was searched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from textual.message import Message

from miniobserve.search import Question
from miniobserve.search_terms import Term
from modelspine.errors import Unavailable
from modelspine.times import ledger_time
from modelspine_console.data.filter import Filter
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import PAGE
from modelspine_console.draw.format import builtins
from modelspine_console.screens import incident_list as texts
from modelspine_console.screens.base import Fields, View
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from miniobserve.field_tests import FieldTest
    from miniobserve.search import SearchResult
    from miniobserve.search_terms import Order

_TYPING = 0.12
"""Seconds without a key press after which the store is searched."""
_PATIENCE = 0.4
"""Seconds after which a search shows what it has found so far."""
_COSTLY = 50_000
"""Traces from which on a search is not repeated at every poll."""
_MAX_FEATURES = 6
"""Features that get a column and an order of their own, and as many fields of answers."""
_MAX_FIELDS = 200
"""Features that the filter knows by name, and fields of answers."""


class RequestsView(View):
    """Requests, newest first, and what asks the store for others."""

    class Searching(Message):
        """The store is being searched; ``found`` is what was found so far, where that is to be shown."""

        def __init__(self, number: int, searched: int, found: SearchResult | None) -> None:
            super().__init__()
            self.number = number
            self.searched = searched
            self.found = found

    FIELDS = texts.FIELDS
    ALWAYS = True
    BESIDE_FROM = 120
    LIST_LINES = 1

    def __init__(self, *details: Pane) -> None:
        super().__init__(Table(texts.request_columns(self.now), lambda trace: trace.request_id), *details)
        self.found: SearchResult | None = None
        self._own: list[texts.Own] = []
        """The features and fields of answers with a column, as they were seen, so that each keeps its place."""
        self._seen: dict[str, None] = {}
        """Names of all of them, which the filter knows."""
        self._told: dict[str, str] = {}
        """Names of fields of answers, as the filter knows them and as they stand there."""
        self._asked = Question(limit=PAGE)
        self._moment: str | None = None
        """The moment up to which was searched last."""
        self._answered = (self._asked, "")
        """The question that the page on screen answers, and the time of the answer."""
        self._number = 0
        """Number of the newest search; an older one that is still running stops."""
        self._searched: int | None = None
        """Traces that the running search has looked at; None if none is running."""
        self._to_top = False
        """Whether the cursor goes to the first row of the next page, because the order was changed."""

    def on_mount(self) -> None:
        """Show the legend under the list, and start reading."""
        self.list.explain(lambda width: [texts.legend(width)])
        super().on_mount()

    @property
    def fields(self) -> Fields:
        """The fields of every trace, and the features and fields of answers seen so far."""
        features = {name: texts.feature_of(name) for name in self._seen}
        return {**{name: texts.field_of(told) for name, told in self._told.items()}, **features, **self.FIELDS}

    def parsed(self, text: str) -> Filter:
        """The filter without what it asks of fields of answers."""
        return Filter(self._divided(text).terms, super().parsed(text).unknown)

    def _divided(self, text: str) -> texts.Divided:
        """A filter's words, and apart from them what it asks of fields of answers."""
        own = {name: told for name, told in self._told.items() if name not in self._seen and name not in self.FIELDS}
        return texts.divided(super().parsed(text).terms, own)

    @property
    def _tests(self) -> tuple[FieldTest, ...]:
        """What the filter asks of fields of answers."""
        return self._divided(self.filter_text).tests

    def unknown_fields(self) -> list[str]:
        """What is wrong with the filter."""
        words = " ".join(self._divided(self.filter_text).unfinished)
        return [*super().unknown_fields(), *([f"{words} is not a comparison"] if words else [])]

    # asking the store ---------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the page again, unless that would search much of the store at every poll."""
        found = self.found
        costly = found is not None and found.searched > _COSTLY and self._answered[0] == self._question()
        moved = self._moment != self.desk.source.at
        if self.desk.reread or moved or (self._searched is None and not costly):
            self._search()

    def narrow(self, text: str) -> None:
        """Narrow the page while the filter is typed, and search the store as soon as the typing rests."""
        self.set_filter(text)
        self._search(rest=_TYPING)

    def settle(self) -> None:
        """Search the store now."""
        self._search()

    def resorted(self) -> None:
        """Sort the whole store."""
        self.table.presorted = False
        self.table.sort(self.table.sorted_by, backwards=self.table.backwards)
        self.recount()
        self._to_top = True
        self._search()

    def _question(self) -> Question:
        """What the filter and the order ask for."""
        terms = tuple(Term(term.text, term.field, term.inverted) for term in self.filter.terms)
        order, feature = self._order()
        return Question(
            terms=terms, fields=self._tests, order=order, feature=feature, limit=PAGE,
            backwards=self.table.backwards and order != "time",
        )  # fmt: skip

    def _order(self) -> tuple[Order, str]:
        """The order, and the feature or field it is by."""
        column = self.table.sorted_by
        orders: dict[int, Order] = {-1: "time", texts.FEEDBACK: "outcome", texts.LATENCY: "latency"}
        known = orders.get(column)
        if known:
            return known, ""
        return self._own[column - texts.OWN]

    def _search(self, *, rest: float = 0.0) -> None:
        question, source = self._question(), self.desk.source
        if question != self._asked or self._moment != source.at:
            self._asked, self._moment = question, source.at
            self._number += 1
            self._searched = 0
            self.recount()
        number, shown = self._number, time.monotonic()

        def step(searched: int, so_far: Callable[[], SearchResult]) -> None:
            nonlocal shown
            if number != self._number:
                raise Unavailable("another search was asked for", "the newest one goes on")
            late = time.monotonic() - shown > _PATIENCE
            shown = time.monotonic() if late else shown
            self.post_message(self.Searching(number, searched, so_far() if late else None))

        def fetch() -> tuple[Question, SearchResult]:
            return question, source.search(question, step)

        self.ask("list", fetch, self._loaded, about=(number, source.at), rest=rest)

    def on_requests_view_searching(self, event: Searching) -> None:
        """Show the progress, and what was found so far."""
        event.stop()
        if self._searched is None or event.number != self._number:
            return
        self._searched = event.searched
        if event.found is not None and event.found.traces:
            self._take(self._asked, event.found)
        self.recount()

    def _loaded(self, outcome: Outcome[tuple[Question, SearchResult]]) -> None:
        self._searched = None
        if outcome.value is None:
            self.recount()
            self.lost(outcome)
            return
        self._take(*outcome.value)
        self._to_top = False

    def _take(self, question: Question, found: SearchResult) -> None:
        """Show a page that was found."""
        same = found == self.found and question == self._answered[0]
        self._answered = question, f"{self.now():%H:%M:%S}"
        if same:
            self.table.refresh()  # only the ages changed
            self.recount()
        else:
            self.found = found
            self._learn(found)
            self.table.presorted = question.order != "time"
            self.refilter()
        if self._to_top:
            self.table.jump(end=False)
        self.arrived(same=same)

    def arrived(self, *, same: bool) -> None:
        """A page was read; ``same`` if it is the one before."""

    def _learn(self, found: SearchResult) -> None:
        """Give each feature and field of an answer that was not seen before a column and a name in the filter."""
        names = (name for trace in found.traces for name in trace.features)
        new = [name for name in dict.fromkeys(names) if name not in self._seen]
        new = new[: _MAX_FIELDS - len(self._seen)]
        told = texts.told_in(found.traces)
        fresh = [name for name in told if name.lower() not in self._told][: _MAX_FIELDS - len(self._told)]
        columns = len(self._own)
        self._seen |= dict.fromkeys(new)
        self._told |= {name.lower(): name for name in fresh}
        self._add_columns("feature", new)
        self._add_columns("field", [name for name, numbers in told.items() if numbers and name not in self._seen])
        if len(self._own) > columns:
            self.table.set_columns(texts.request_columns(self.now, self._own))
        if new or fresh:
            self.set_filter(self.filter_text, again=True)

    def _add_columns(self, kind: Literal["feature", "field"], names: Sequence[str]) -> None:
        room = _MAX_FEATURES - sum(each == kind for each, _ in self._own)
        self._own += [(kind, name) for name in names if (kind, name) not in self._own][:room]

    # what is shown ------------------------------------------------------------------------------------

    def refilter(self) -> None:
        """Apply the filter to the page."""
        if self.found is not None:
            tests = self._tests
            rows = [one for one in self.found.traces if all(test.holds(one.fields) for test in tests)]
            self.show_rows(rows, [texts.haystack(trace) for trace in rows], texts.NO_REQUESTS, complete=False)

    def recount(self) -> None:
        """Show how many requests match, how much of the store was searched, and what is wrong with the filter."""
        super().recount()
        if self.found is None:
            return
        searching = self._searched is not None
        shown, asked = len(self.table.order), self._answered[0]
        if not shown and searching:
            self.list.turn("loading", f"searching … {self._searched or 0:,} requests so far", "esc stops it")
        elif not shown and (asked.terms or asked.fields or self.filter.terms or self._tests):
            self.list.turn("nomatch", f"no matches in {self._extent()}", self.advice())
        total = "over 10,000" if self.found.matched is None else f"{max(self.found.matched, shown):,}"
        counts = f"{shown:,} so far" if searching else f"{shown:,} of {total}"
        parts = [counts, f"/{self.filter_text}" if self.filter_text else "", *self.unknown_fields()]
        parts += [f"sort: {self.table.sort_name}" if self.table.sort_name else ""]
        if searching:
            parts.append(f"searching … {self._searched or 0:,}")
        elif asked.terms or asked.fields or asked.order != "time":
            parts.append(f"searched {self._extent()}")
        parts.append("up to that moment" if self.desk.source.at is not None else "")
        self.list.describe("  ".join(part for part in parts if part))

    def _extent(self) -> str:
        """How much of the store was searched."""
        found = self.found
        assert found is not None
        old = f" at {self._answered[1]}" if found.searched > _COSTLY else ""
        if found.since_ns is None:
            return f"all {found.searched:,} requests{old}"
        return f"the newest {found.searched:,} requests, back to {ledger_time(found.since_ns)[:10]}{old}"

    def export(self) -> tuple[str, Any] | None:
        """The traces in the list."""
        return "traces", {"traces": builtins(self.table.shown)}
