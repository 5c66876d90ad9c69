"""The dialog before a change: what it does, whom it affects, what has to be typed, and the equivalent command.

Enter does nothing until every field is valid. The dialog sends nothing itself: it passes what was typed to write mode,
which checks once more whether the change is still allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding

from modelspine.ledger.route import FULL
from modelspine.text import short
from modelspine.traffic.request_rate import blast_radius
from modelspine_console.dialogs.dialogs import Dialog
from modelspine_console.dialogs.rollback_costs import cost_line, cost_table
from modelspine_console.draw.format import ago, pairs, status
from modelspine_console.draw.sanitize import SENT, Line, folded, row, safe, toast
from modelspine_console.widgets.document import Doc, Lines
from modelspine_console.widgets.line_editor import Editor
from modelspine_console.writes.plan import (
    Plan,
    Step,
    Touched,
    affected,
    command_of,
    incomplete,
    planned_weight,
    problem,
)

if TYPE_CHECKING:
    from modelspine_console.data.source import Clock
    from modelspine_console.dialogs.rollback_costs import Found

_TITLES = {
    "promote": "promote {name}",
    "rollback": "roll back to {name}",
    "route": "route all traffic to {name}",
    "release": "release {name} from hold",
    "tombstone": "tombstone {name}",
    "never_regress": "make a branch with a never-regress item",
    "canary": "start a canary with {name}",
    "shadow": "mirror requests to {name}",
    "weight": "set the weight of {name}",
    "advance": "move {name} to its next step",
    "abort": "abort the rollout of {name}",
    "report": "record the drift report of {name}",
}
_SUBJECTS = {"report": "day", "never_regress": "request"}
"""What a plan is about, if not an entry."""
_COMMAND = "command"
"""The stop of the focus at which ``y`` copies the command."""
_STEPS = {"tab": 1, "down": 1, "shift+tab": -1, "up": -1}
_HEIGHT = 0.96
"""The share of the terminal's height that the dialog may take, as in its style."""


class Form:
    """The fields of a plan, and which of them is being typed into; the command is the last stop."""

    def __init__(self, plan: Plan, *, changed: Callable[[], None], done: Callable[[bool], None]) -> None:
        self.plan = plan
        self.editors = {ask.id: Editor(ask.text) for ask in plan.fields}
        self.stops = (*self.editors, _COMMAND)
        self.at = incomplete(plan, self.values) or self.stops[0]
        self.sent = False
        """Whether the change was sent: then the texts stay what was sent."""
        self._changed = changed
        self._done = done

    @property
    def values(self) -> Mapping[str, str]:
        """The text of each field."""
        return {name: editor.text for name, editor in self.editors.items()}

    def key(self, key: str, character: str | None) -> bool:
        """Edit, go to another field, or end; False for a key that does nothing here."""
        if key == "escape":
            self._done(False)
        elif key == "enter":
            self._enter()
        elif key in _STEPS:
            self.at = self.stops[(self.stops.index(self.at) + _STEPS[key]) % len(self.stops)]
        elif self.sent or self.at not in self.editors or not self.editors[self.at].key(key, character):
            return False
        self._changed()
        return True

    def type(self, text: str) -> None:
        """Type a text into the current field."""
        if self.at in self.editors and not self.sent:
            self.editors[self.at].type(text)
            self._changed()

    def paste(self, text: str) -> None:
        """Paste into the current field."""
        if self.at in self.editors and not self.sent:
            self.editors[self.at].paste(text)
            self._changed()

    def _enter(self) -> None:
        """Confirm if all fields are valid; from a valid field, go to the next one that is not."""
        missing = incomplete(self.plan, self.values)
        if missing is None:
            self._done(True)
        elif self.at not in self.editors or problem(self.plan, self.at, self.editors[self.at].text) is None:
            self.at = missing


