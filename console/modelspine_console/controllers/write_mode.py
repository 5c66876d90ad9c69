"""Write mode: when something may be changed, the dialog before it, sending it, and what became of it.

It knows no rule about entries: a plan is made and carried out by ``writes.changes``, in threads. Whatever it
does, it looks at everything once more before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelspine.text import visible
from modelspine_console.app_protocol import Answer, Host
from modelspine_console.controllers.freshness import Freshness
from modelspine_console.data.jobs import Fetch, Outcome
from modelspine_console.dialogs.confirm import Confirm
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.writes.plan import Plan, command_of, unready

if TYPE_CHECKING:
    from modelspine_console.screens.base import View
    from modelspine_console.writes.changes import Changes

IDLE = timedelta(minutes=10)
"""Write mode ends this long after the last key."""


class WriteMode:
    """Changing things: nothing is changed that was not shown and confirmed."""

    def __init__(self, host: Host, freshness: Freshness, changes: Changes | None) -> None:
        self._host = host
        self._freshness = freshness
        self._changes = changes
        self._stirred: datetime | None = None
        """When a key was last pressed in write mode; None in read-only mode."""
        self.planning: View | None = None
        """The screen on which a change was asked for, until its plan is there."""
        self._held: tuple[tuple[str, str | None], ...] = ()
        """Keys that were pressed until then: they are meant for the dialog."""
        self._sending: tuple[Plan, dict[str, str]] | None = None
        """The change that is under way, with what was typed."""

    # the mode -----------------------------------------------------------------------------------------

    def switch(self, *, on: bool) -> None:
        """Go into write mode, or out of it."""
        host = self._host
        if on and self._changes is None:
            toast(host, "this console was opened for reading only", severity="warning")
            return
        self.begin(on=on)
        host.header.refresh()
        host.moved()

    def begin(self, *, on: bool) -> None:
        """The same before anything is drawn."""
        self._stirred = self._host.clock() if on else None

    def stir(self) -> None:
        """Somebody is at the keys: write mode, where it has not ended, lasts on."""
        if self.seconds is not None:
            self._stirred = self._host.clock()

    @property
    def seconds(self) -> float | None:
        """Seconds that write mode lasts if no key is pressed; None in read-only mode."""
        if self._stirred is None or self._changes is None:
            return None
        left = (self._stirred + IDLE - self._host.clock()).total_seconds()
        return left if left > 0 else None

    def expire(self) -> None:
        """End write mode where nobody was at the keys for long."""
        if self._stirred is not None and self.seconds is None:
            self.switch(on=False)
            toast(self._host, "write mode ended: no key for 10 minutes; `:rw` opens it again")

    def refusal(self) -> str | None:
        """Why nothing at all may be changed now; None where something may."""
        if self.seconds is None:
            return "read-only: `:rw` opens write mode"
        if self._host.source.at is not None:
            return "another moment is shown: `:at now` goes back"
        if self._freshness.link != "live":
            return f"the data is {self._freshness.link}: `r` reads it again"
        return "a change is under way" if self._sending is not None else None

    # asking -------------------------------------------------------------------------------------------

    def ask(self, verb: str) -> None:
        """Ask for a change of what the open screen is about; its plan is shown before anything is done."""
        host, view = self._host, self._host.view
        action = host.action(verb)
        if view is None or self._changes is None or not host.holds(action):
            return
        reason = host.reason(action)
        if reason is not None:
            toast(host, reason, severity="warning")
            return
        self.planning, self._held = view, ()
        host.jobs.submit("plan", self._planner(verb, view), self._posted("plan"))

    def _planner(self, verb: str, view: View) -> Fetch:
        changes = self._changes
        assert changes is not None
        if verb == "never_regress":
            walk = view.walked()
            return lambda: changes.plan_never_regress(walk)
        sha, why = view.goal(verb)
        if verb == "report":
            return lambda: changes.plan_report(sha)
        return lambda: changes.plan(verb, sha, reason=why)

    def _posted(self, slot: str) -> Any:
        return lambda outcome: self._host.post_message(Answer(slot, 0, outcome))

    def hold(self, key: str, character: str | None) -> None:
        """Keep a key for the dialog that is on its way; escape calls it off."""
        if key == "escape":
            self.planning = None
        else:
            self._held += ((key, character),)

    def planned(self, outcome: Outcome[Plan]) -> None:
        """Show a plan, where it was not called off and the operator still is where it was asked for."""
        host = self._host
        wanted = self.planning is not None and self.planning is host.view and len(host.screen_stack) == 1
        held, self.planning, self._held = self._held, None, ()
        if not wanted:
            return
        if outcome.value is None:
            host.failed(outcome, again=True)
            return
        plan = outcome.value
        dialog = Confirm(plan, host.clock(), confirmed=lambda values: self.send(plan, values))
        host.clear_notifications()  # one that lies over what enter does is a trap
        host.push_screen(dialog)
        for key, character in held:
            if key == "enter":  # nobody has seen yet what it would confirm
                break
            dialog.form.key(key, character)
        self.recheck()

    # sending ------------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """Stop the open dialog where what it shows does not hold any more."""
        dialog = self._dialog
        why = self._outdated(dialog.plan) if dialog is not None else None
        if dialog is not None and why is not None:
            dialog.stop(why)

    @property
    def _dialog(self) -> Confirm | None:
        """The dialog that is open; there is no screen at all while the console ends."""
        stack = self._host.screen_stack
        return stack[-1] if stack and isinstance(stack[-1], Confirm) else None

    def _outdated(self, plan: Plan) -> str | None:
        pulse = self._freshness.pulse
        if not plan.in_file and pulse is not None and pulse.seq > plan.seq:
            return f"the ledger moved from #{plan.seq} to #{pulse.seq} meanwhile; nothing was changed"
        return self.refusal()

    def send(self, plan: Plan, values: Mapping[str, str]) -> str | None:
        """Carry out what the dialog showed; returns why not, where something stands against it."""
        changes = self._changes
        why = self._outdated(plan)
        if why is None and (changes is None or unready(plan, values) is not None):
            why = "something is not typed yet"
        if why is not None or changes is None:
            return why
        sent = dict(values)
        self._sending = (plan, sent)
        self._host.jobs.submit("change", lambda: changes.carry_out(plan, sent), self._posted("change"))
        return None

    def changed(self, outcome: Outcome[str]) -> None:
        """Say what became of a change."""
        from modelspine_console.dialogs.dialogs import Reader

        host = self._host
        sent, self._sending = self._sending, None
        if self._dialog is not None:
            self._dialog.dismiss(None)
        if outcome.value is not None:
            toast(host, outcome.value, title="done", lasting=True)
        elif sent is not None:
            plan, values = sent
            host.failed(outcome, again=True)
            check = command_of(plan, values)
            told = [safe(outcome.error, "bad", limit=4000), safe(outcome.hint), safe("")]
            told += [safe("this learns what stands, or does it where nothing did:", "muted"), safe(check, limit=2000)]
            host.push_screen(Reader(f"{plan.verb}: not done", lambda _width: told, copied=check))
        self._freshness.look()

    @property
    def parting(self) -> str:
        """What to say on the terminal when the console was left while something was being changed."""
        if self._sending is None:
            return ""
        plan, values = self._sending
        if plan.in_file:
            return "a change of the baseline was under way: `git diff` shows what became of it"
        command = visible(command_of(plan, values), 1200)
        return f"{plan.verb} was under way. This tells what became of it, or does it where nothing did:\n  {command}"
