"""Write mode: when changes are allowed, the dialog before a change, sending it, and reporting its result.

It knows no rule about entries: plans are made and carried out by ``writes.changes``, in background threads. Everything
that could forbid a change is checked again immediately before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelspine.errors import Unavailable
from modelspine.text import visible
from modelspine_console.app_protocol import Answer, Host
from modelspine_console.controllers.freshness import Freshness
from modelspine_console.data.jobs import Fetch, Outcome
from modelspine_console.dialogs.confirm import Confirm
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.writes.plan import Done, Plan, command_of, incomplete

if TYPE_CHECKING:
    from modelspine.release.rollback_cost import RollbackCost
    from modelspine_console.screens.base import View
    from modelspine_console.writes.changes import Changes

IDLE = timedelta(minutes=10)
"""Write mode ends this long after the last key, so that a terminal left open cannot change production."""

_CHECK = "This command shows its result, or makes the change if it was not made:"
"""Precedes the equivalent command. The command carries the plan's idempotency key, so it never makes a change twice."""


class WriteMode:
    """Plans changes and sends them; nothing is changed that was not shown and confirmed."""

    def __init__(self, host: Host, freshness: Freshness, changes: Changes | None, *, on: bool = False) -> None:
        self._host = host
        self._freshness = freshness
        self._changes = changes
        self._last_key: datetime | None = None
        """When a key was last pressed; None in read-only mode."""
        self.planning: View | None = None
        """The screen on which a change was requested, until its plan is ready."""
        self._held_keys: tuple[tuple[str, str | None], ...] = ()
        """Keys that were pressed meanwhile; they are meant for the dialog."""
        self._sending: tuple[Plan, dict[str, str]] | None = None
        """The change that is being carried out, with what was typed."""
        self.begin(on=on)

    # the mode -----------------------------------------------------------------------------------------

    def switch(self, *, on: bool) -> None:
        """Enter write mode, or leave it."""
        host = self._host
        if on and self._changes is None:
            toast(host, "this console was opened read-only", severity="warning")
            return
        self.begin(on=on)
        host.header.refresh()
        host.moved()

    def begin(self, *, on: bool) -> None:
        """Set the mode without drawing, as the app does before its first frame."""
        self._last_key = self._host.clock() if on else None

    @property
    def may_write(self) -> bool:
        """Whether write mode can be entered in this console."""
        return self._changes is not None

    @property
    def busy(self) -> bool:
        """Whether a change is being planned or carried out."""
        return self._sending is not None or self.planning is not None

    def change_project(self, changes: Changes | None) -> None:
        """Make changes in another project from now on, read-only until write mode is entered again."""
        self._changes, self._last_key = changes, None

    def extend(self) -> None:
        """Restart the idle time after a key, unless write mode has ended already."""
        if self.seconds is not None:
            self._last_key = self._host.clock()

    @property
    def seconds(self) -> float | None:
        """Seconds until write mode ends if no key is pressed; None in read-only mode."""
        if self._last_key is None or self._changes is None:
            return None
        left = (self._last_key + IDLE - self._host.clock()).total_seconds()
        return left if left > 0 else None

    def expire(self) -> None:
        """End write mode when the idle time is over."""
        if self._last_key is not None and self.seconds is None:
            self.switch(on=False)
            toast(self._host, "write mode ended after 10 idle minutes; :rw starts it again")

    def refusal(self) -> str | None:
        """Why no change is allowed now; None if changes are allowed."""
        if self.seconds is None:
            return "read-only; :rw starts write mode"
        if self._host.source.at is not None:
            return "the past is shown; :at now returns to the present"
        if self._freshness.link != "live":
            name, aim = ("pause", "resume") if self._freshness.paused else ("refresh", "retry")
            return f"{self._freshness.link}; press {self._host.action(name).shown} to {aim}"
        return "another change is in progress" if self._sending is not None else None

    # asking -------------------------------------------------------------------------------------------

    def ask(self, verb: str) -> None:
        """Plan a change of what the open screen is about; the plan is shown in a dialog before anything is done."""
        host, view = self._host, self._host.view
        action = host.action(verb)
        if view is None or self._changes is None or not host.holds(action):
            return
        reason = host.reason(action)
        if reason is not None:
            toast(host, reason, severity="warning")
            return
        self.planning, self._held_keys = view, ()
        host.jobs.submit("plan", self._planner(verb, view), self._posted("plan"))

    def _planner(self, verb: str, view: View) -> Fetch:
        changes = self._changes
        assert changes is not None
        if verb == "never_regress":
            walk = view.walked()
            return lambda: changes.plan_never_regress(walk)
        sha, why = view.goal()
        if verb == "report":
            return lambda: changes.plan_report(sha)
        return lambda: changes.plan(verb, sha, reason=why)

    def _posted(self, slot: str) -> Any:
        return lambda outcome: self._host.post_message(Answer(slot, 0, outcome))

    def hold(self, key: str, character: str | None) -> None:
        """Keep a key for the dialog whose plan is being made; escape cancels it."""
        if key == "escape":
            self.planning = None
        else:
            self._held_keys += ((key, character),)

    def planned(self, outcome: Outcome[Plan]) -> None:
        """Show a plan, unless it was cancelled or the operator has gone to another screen."""
        host = self._host
        wanted = self.planning is not None and self.planning is host.view and len(host.screen_stack) == 1
        held, self.planning, self._held_keys = self._held_keys, None, ()
        if not wanted:
            return
        if outcome.value is None:
            host.failed(outcome, again=True)
            return
        plan = outcome.value
        dialog = Confirm(plan, host.clock, confirmed=lambda values: self.send(plan, values))
        host.clear_notifications()  # a toast could hide the line that says what enter does
        host.push_screen(dialog)
        for key, character in held:
            if key == "enter":  # it was pressed before the dialog, and what it confirms, was visible
                break
            dialog.form.key(key, character)
        changes = self._changes
        if plan.goes_back and changes is not None:
            # After the dialog is open: what going back costs must not keep an operator in trouble waiting.
            host.jobs.submit("cost", lambda: changes.rollback_cost(plan.sha), lambda found: self._price(dialog, found))
        self.recheck()

    def _price(self, dialog: Confirm, outcome: Outcome[RollbackCost]) -> None:
        """Show what a rollback costs in the dialog that was opened for it; called in the background."""
        self._host.post_message(Answer("cost", 0, Outcome((dialog, outcome))))

    def priced(self, outcome: Outcome[tuple[Confirm, Outcome[RollbackCost]]]) -> None:
        """Show what a rollback costs, if its dialog is still open, and then ask what it means for recent traffic."""
        assert outcome.value is not None
        dialog, found = outcome.value
        changes = self._changes
        if dialog is not self._dialog or changes is None:
            return
        dialog.price(found)

        def step(done: int, total: int) -> None:
            if dialog is not self._dialog:
                raise Unavailable("the dialog was closed", "open it again")
            self._tell(dialog, Outcome(f"{done:,} of {total:,} texts answered by both …"))

        sha = dialog.plan.sha
        self._host.jobs.submit("traffic", lambda: changes.traffic(sha, step), lambda told: self._tell(dialog, told))

    def _tell(self, dialog: Confirm, outcome: Outcome[str]) -> None:
        """Show in the dialog what going back means for recent traffic; called in the background."""
        self._host.post_message(Answer("traffic", 0, Outcome((dialog, outcome))))

    def told(self, outcome: Outcome[tuple[Confirm, Outcome[str]]]) -> None:
        """Show what going back means for recent traffic, if its dialog is still open."""
        assert outcome.value is not None
        dialog, found = outcome.value
        if dialog is self._dialog:
            dialog.tell(found.value or f"not checked: {found.error}")

    # sending ------------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """Stop the open dialog if what it shows no longer holds."""
        dialog = self._dialog
        why = self._outdated(dialog.plan) if dialog is not None else None
        if dialog is not None and why is not None:
            dialog.stop(why)

    @property
    def _dialog(self) -> Confirm | None:
        """The open dialog; the screen stack is empty while the console shuts down."""
        stack = self._host.screen_stack
        return stack[-1] if stack and isinstance(stack[-1], Confirm) else None

    def _outdated(self, plan: Plan) -> str | None:
        pulse = self._freshness.pulse
        if not plan.in_git and pulse is not None and pulse.seq > plan.seq:
            return f"the ledger moved from #{plan.seq} to #{pulse.seq}; nothing was changed"
        return self.refusal()

    def send(self, plan: Plan, values: Mapping[str, str]) -> str | None:
        """Carry out what the dialog showed; returns the reason if it cannot be done now."""
        changes = self._changes
        why = self._outdated(plan)
        if why is None and (changes is None or incomplete(plan, values) is not None):
            why = "a required field is empty"
        if why is not None or changes is None:
            return why
        sent = dict(values)
        self._sending = (plan, sent)
        self._host.jobs.submit("change", lambda: changes.carry_out(plan, sent), self._posted("change"))
        return None

    def changed(self, outcome: Outcome[Done]) -> None:
        """Report the result of a change."""
        from modelspine_console.dialogs.dialogs import Reader

        host = self._host
        sent, self._sending = self._sending, None
        if self._dialog is not None:
            self._dialog.dismiss(None)
        done = outcome.value
        if done is not None and done.command:
            after = [safe(done.text, limit=2000), safe(""), safe("Next:", "muted"), safe(done.command, limit=2000)]
            host.push_screen(Reader("done", lambda _width: after, copied=done.command))
        elif done is not None:
            toast(host, done.text, title="done", lasting=True)
        elif sent is not None:
            plan, values = sent
            self._freshness.last_error = outcome  # the dialog below says it, so no toast does
            check = command_of(plan, values)
            lines = [safe(outcome.error, "bad", limit=4000), safe(outcome.hint), safe("")]
            lines += [safe(_CHECK, "muted"), safe(check, limit=2000)]
            host.push_screen(Reader(f"{plan.verb} failed", lambda _width: lines, copied=check))
        self._freshness.look()

    @property
    def parting(self) -> str:
        """What to print on the terminal when the console was left during a change."""
        if self._sending is None:
            return ""
        plan, values = self._sending
        if plan.in_git:
            return "A branch was being made; `git branch --list 'never-regress/*'` shows its result."
        command = visible(command_of(plan, values), 1200)
        return f"{plan.verb} was in progress. {_CHECK}\n  {command}"
