"""The dialog before a change: what it does and to whom, what has to be typed first, and the command that does the same.

Enter is dead until everything that is asked for was typed. It sends nothing itself: it hands what was typed to
the app, which looks once more whether the change may still be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from modelspine.ledger.route import FULL
from modelspine.text import short
from modelspine.traffic.request_rate import blast_radius
from modelspine_console.draw.format import age, gate_word, pairs
from modelspine_console.draw.sanitize import Line, fill, folded, row, safe, toast
from modelspine_console.widgets.document import Doc, Lines
from modelspine_console.widgets.line_editor import Editor
from modelspine_console.writes.plan import Plan, Step, Touched, command_of, problem, reached, unready, weighed

_TITLES = {
    "promote": "promote",
    "rollback": "roll back",
    "route": "route to",
    "release": "release",
    "tombstone": "tombstone",
    "never_regress": "never regress",
    "canary": "start a canary",
    "shadow": "start a shadow",
    "weight": "weight",
    "advance": "next step",
    "abort": "abort",
    "report": "drift report",
}
_ABOUT = {"report": "day"}
_COMMAND = "command"


class Form:
    """The fields of a plan and which of them the keys go to; the command is the last stop, where ``y`` copies it."""

    def __init__(self, plan: Plan, *, changed: Callable[[], None], done: Callable[[bool], None]) -> None:
        self.plan = plan
        self.editors = {ask.id: Editor(ask.text) for ask in plan.fields}
        self.stops = (*self.editors, _COMMAND)
        self.at = unready(plan, self.values) or self.stops[0]
        self._changed = changed
        self._done = done

    @property
    def values(self) -> Mapping[str, str]:
        """What stands in each field."""
        return {name: editor.text for name, editor in self.editors.items()}

    def key(self, key: str, character: str | None) -> bool:
        """Type, go to another field, or end; False where the key means nothing here."""
        if key == "escape":
            self._done(False)
        elif key == "enter":
            self._enter()
        elif key in _STEPS:
            self.at = self.stops[(self.stops.index(self.at) + _STEPS[key]) % len(self.stops)]
        elif self.at not in self.editors or not self.editors[self.at].key(key, character):
            return False
        self._changed()
        return True

    def type(self, text: str) -> None:
        """Type a text into the field the keys go to."""
        if self.at in self.editors:
            self.editors[self.at].type(text)
            self._changed()

    def paste(self, text: str) -> None:
        """Paste into the field the keys go to."""
        if self.at in self.editors:
            self.editors[self.at].paste(text)
            self._changed()

    def _enter(self) -> None:
        """Confirm where everything is typed; from a field that is right go on to the next one that is not."""
        missing = unready(self.plan, self.values)
        if missing is None:
            self._done(True)
        elif self.at == _COMMAND or problem(self.plan, self.at, self.values[self.at]) is None:
            self.at = missing


class Confirm(ModalScreen[None], inherit_bindings=False):
    """A plan, to be confirmed or left."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: 92; max-width: 98%; height: auto; max-height: 96%; padding: 1 2; background: $surface; }
    """
    BINDINGS: ClassVar[list[Any]] = [Binding("y,ctrl+y", "copy")]

    def __init__(self, plan: Plan, now: datetime, *, confirmed: Callable[[Mapping[str, str]], str | None]) -> None:
        """``confirmed`` is handed what was typed and sends it; it returns why it did not, or None."""
        super().__init__()
        self.plan = plan
        self.typist: Form | None = Form(plan, changed=self.redraw, done=self._ended)
        self.form = self.typist
        self.stopped = ""
        """Why nothing can be sent any more."""
        self._sending = False
        self._now = now
        self._confirmed = confirmed
        self._doc = Doc()
        self._foot = Lines(id="dialog-foot")

    def compose(self) -> ComposeResult:
        """Title and text, and below it, whatever scrolls, what enter does."""
        with Vertical():
            yield Lines(id="dialog-title", base="bar")
            yield self._doc
            yield self._foot

    def on_mount(self) -> None:
        """Draw."""
        self.query_one(Lines).show(lambda width: [fill(self._title(), safe("esc leaves it", "faint"), width)])
        self._foot.show(self._says)
        self._doc.can_focus = False
        self.redraw()
        self.call_after_refresh(self.redraw)

    def on_resize(self) -> None:
        """Fit again."""
        self.call_after_refresh(self.redraw)

    def redraw(self) -> None:
        """Draw what was typed."""
        if self.is_mounted:
            self._doc.show(self.draw, top=False)
            room = int(self.app.size.height * 0.96) - 3
            told = self._says(self._doc.size.width)
            self._foot.styles.height = len(told)
            self._doc.styles.height = max(1, min(len(self._doc.lines), room - len(told)))
            self._foot.refresh()
            self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        """Keep in sight what the keys go to."""
        at = next((n for n, line in enumerate(self._doc.lines) if line.plain.startswith("▸")), 0)
        top, room = self._doc.scroll_offset.y, self._doc.size.height
        last = min(len(self._doc.lines) - 1, at + 2)
        if not top <= at <= last < top + room:
            self._doc.scroll_to(y=max(0, min(at, last - room + 1)), animate=False)

    def stop(self, why: str) -> None:
        """Send nothing any more, and say why."""
        if not self._sending and not self.stopped:
            self.stopped = why
            self.redraw()

    # drawing ------------------------------------------------------------------------------------------

    def _title(self) -> Line:
        env = safe(self.plan.env, "bad" if self.plan.env == "prod" else "warn", limit=40)
        return row(safe(_TITLES.get(self.plan.verb, self.plan.verb), "accent"), safe(" in ", "muted"), env)

    def draw(self, width: int) -> Sequence[Line]:
        """Everything there is to know, then the fields, then the command."""
        plan = self.plan
        lines = [safe(""), *pairs(self._facts(), indent=0), safe("")]
        wide = max((len(ask.label) for ask in plan.fields), default=0)
        lines += [self._field(ask.id, ask.label.ljust(wide), ask.hint) for ask in plan.fields]
        here = self.form.at == _COMMAND
        told = safe("  y copies" if here else "  tab, then y copies", "key" if here else "faint")
        lines += [safe(""), row(_mark(here), safe("the same without the console", "muted"), told)]
        command = command_of(plan, self.form.values)
        lines += [row(safe("  "), part) for part in folded(safe(command, limit=900), max(20, width - 4))]
        return lines

    def _facts(self) -> list[tuple[str, Line]]:
        plan, values = self.plan, self.form.values
        weight = weighed(plan, values)
        after = plan.after.replace("SEMVER", values.get("semver", ""), 1)
        after = after.replace("WEIGHT", "…" if weight is None else f"{weight / 100:g} %", 1)
        facts = [
            (
                _ABOUT.get(plan.verb, "entry"),
                row(safe(plan.name, "strong"), safe(f"  {short(plan.sha)}", "muted")),
            ),
            ("before", safe(plan.before)),
            ("after", row(safe("→ ", "accent"), safe(after))),
        ]
        if plan.step is not None:
            facts += self._step(plan.step, weight, typed=bool(values.get("weight", "").strip()))
        if plan.item is None:
            facts += [("gate", self._gate()), ("touches", safe(touched(reached(plan, values))))]
        if not plan.in_file:
            facts.append(("decided on", safe(f"ledger #{plan.seq}; sent only while that is the newest event", "muted")))
        return facts

    def _step(self, step: Step, weight: int | None, *, typed: bool) -> list[tuple[str, Line]]:
        facts = [("then", safe(step.then[typed]))] if step.then[typed] else []
        if step.guard is not None and weight:
            facts.append(("at worst", safe(blast_radius(weight, step.guard, step.per_second).summary, "warn")))
        return facts

    def _gate(self) -> Line:
        gated = self.plan.gated
        asked = safe("; a signed verdict decides", "muted") if self.plan.signed else safe("")
        if gated is None:
            return row(safe("! never gated", "warn"), asked)
        told = row(gate_word(str(gated.body.get("result"))), safe(f" at #{gated.seq}, "), age(gated.at, self._now))
        return row(told, safe(" ago", "muted"), asked)

    def _field(self, name: str, label: str, hint: str) -> Line:
        here = self.form.at == name
        editor = self.form.editors[name]
        line = row(_mark(here), safe(f"{label}  ", "muted"))
        wrong = problem(self.plan, name, editor.text)
        if wrong is None:
            note = safe("" if editor.text.strip() else f"   {hint}", "faint")
            return row(line, safe("✔ ", "good"), editor.line(caret=here), note)
        note = safe(f"   {wrong}", "warn") if editor.text else safe(f"   {hint or wrong}", "faint")
        return row(line, safe("· ", "faint"), editor.line(caret=here), note)

    def _says(self, width: int) -> Sequence[Line]:
        return [safe(""), *folded(self._state(), max(20, width))]

    def _state(self) -> Line:
        if self._sending:
            return safe("sending …", "accent")
        if self.stopped:
            return row(safe("✖ ", "bad"), safe(self.stopped, "bad"), safe("   esc closes", "muted"))
        if unready(self.plan, self.form.values) is not None:
            return row(safe("enter", "faint"), safe(" does nothing yet   tab goes on   esc leaves it", "faint"))
        return row(safe("enter", "warn"), safe(f" does it: {_TITLES.get(self.plan.verb, '')} in {self.plan.env}"))

    # ending -------------------------------------------------------------------------------------------

    def _ended(self, kept: bool) -> None:
        if not kept:
            self.dismiss(None)
        elif not self._sending and not self.stopped:
            why = self._confirmed(self.form.values)
            self._sending = why is None
            self.stopped = why or ""

    def action_copy(self) -> None:
        """Copy the command."""
        self.app.copy_to_clipboard(command_of(self.plan, self.form.values))
        toast(self.app, "command copied")


_STEPS = {"tab": 1, "down": 1, "shift+tab": -1, "up": -1}


def _mark(here: bool) -> Line:
    return safe("▸ " if here else "  ", "accent")


def touched(who: Touched) -> str:
    """Whose requests another entry will answer, in words."""
    if not who.share_bp:
        return "nobody: no traffic moves"
    share = f"{100 * who.share_bp / FULL:g} % of the traffic"
    arms = f" ({', '.join(who.arms)})" if who.arms else ""
    if who.an_hour is None:
        return f"{share}{arms}; how much that is nobody knows: there are no traces"
    return f"{share}{arms}; {who.an_hour:,} requests in the last hour"
