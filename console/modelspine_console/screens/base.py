"""What all screens share: a list with a filter, and what each of them defines.

It does not decide anything about entries, and it opens no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from modelspine_console.data import filter as filters
from modelspine_console.data.jobs import Outcome
from modelspine_console.screens.panes import Panes
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.pane import Pane
from modelspine_console.widgets.table import Table

_PAGE = 60
"""Matches that fill the screen of most terminals."""
Fields = Mapping[str, Callable[[Any], str]]
"""Name of a filter field → its text in a row."""


class View(Panes):
    """One screen of the console."""

    NAME = ""
    ITEM = "entry"
    """What one row of the list is called."""
    READS = ""
    """What is being read, if not the screen's name says it."""
    FIELDS: ClassVar[Fields] = {}
    """The names that ``field:value`` accepts in the filter."""
    ALWAYS = False
    """Whether to reload at every poll, not only when the ledger moved."""

    def __init__(self, table: Table, *details: Pane) -> None:
        super().__init__(self.NAME, table, details)
        self.about.clicked = lambda tab: self.turn_tab(tab - self.about.tab)
        self.filter_text, self.filter = "", filters.Filter()
        self._narrowing = filters.Narrowing()
        self._show_all: Callable[[], None] | None = None
        """Loads the list again when a search of the filter has ended; None while there is no unfinished search."""
        self._empty = ""

    def on_mount(self) -> None:
        """Start reading."""
        for pane in self.panes[1:]:
            pane.turn("empty", "nothing selected")
        self.list.turn("loading", f"reading the {self.READS or self.NAME} …")
        self.lay_out()
        self.reload()

    # what each screen defines -------------------------------------------------------------------------

    def reload(self) -> None:
        """Read again what the list shows."""
        raise NotImplementedError

    def select(self) -> None:
        """Show what the list's cursor is on."""

    def drill(self) -> None:
        """Open what is under the cursor; by default, go to the detail pane."""
        self.activate(1)

    def go(self, argument: str) -> None:
        """Show what a command named."""

    def crumbs(self) -> tuple[str, ...]:
        """The breadcrumbs behind the screen's name."""
        return ()

    def copies(self) -> list[tuple[str, str]]:
        """What can be copied: name and text, the id first."""
        return []

    def export(self) -> tuple[str, Any] | None:
        """The name of an export file and its content; None if there is nothing to export."""
        return None

    def target(self) -> str:
        """SHA of the entry the screen is about; empty if there is none."""
        return ""

    def requests(self) -> str:
        """The filter that lists the requests the screen is about; empty if there are none."""
        return f"sha:{self.target()}" if self.target() else ""

    def goal(self) -> tuple[str, str]:
        """What a change made here would apply to, and the suggested reason for it."""
        return self.target(), ""

    def walked(self) -> Any:
        """The incident walk that is shown, if any."""
        return None

    def reason(self, _action: str) -> str | None:
        """Why an action of this screen cannot be done now; None if it can."""
        return None

    def unfold(self, *, open_: bool) -> None:
        """Open or close the branch under the cursor."""

    def compare(self, *, on_requests: bool = False) -> None:
        """Compare the marked rows, or what they answer to the stored requests."""

    def toggle_unchanged(self) -> None:
        """List what is unchanged in a comparison too, or hide it again."""

    def verify(self) -> None:
        """Verify what is shown."""

    def answer(self, number: int) -> None:
        """Put the cursor on one of the answers of a walk."""

    def neighbour(self, step: int) -> None:
        """Open what is before or after what is open, in the order of the list."""

    def select_inside(self) -> None:
        """Show what the cursor of a table in the detail pane is on."""

    # filter -------------------------------------------------------------------------------------------

    @property
    def fields(self) -> Fields:
        """The fields that the filter knows now."""
        return self.FIELDS

    def set_filter(self, text: str, *, again: bool = False) -> None:
        """Show only the rows that match; ``again`` reads the same text with other fields."""
        if text != self.filter_text or again:
            self.filter_text = text
            self.filter = self.parsed(text)
            self.refilter()

    def parsed(self, text: str) -> filters.Filter:
        """Parse the text of a filter."""
        return filters.parse(text, self.fields)

    def unknown_fields(self) -> list[str]:
        """What is wrong with the filter, as a list of at most one text."""
        names = ", ".join(self.filter.unknown)
        return [f"no field {names}: searched as text"] if names else []

    def advice(self) -> str:
        """What to do where nothing matches."""
        known = f"fields: {', '.join(sorted(self.fields))}   " if self.filter.unknown else ""
        return f"/{self.filter_text}   {known}esc clears the filter"

    def resorted(self) -> None:
        """The list has another order."""
        self.recount()

    def asked(self) -> str:
        """The text a filter prompt starts with."""
        return self.filter_text

    def settle(self) -> None:
        """The filter prompt was closed: a list that holds only a page of its store may now query the store."""

    def narrow(self, text: str) -> None:
        """The text in the filter prompt changed."""
        self.set_filter(text)

    def refilter(self) -> None:
        """Apply the filter to the rows that were read."""

    def texts(self, rows: Sequence[Any]) -> list[str]:
        """The lower-case text of each row that the words of a filter are searched in: the words of all its fields."""
        fields = self.fields.values()
        # A filter's words hold no blanks, and a word that several fields share needs to be searched once.
        return [" ".join(dict.fromkeys(" ".join(text(item) for text in fields).lower().split())) for item in rows]

    def show_rows(self, rows: Sequence[Any], texts: Sequence[str], empty: str, *, complete: bool = True) -> None:
        """Put the rows whose texts pass the filter into the list; ``empty`` is the message if there are no rows.

        ``complete`` texts are those of all fields, as ``texts`` makes them.
        """
        fields = self.fields

        def fields_of(place: int) -> Callable[[str], str | None]:
            return lambda name: fields[name](rows[place]) if name in fields else None

        passing, self._show_all = None, None
        if self.filter.terms:
            passing = self._narrowing.places(
                self.filter, texts, fields_of, complete=complete, enough=self._enough(rows), row=self.table.at
            )
        else:
            self._narrowing.stop()
        self.table.load(rows, passing)
        self._empty = empty
        self.recount()
        if self._narrowing.unfinished:
            self._show_all = lambda: self.show_rows(rows, texts, empty, complete=complete)
            self.call_after_refresh(self._search_on)

    def _enough(self, rows: Sequence[Any]) -> int | None:
        """How many matches behind the cursor are drawn before the other rows are searched; None to search all first.

        Only while a filter is typed over a list that stays as it is: otherwise the cursor's row could be among those
        that are not searched yet.
        """
        prompt = self.desk.prompt
        typing = prompt.display and prompt.sign == "/"
        return max(self.table.page, _PAGE) if typing and rows is self.table.rows and not self.table.sorts else None

    def _search_on(self) -> None:
        """Search some more rows for the filter, and show what passed once none are left."""
        if self._narrowing.go_on():
            self.call_later(self._search_on)
        else:
            self.finish_search()

    def finish_search(self) -> None:
        """Finish the search for the filter now, without letting anything be drawn in between."""
        while self._narrowing.go_on():
            pass
        if self._show_all is not None:
            self._show_all()

    def recount(self) -> None:
        """Show how many rows pass the filter, or why there are none."""
        shown, total = len(self.table.order), len(self.table.rows)
        if not total:
            # Before the ledger's start there is nothing to register or to route: how to begin would mislead.
            self.list.turn("empty", *(self.desk.source.before_start or self._empty).split("\n", 1))
        elif not shown:
            self.list.turn("nomatch", f"no matches in {total:,} rows", self.advice())
        else:
            self.list.turn("ready")
        asked = [f"/{self.filter_text}"] if self.filter_text else []
        sort = [f"sort: {self.table.sort_name}"] if self.table.sort_name else []
        more = "+" if self._narrowing.unfinished else ""
        self.list.describe("  ".join([f"{shown:,}{more} of {total:,}", *asked, *self.unknown_fields(), *sort]))
        self.fit_list()

    def lost(self, outcome: Outcome[Any], pane: Pane | None = None) -> None:
        """Handle a failed fetch: keep what is shown; if nothing is, show the error. Missing data is not an error."""
        target = pane or self.list
        bare = target.state != "ready" or (isinstance(target.body, Table) and not target.body.rows)
        if bare:
            target.turn("empty" if outcome.absent else "error", outcome.error, outcome.hint)
        if not (bare and outcome.absent):
            self.desk.failed(outcome)

    def on_table_moved(self, event: Table.Moved) -> None:
        """Show what a cursor has moved to."""
        event.stop()
        if event.table is self.table:
            self.select()
        else:
            self.select_inside()
        self.desk.moved()

    def on_table_sorted(self, event: Table.Sorted) -> None:
        """Show the order that a click on a head chose."""
        event.stop()
        self.resorted()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Open the row that was double-clicked."""
        event.stop()
        self.drill()


def document(title: str) -> Pane:
    """A pane with a document."""
    return Pane(title, Doc())