class Confirm(Dialog[None]):
    """The dialog; it is dismissed on escape, or when the change was carried out."""

    DEFAULT_CSS = """
    Confirm > Vertical { width: 96; max-height: 96%; }
    """
    BINDINGS: ClassVar[list[Any]] = [Binding("y,ctrl+y", "copy")]

    def __init__(self, plan: Plan, clock: Clock, *, confirmed: Callable[[Mapping[str, str]], str | None]) -> None:
        """``confirmed`` sends what was typed; it returns the reason if that is not possible."""
        self._doc = Doc(fitted=self._follow)
        self._foot = Lines()
        """The line that says what enter does, below the text and visible wherever that scrolls."""
        self._doing = _TITLES.get(plan.verb, plan.verb).format(name=plan.name)
        env = safe(plan.env, "bad" if plan.env == "prod" else "warn", limit=40)
        title = row(safe(self._doing, "accent", limit=60), safe(" in ", "muted"), env)
        super().__init__(title, "Esc to cancel", self._doc, self._foot)
        self.plan = plan
        self.typist: Form | None = Form(plan, changed=self.redraw, done=self._ended)
        self.form = self.typist
        self.stopped = ""
        """Why nothing can be sent any more."""
        self._cost: Found | None = None
        """What a rollback costs; None until it has been computed."""
        self._traffic = ""
        """What it means for recent traffic; empty until that is being asked."""
        self._clock = clock
        self._confirmed = confirmed

    def on_mount(self) -> None:
        """Draw the dialog."""
        self._foot.show(self._foot_lines)
        self._doc.can_focus = False
        self.redraw()
        self.call_after_refresh(self.redraw)  # the heights depend on the width, which is known after the first layout

    def on_resize(self) -> None:
        """Fit the dialog to the new size."""
        self.call_after_refresh(self.redraw)

    def redraw(self) -> None:
        """Draw what was typed, and give the text the height it needs."""
        if self.is_mounted:
            self._doc.show(self.draw, top=False, ages=True)
            room = int(self.app.size.height * _HEIGHT) - 3
            foot = len(self._foot_lines(self._doc.size.width))
            self._foot.styles.height = foot
            self._doc.styles.height = max(1, min(len(self._doc.lines), room - foot))
            self._foot.refresh()
            self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        """Scroll so that the current field is visible."""
        at = next((n for n, line in enumerate(self._doc.lines) if line.plain.startswith("▸")), 0)
        top, room = self._doc.scroll_offset.y, self._doc.size.height
        last = min(len(self._doc.lines) - 1, at + 2)
        if not top <= at <= last < top + room:
            self._doc.scroll_to(y=max(0, min(at, last - room + 1)), animate=False)

    def stop(self, why: str) -> None:
        """Forbid sending, and show why."""
        if not self.form.sent and not self.stopped:
            self.stopped = why
            self.redraw()

    def price(self, cost: Found) -> None:
        """Show what the rollback costs; it can be confirmed before that is known."""
        self._cost = cost
        self.redraw()

    def tell(self, traffic: str) -> None:
        """Show what the rollback means for recent traffic, or how far asking that is."""
        self._traffic = traffic
        self.redraw()

    # drawing ------------------------------------------------------------------------------------------

    def draw(self, width: int) -> Sequence[Line]:
        """The facts, the fields, and the equivalent command."""
        plan = self.plan
        label_width = max((len(ask.label) for ask in plan.fields), default=0)
        lines = [safe(""), *pairs(self._facts(), indent=0), safe(""), *cost_table(self._cost, width)]
        lines += [self._field(ask.id, ask.label.ljust(label_width), ask.hint) for ask in plan.fields]
        here = self.form.at == _COMMAND
        hint = safe("  y to copy" if here else "  Tab here, then y to copy", "key" if here else "faint")
        lines += [safe(""), row(_mark(here), safe("Equivalent command", "muted"), hint)]
        command = command_of(plan, self.form.values)
        return lines + [row(safe("  "), part) for part in folded(safe(command, limit=900), max(20, width - 4))]

    def _facts(self) -> list[tuple[str, Line]]:
        plan, values = self.plan, self.form.values
        weight = planned_weight(plan, values)
        after = plan.after.replace("SEMVER", values.get("semver", ""), 1)
        after = after.replace("WEIGHT", "…" if weight is None else f"{weight / 100:g} %", 1)
        subject = row(safe(plan.name, "strong"), safe(f"  {short(plan.sha)}", "muted"))
        facts = [(_SUBJECTS.get(plan.verb, "entry"), subject)]
        facts += [("now", safe(plan.before)), ("then", row(safe("→ ", "accent"), safe(after)))]
        if plan.step is not None:
            facts += _step_facts(plan.step, weight, typed=bool(values.get("weight", "").strip()))
        if plan.item is None:
            facts += [("gate", self._gate()), ("impact", safe(impact(affected(plan, values))))]
        if plan.goes_back:
            facts.append(("costs", cost_line(self._cost)))
            facts.append(("traffic", safe(self._traffic or "asked next", "" if self._traffic else "muted", limit=400)))
        if not plan.in_git:
            facts.append(("based on", safe(f"ledger #{plan.seq}; refused if it changes first", "muted")))
        return facts

    def _gate(self) -> Line:
        gated = self.plan.gated
        signed = safe("; a signed verdict is required", "muted") if self.plan.signed else safe("")
        if gated is None:
            return row(safe("! never gated", "warn"), signed)
        result = status(str(gated.body.get("result")))
        return row(result, safe(f" at #{gated.seq}, "), ago(gated.at, self._clock()), signed)

    def _field(self, name: str, label: str, hint: str) -> Line:
        here = self.form.at == name
        editor = self.form.editors[name]
        wrong = problem(self.plan, name, editor.text)
        if wrong is None:
            sign, note = safe("✔ ", "good"), safe("" if editor.text.strip() else f"   {hint}", "faint")
        else:
            sign = safe("· ", "faint")
            note = safe(f"   {wrong}", "warn") if editor.text else safe(f"   {hint or wrong}", "faint")
        return row(_mark(here), safe(f"{label}  ", "muted"), sign, editor.line(caret=here), note)

    def _foot_lines(self, width: int) -> Sequence[Line]:
        return [safe(""), *folded(self._state(), max(20, width))]

    def _state(self) -> Line:
        """What enter does, or why it does nothing."""
        if self.form.sent:
            return row(safe("sending …", "accent"), safe("   Esc closes this dialog, the change goes on", "muted"))
        if self.stopped:
            return row(safe("✖ ", "bad"), safe(self.stopped, "bad"), safe("   Esc to close", "muted"))
        if incomplete(self.plan, self.form.values) is not None:
            return safe("Fill in the fields without ✔ · Tab: next field · Esc to cancel", "faint")
        return row(safe("Enter", "warn"), safe(f" to {self._doing} in {self.plan.env}"))

    # ending -------------------------------------------------------------------------------------------

    def _ended(self, kept: bool) -> None:
        if not kept:
            self.dismiss(None)
        elif not self.form.sent and not self.stopped:
            why = self._confirmed(self.form.values)
            self.form.sent = why is None
            self.stopped = why or ""

    def action_copy(self) -> None:
        """Copy the command."""
        self.app.copy_to_clipboard(command_of(self.plan, self.form.values))
        toast(self.app, f"command {SENT}")


