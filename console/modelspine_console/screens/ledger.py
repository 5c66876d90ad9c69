"""The Ledger screen: every event, newest first, with its body and its place in the chain.

It draws what the source returns and can ask for everything to be read and hashed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from modelspine.text import counted, short
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Checked, Entries
from modelspine_console.draw.format import age, builtins, heading, pairs, status, tree, when
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.base import View, document
from modelspine_console.widgets.document import Doc
from modelspine_console.widgets.table import Column, Table

if TYPE_CHECKING:
    from modelspine.ledger.store import Event

TABS = ("body", "chain")
_KINDS: dict[str, Role] = {
    "promoted": "good",
    "routed": "accent",
    "rolled_back": "warn",
    "held": "warn",
    "denied": "bad",
    "tombstoned": "bad",
}


class LedgerView(View):
    """Events."""

    NAME = "ledger"
    TITLE = "ledger"
    FIELDS = frozenset({"kind", "actor", "host", "sha", "seq", "semver"})
    LIST = 5

    def __init__(self) -> None:
        columns = (
            Column(title="#", width=7, cell=lambda e: safe(e.seq, "muted"), sort=lambda e: e.seq, right=True),
            Column(title="event", width=14, cell=lambda e: safe(e.kind, _KINDS.get(e.kind, "")), sort=lambda e: e.kind),
            Column(title="about", width=12, cell=about, grow=True),
            Column(title="actor", width=10, cell=lambda e: safe(e.actor, "muted"), sort=lambda e: e.actor, rank=2),
            Column(title="age", width=7, cell=lambda e: age(e.at, self.now()), right=True, rank=1),
        )
        super().__init__(Table(columns, lambda event: event.seq), document("event"))
        self.about = self.panes[1]
        self.about.tabs = TABS
        self.events: Entries | None = None
        self.checked: Outcome[Checked] | None = None
        self._sought = ""

    def reload(self) -> None:
        """Read the events again."""
        self.ask("list", self.desk.source.events, self._loaded, about=(self.desk.source.at,))

    def _loaded(self, outcome: Outcome[Entries]) -> None:
        if outcome.value is None:
            self.lost(outcome)
            return
        self.events = outcome.value
        self.refilter()
        if self._sought:
            self.go(self._sought)
        self.select()

    def refilter(self) -> None:
        """Apply the filter."""
        if self.events is not None:
            self.show_rows(self.events.rows, self.events.haystack, _FIELDS, _NONE)
            if not self.table.order:
                self.select()

    def select(self) -> None:
        """Show the event under the cursor."""
        self.draw_tab()

    def draw_tab(self) -> None:
        """Draw its body, or its place in the chain."""
        event: Event | None = self.table.current
        if event is None:
            self.about.title("event")
            self.about.turn("empty", "no event is chosen")
            return
        self.about.title(f"#{event.seq}")
        self.about.turn("ready")
        lines = _body(event) if TABS[self.about.tab] == "body" else self._chain(event)
        cast("Doc", self.about.body).show(lambda _width: lines)

    def _chain(self, event: Event) -> list[Line]:
        lines = pairs(
            [
                (f"#{event.seq - 1}" if event.seq > 1 else "start", safe(event.prev, "muted")),
                ("↓", safe("is the `prev` that is hashed into", "faint")),
                (f"#{event.seq}", safe(event.hash)),
            ]
        )
        lines += [
            safe(""),
            row(safe(" "), status("verified"), safe("  every link was hashed when the ledger was read", "muted")),
        ]
        lines += heading("the whole ledger")
        if self.checked is None:
            return [*lines, safe(" press v to read it from the disk and hash it all again", "muted")]
        if self.checked.value is None:
            return [
                *lines,
                row(safe(" "), status("mismatch"), safe(f"  {self.checked.error}")),
                safe(f"   {self.checked.hint}", "muted"),
            ]
        found = self.checked.value
        lines.append(
            row(
                safe(" "),
                status("verified"),
                safe(
                    f"  {counted(found.events, 'event')}, {counted(found.evidence, 'piece')} of evidence, hashed again"
                ),
            )
        )
        return [*lines, *pairs([("head", safe(found.head))])]

    def verify(self) -> None:
        """Hash everything again."""
        self.about.tab = TABS.index("chain")
        self.about.describe("hashing …")
        self.ask("check", self.desk.source.check, self._verified)

    def _verified(self, outcome: Outcome[Checked]) -> None:
        self.checked = outcome
        self.about.describe("")
        if not outcome.ok:
            self.desk.failed(outcome)
        self.draw_tab()

    def go(self, argument: str) -> None:
        """Put the cursor on a seq."""
        self._sought = argument
        number = argument.lstrip("#")
        if self.events is None:
            return
        self._sought = ""
        if not number.isdigit() or not self.table.seek(int(number)):
            self.desk.failed(
                Outcome(error=f"no event here is numbered {argument}", hint="`:history 12` goes to event #12")
            )

    def target(self) -> str:
        """SHA the event is about."""
        event = self.table.current
        return _sha(event) if event is not None else ""

    def reason(self, action: str) -> str | None:
        """Only events about an entry have a lineage."""
        return "this event is about no entry" if action == "lineage" and not self.target() else None

    def crumbs(self) -> tuple[str, ...]:
        """The event, and the tab."""
        event = self.table.current
        return (f"#{event.seq}", TABS[self.about.tab]) if event is not None and self.active else ()

    def copies(self) -> list[tuple[str, str]]:
        """Names of the event, and the headless twin."""
        event: Event | None = self.table.current
        if event is None:
            return []
        found = [("hash", event.hash), ("checkpoint", f"{event.seq}:{event.hash}")]
        sha = _sha(event)
        found += [("sha", sha)] if sha else []
        return [*found, ("command", "spine history --json"), ("verify command", "spine verify")]

    def export(self) -> tuple[str, Any] | None:
        """The events that are shown."""
        return "ledger", {"events": [builtins(self.table.rows[index]) for index in self.table.order]}


def about(event: Any) -> Line:
    """What an event is about, in one line."""
    body = event.body
    sha = _sha(event)
    pieces = [safe(str(body["semver"])) if body.get("semver") else safe("")]
    if not body.get("semver") and body.get("arms"):
        pieces = [
            safe(
                " ".join(
                    f"{arm.get('semver')} {arm.get('weight_bp', 0) / 100:g} %"
                    for arm in body["arms"]
                    if isinstance(arm, dict)
                )
            )
        ]
    if sha:
        pieces.append(safe(short(sha), "muted"))
    pieces += [safe(body[name], limit=40) for name in ("day", "result", "status") if isinstance(body.get(name), str)]
    told = body.get("reason") or body.get("text") or body.get("env") or body.get("variant") or ""
    pieces.append(safe(told, limit=120))
    return row(*(piece for piece in pieces if piece), gap=1)


def _body(event: Event) -> list[Line]:
    lines = pairs(
        [
            ("seq", safe(f"#{event.seq}")),
            ("event", safe(event.kind, _KINDS.get(event.kind, "strong"))),
            ("at", when(event.at)),
            ("actor", row(safe(event.actor), safe(f" on {event.host}", "muted"))),
        ]
    )
    return [*lines, *heading("body"), *tree(event.body)]


def _sha(event: Any) -> str:
    sha = event.body.get("sha")
    if isinstance(sha, str) and sha:
        return sha
    arms = event.body.get("arms")
    first = arms[0] if isinstance(arms, list) and arms else {}
    return str(first.get("sha", "")) if isinstance(first, dict) else ""


_NONE = "no events at this moment\n`spine init` writes the first"
_FIELDS: dict[str, Callable[[Any], str]] = {
    "kind": lambda e: e.kind,
    "actor": lambda e: e.actor,
    "host": lambda e: e.host,
    "sha": _sha,
    "seq": lambda e: str(e.seq),
    "semver": lambda e: str(e.body.get("semver", "")),
}
