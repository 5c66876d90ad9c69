"""The Ledger screen: every event, newest first, with its body and its place in the hash chain.

It draws what the source returns, and can have the whole ledger read and hashed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from modelspine.signs import SIGNS
from modelspine.text import counted, short
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Checked
from modelspine_console.draw.format import age, builtins, heading, pairs, status, tree, when
from modelspine_console.draw.sanitize import Line, row, safe
from modelspine_console.draw.theme import Role
from modelspine_console.screens.base import Fields, document
from modelspine_console.screens.listing import Listing
from modelspine_console.widgets.column import Column
from modelspine_console.widgets.table import Table

if TYPE_CHECKING:
    from modelspine.ledger.store import Event

_ROLES: dict[str, Role] = {
    "promoted": "good", "routed": "accent", "rolled_back": "warn", "denied": "bad",
    "held": SIGNS["held"].role, "tombstoned": SIGNS["tombstoned"].role,
}  # fmt: skip
"""Colours of event kinds."""


def _sha(event: Any) -> str:
    """SHA of the entry an event is about; for a route, that of its first arm."""
    sha = event.body.get("sha")
    if isinstance(sha, str) and sha:
        return sha
    arms = event.body.get("arms")
    first = arms[0] if isinstance(arms, list) and arms else {}
    return str(first.get("sha", "")) if isinstance(first, dict) else ""


class LedgerView(Listing):
    """Events, newest first."""

    NAME = "ledger"
    ITEM = "event"
    TABS = ("body", "chain")
    EMPTY = "no events at this moment\n`spine init` writes the first one"
    GO_HINT = "`:history 12` goes to event #12"
    FIELDS: ClassVar[Fields] = {
        "kind": lambda e: e.kind,
        "actor": lambda e: e.actor,
        "host": lambda e: e.host,
        "sha": _sha,
        "seq": lambda e: f"#{e.seq}",
        "semver": lambda e: str(e.body.get("semver", "")),
        "at": lambda e: e.at,
        "text": lambda e: " ".join(value for value in e.body.values() if isinstance(value, str)),
    }

    def __init__(self) -> None:
        columns = (
            Column("#", 7, lambda e: safe(e.seq, "muted"), lambda e: e.seq, right=True),
            Column("event", 14, lambda e: safe(e.kind, _ROLES.get(e.kind, "")), lambda e: e.kind),
            Column("about", 12, _about, grow=True),
            Column("actor", 10, lambda e: safe(e.actor, "muted"), lambda e: e.actor, rank=2),
            Column("age", 7, lambda e: age(e.at, self.now()), right=True, rank=1),
        )
        super().__init__(Table(columns, lambda event: event.seq), document("event"))
        self.checked: Outcome[Checked] | None = None
        """The result of hashing the whole ledger again, once that was requested."""

    def read(self) -> Any:
        """Every event."""
        return self.desk.source.events()

    def draw_tab(self) -> None:
        """Draw the event's body, or its place in the chain."""
        event: Event | None = self.table.current
        if event is None:
            self.about.title("event")
            self.about.turn("empty", "no event selected")
            return
        self.about.title(f"#{event.seq}")
        lines = _body(event) if self.tab == "body" else self._chain(event)
        self.about.show(lambda _width: lines)

    def _chain(self, event: Event) -> list[Line]:
        before = f"#{event.seq - 1}" if event.seq > 1 else "start"
        links = [(before, safe(event.prev, "muted")), ("↓", safe("is hashed into this event as `prev`", "faint"))]
        lines = pairs([*links, (f"#{event.seq}", safe(event.hash))])
        hashed = safe("  every link was hashed when the ledger was read", "muted")
        lines += [safe(""), row(safe(" "), status("verified"), hashed), *heading("whole ledger")]
        if self.checked is None:
            key = self.desk.action("verify").shown
            return [*lines, safe(f" press {key} to read it from disk and hash everything again", "muted")]
        found = self.checked.value
        if found is None:
            failure = row(safe(" "), status("mismatch"), safe(f"  {self.checked.error}"))
            return [*lines, failure, safe(f"   {self.checked.hint}", "muted")]
        events, evidence = counted(found.events, "event"), counted(found.evidence, "piece")
        result = row(safe(" "), status("verified"), safe(f"  {events}, {evidence} of evidence hashed again"))
        return [*lines, result, *pairs([("head", safe(found.head))])]

    def verify(self) -> None:
        """Hash the whole ledger again."""
        self.about.tab = self.TABS.index("chain")
        self.about.describe("hashing …")
        self.ask("check", self.desk.source.check, self._verified)

    def _verified(self, outcome: Outcome[Checked]) -> None:
        self.checked = outcome
        self.about.describe("")
        if not outcome.ok:
            self.desk.failed(outcome)
        self.draw_tab()

    # names --------------------------------------------------------------------------------------------

    def key_of(self, name: str) -> int:
        """The seq of an event; 0, which no event has, for a text that is no number."""
        number = name.lstrip("#")
        return int(number) if number.isdecimal() else 0

    def name_of(self, item: Any) -> str:
        """An event's number."""
        return f"#{item.seq}"

    def target(self) -> str:
        """SHA of the entry the event is about."""
        event = self.table.current
        return _sha(event) if event is not None else ""

    def reason(self, action: str) -> str | None:
        """Only events about an entry have a lineage."""
        return "this event is about no entry" if action == "lineage" and not self.target() else None

    def copies(self) -> list[tuple[str, str]]:
        """The event's names, and the equivalent commands."""
        event: Event | None = self.table.current
        if event is None:
            return []
        names = [("hash", event.hash), ("checkpoint", f"{event.seq}:{event.hash}")]
        names += [("sha", self.target())] if self.target() else []
        return [*names, ("command", "spine history --json"), ("verify command", "spine verify")]

    def export(self) -> tuple[str, Any] | None:
        """The events that are shown."""
        return "ledger", {"events": builtins(self.table.shown)}


def _about(event: Any) -> Line:
    """What an event is about, in one line: semver or arms, SHA, results, then its reason or text."""
    body, sha = event.body, _sha(event)
    arms = body["arms"] if isinstance(body.get("arms"), list) else []
    shares = " ".join(
        f"{arm.get('semver')} {arm.get('weight_bp', 0) / 100:g} %" for arm in arms if isinstance(arm, dict)
    )
    pieces = [safe(str(body.get("semver") or "") or shares), safe(short(sha), "muted")]
    pieces += [safe(body[name], limit=40) for name in ("day", "result", "status") if isinstance(body.get(name), str)]
    text = body.get("reason") or body.get("text") or body.get("env") or body.get("variant") or ""
    return row(*(piece for piece in [*pieces, safe(text, limit=120)] if piece), gap=1)


def _body(event: Event) -> list[Line]:
    actor = row(safe(event.actor), safe(f" on {event.host}", "muted"))
    kind = safe(event.kind, _ROLES.get(event.kind, "strong"))
    facts = [("seq", safe(f"#{event.seq}")), ("event", kind), ("at", when(event.at)), ("actor", actor)]
    return [*pairs(facts), *heading("body"), *tree(event.body)]