def _mark(here: bool) -> Line:
    return safe("▸ " if here else "  ", "accent")


def _step_facts(step: Step, weight: int | None, *, typed: bool) -> list[tuple[str, Line]]:
    """How a rollout continues, and the harm it can do before its guard aborts it."""
    facts = [("" if number else "skips", safe(text, "warn")) for number, text in enumerate(step.skips)]
    facts += [("next", safe(step.then[typed]))] if step.then[typed] else []
    if step.guard is not None and weight:
        answers = blast_radius(weight, step.guard, step.per_second).answers
        number = f"about {answers:,.0f} answers" if answers >= 1 else "less than one answer"
        rate = "at an assumed 1 request/s"
        if step.per_second is not None:
            rate = f"at the {step.per_second:.2g} requests/s of the busiest recent hour"
        facts.append(("worst case", safe(f"{number} before an abort, {rate}", "warn")))
    return facts


def impact(traffic: Touched) -> str:
    """The traffic that another entry will answer, as text."""
    if not traffic.share_bp:
        return "none (no traffic change)"
    share = f"{100 * traffic.share_bp / FULL:g} % of traffic"
    arms = f" ({', '.join(traffic.arms)})" if traffic.arms else ""
    if traffic.an_hour is None:
        return f"{share}{arms}; volume unknown, there are no traces"
    return f"{share}{arms}; {traffic.an_hour:,} requests in the last hour"
