"""The Registry screen: every entry, and the details of the one under the cursor.

It draws what the source returns. How good an entry is, and what may be done to it, core decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.message import Message

from modelspine.errors import Unavailable
from modelspine.registry.diff import compare
from modelspine.text import short
from modelspine_console.data.jobs import Outcome
from modelspine_console.draw.format import builtins
from modelspine_console.draw.sanitize import Line
from modelspine_console.screens import registry_tabs as tabs
from modelspine_console.screens.base import Fields, document
from modelspine_console.screens.counterfactual_text import counterfactual_lines
from modelspine_console.screens.gate_tab import gate
from modelspine_console.screens.listing import NO_ENTRIES, Listing
from modelspine_console.screens.registry_compare import comparison
from modelspine_console.screens.registry_list import entry_columns
from modelspine_console.widgets.document import Draw
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine.registry.entries import Detail, Entry
    from modelspine.release.eligibility import Position
    from modelspine.release.gate_run import Gated

CHANGES = ("promote", "rollback", "route", "canary", "shadow", "release", "tombstone")
"""The changes that can be requested here; the entry's position says which of them would be refused."""
_REST = 0.06
"""Seconds the cursor has to stay on an entry before its details are read, so that a held arrow key reads nothing."""


class RegistryView(Listing):
    """Entries, newest first."""

    class Answered(Message):
        """Both entries have answered some of the stored texts."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.text = f"answered {done:,} of {total:,} stored texts"

    NAME = "registry"
    BESIDE_FROM = 115
    TABS = ("summary", "buckets", "gate", "manifest", "history")
    EMPTY = NO_ENTRIES
    FIELDS: ClassVar[Fields] = {
        "status": lambda e: " ".join([*(["production"] if e.production else e.arms), e.status]),
        "semver": lambda e: " ".join(e.semvers),
        "sha": lambda e: e.sha,
        "variant": lambda e: e.variant,
        "arm": lambda e: " ".join(e.arms),
        "parent": lambda e: e.parent_sha or "",
        "run": lambda e: e.run_id or "",
    }

    def __init__(self) -> None:
        super().__init__(
            Table(entry_columns(self.now), lambda entry: entry.sha), document("entry"), document("compare")
        )
        self.beside = self.panes[2]
        self.shown: Detail | None = None
        self.position: Position | None = None
        self.gated: tuple[int, Gated] | None = None
        """The gate's comparison, with the seq of the ledger it was made on."""
        self.compared = ""
        """Title of the comparison that is shown; empty if none is."""
        self.everything = False
        """Whether a comparison also lists what is unchanged."""
        self._drawn: Draw | None = None
        """The comparison that is shown."""
        self._comparison = 0
        """Number of the newest comparison; an older one that is still running stops."""

    def read(self) -> Any:
        """Every entry."""
        return self.desk.source.entries()

    def select(self) -> None:
        """Read the entry under the cursor."""
        entry = self.table.current
        if entry is None:
            self.forget("detail")
            self.shown = self.position = None
            self.about.title("entry")
            self.about.turn("empty", "no entry selected")
            return
        if self.shown is None:
            self.about.turn("loading", f"reading {short(entry.sha)} …")
        source = self.desk.source
        self.ask("detail", lambda: (source.detail(entry.sha), source.position(entry.sha)), self._detailed, rest=_REST)

    def _detailed(self, outcome: Outcome[Any]) -> None:
        if outcome.value is None:
            self.shown = self.position = None
            self.about.turn("error", outcome.error, outcome.hint)
            self.desk.failed(outcome)
            return
        detail, self.position = outcome.value
        same = self.shown is not None and self.shown.entry.sha == detail.entry.sha
        self.shown = detail
        self.draw_tab(top=not same)

    def draw_tab(self, *, top: bool = True) -> None:
        """Draw the open tab of the entry; where there is room, the summary or the buckets beside it."""
        detail = self.shown
        if detail is None:
            return
        self.about.title(self.name_of(detail.entry))
        self.about.show(self._drawing(detail, self.tab), top=top, ages=True)
        if not self.compared:
            beside = "summary" if self.about.tab else "buckets"
            self.beside.title(beside)
            self.beside.show(self._drawing(detail, beside), top=top, ages=True)

    def _drawing(self, detail: Detail, tab: str) -> Callable[[int], Sequence[Line]]:
        now = self.now
        if tab == "summary":
            return lambda width: tabs.summary(detail, now(), width)
        if tab == "buckets":
            return lambda width: tabs.buckets(detail.eval_report, width)
        if tab == "gate" and self.position is not None:
            position, gated, key = self.position, self._current_gate(), self.desk.action("verify").shown
            return lambda width: gate(position, gated, now(), width, key=key)
        if tab == "manifest":
            return lambda _width: tabs.manifest(detail)
        return lambda width: tabs.history(detail, now(), width)

    def _current_gate(self) -> Gated | None:
        """The gate's comparison of the entry that is shown, if the ledger has not moved since it was made."""
        if self.gated is None or self.position is None:
            return None
        seq, gated = self.gated
        return gated if (seq, gated.sha) == (self.position.seq, self.position.sha) else None

    # actions ------------------------------------------------------------------------------------------

    def reason(self, action: str) -> str | None:
        """Why an action cannot be done: missing marks, no entry, or core's reason."""
        if action in ("compare", "counterfactual") and len(self.table.marks) != 2:
            return f"mark two entries with {self.desk.action('mark').shown}"
        if action == "toggle_unchanged":
            return None if self.compared == "compare" and self._drawn else "compare two marked entries first (=)"
        if action in ("lineage", "incident", *CHANGES, "verify") and self.table.current is None:
            return "no entry selected"
        if action == "verify" and self.desk.source.at is not None:
            return "the gate compares with today's baseline; return to the present first (:at now)"
        if action in CHANGES:
            known = self.position if self.position is not None and self.position.sha == self.target() else None
            return known.denied.get(action) if known is not None else "the entry is still being read"
        return None

    def verify(self) -> None:
        """Run the gate's comparison of the entry now; nothing is recorded."""
        sha, seq = self.target(), self.position.seq if self.position is not None else 0
        self.about.tab = self.TABS.index("gate")
        self.about.describe("comparing …")
        self.draw_tab()
        self.ask("gate", lambda: (seq, self.desk.source.compare(sha)), self._judged)

    def _judged(self, outcome: Outcome[Any]) -> None:
        self.about.describe("")
        if outcome.value is None:
            self.lost(outcome, self.about)
            return
        self.gated = outcome.value
        self.draw_tab(top=False)

    def compare(self, *, on_requests: bool = False) -> None:
        """Show the differences between the two marked entries, or between their answers to the stored requests."""
        first, second = self.table.marks.values()
        names, source = [self.name_of(first), self.name_of(second)], self.desk.source
        self._comparison += 1
        number = self._comparison
        self.compared = "stored requests" if on_requests else "compare"
        self.beside.title(self.compared)
        self.beside.turn("loading", f"reading {names[0]} and {names[1]} …")
        if on_requests:
            self.activate(2)
        else:
            self.open_alone(2)  # a comparison needs the width for its columns

        def differences() -> Draw:
            found = compare(source.detail(first.sha), source.detail(second.sha))
            return lambda width: comparison(found, names, width, everything=self.everything)

        def answers() -> Draw:
            found = source.counterfactual(first.sha, second.sha, lambda *at: self._step(number, *at))
            return lambda width: counterfactual_lines(found, names, width)

        self.ask("compare", answers if on_requests else differences, self._compared)

    def _step(self, number: int, done: int, total: int) -> None:
        """Report the progress, or stop if nobody waits for the answers any more; called in the background."""
        if number != self._comparison:
            raise Unavailable("another comparison was requested", "compare again")
        self.post_message(self.Answered(done, total))

    def on_registry_view_answered(self, event: Answered) -> None:
        """Show the progress."""
        event.stop()
        if self.compared and self.beside.state == "loading":
            self.beside.turn("loading", event.text, "Esc stops it")

    def _compared(self, outcome: Outcome[Draw]) -> None:
        if outcome.value is None:
            self.lost(outcome, self.beside)
            return
        self._drawn = outcome.value
        self.beside.show(outcome.value)
        self.activate(2)

    def toggle_unchanged(self) -> None:
        """List what is unchanged too, or hide it again."""
        if self.reason("toggle_unchanged") is None and self._drawn is not None:
            self.everything = not self.everything
            self.beside.show(self._drawn)

    def back(self) -> bool:
        """Undo a zoom; else leave the comparison, if one is shown."""
        went = super().back()
        if self.compared and not self.active:
            went = True
            self.compared, self._drawn = "", None
            self._comparison += 1
            self.forget("compare")
            self.table.marks.clear()
            self.draw_tab()
        return went

    # names --------------------------------------------------------------------------------------------

    def key_of(self, name: str) -> str:
        """The SHA of the entry that a semver, the start of a SHA or ``production`` means."""
        entries: Sequence[Entry] = self.data
        if name == "production":
            return next((e.sha for e in entries if e.production), "")
        return next((e.sha for e in entries if name in e.semvers or e.sha.startswith(name)), name)

    def name_of(self, item: Any) -> str:
        """The semver of an entry, else the start of its SHA."""
        return item.semver or short(item.sha)

    def target(self) -> str:
        """SHA of the entry under the cursor."""
        entry: Entry | None = self.table.current
        return entry.sha if entry is not None else ""

    def crumbs(self) -> tuple[str, ...]:
        """The entry, and the tab or the comparison."""
        found = super().crumbs()
        return (found[0], self.compared) if found and self.compared and self.active > 1 else found

    def copies(self) -> list[tuple[str, str]]:
        """The entry's names, and the equivalent commands."""
        entry = self.table.current
        if entry is None:
            return []
        names = [("sha", entry.sha), *(("semver", semver) for semver in entry.semvers)]
        names += [(name, value) for name, value in (("run", entry.run_id), ("parent", entry.parent_sha)) if value]
        return [
            *names,
            ("command", f"spine show {short(entry.sha)} --json"),
            ("gate command", f"spine gate {short(entry.sha)} --json"),
            ("list command", "spine list --json"),
        ]

    def export(self) -> tuple[str, Any] | None:
        """The entries that are shown."""
        return "registry", {"entries": builtins(self.table.shown)}
