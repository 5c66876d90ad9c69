"""Write mode: when something may be changed, the dialog before it, sending it, and what became of it.

It knows no rule about entries: a plan is made and carried out by ``writes.changes``, in threads. None of its
actions takes an argument, and each looks at everything once more before it does anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from modelspine.text import visible
from modelspine_console.app_protocol import Answer
from modelspine_console.data.jobs import Fetch, Outcome
from modelspine_console.dialogs.confirm import Confirm
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.keymap import BY_ID
from modelspine_console.writes.plan import Plan, command_of, unready

if TYPE_CHECKING:
    from modelspine_console.app import Console
    from modelspine_console.screens.base import View

IDLE = timedelta(minutes=10)
"""Write mode ends this long after the last key."""


class Writing:
    """Changing things; mixed into the app."""

    stirred: datetime | None = None
    """When a key was last pressed in write mode; None in read-only mode."""
    planning: View | None = None
    """The screen on which a change was asked for, until its plan is there."""
    held: tuple[tuple[str, str | None], ...] = ()
    """Keys that were pressed until then: they are meant for the dialog."""
    sending: tuple[Plan, dict[str, str]] | None = None
    """The change that is under way, with what was typed."""

    @property
    def _app(self) -> Console:
        return cast("Console", self)

    # the mode -----------------------------------------------------------------------------------------

    def write_mode(self, *, on: bool) -> None:
        """Go into write mode, or out of it."""
        app = self._app
        if on and app.changes is None:
            toast(app, "this console was opened for reading only", severity="warning")
            return
        app.stirred = app.clock() if on else None
        app.header.refresh()
        app.moved()

    def stir(self) -> None:
        """Somebody is at the keys: write mode, where it has not ended, lasts on."""
        if self.writing is not None:
            self._app.stirred = self._app.clock()

    @property
    def writing(self) -> float | None:
        """Seconds that write mode lasts if no key is pressed; None in read-only mode."""
        stirred = self._app.stirred
        if stirred is None or self._app.changes is None:
            return None
        left = (stirred + IDLE - self._app.clock()).total_seconds()
        return left if left > 0 else None

    def expire(self) -> None:
        """End write mode where nobody was at the keys for long."""
        if self._app.stirred is not None and self.writing is None:
            self.write_mode(on=False)
            toast(self._app, "write mode ended: no key for 10 minutes; `:rw` opens it again")

    def refusal(self) -> str | None:
        """Why nothing at all may be changed now; None where something may."""
        app = self._app
        if self.writing is None:
            return "read-only: `:rw` opens write mode"
        if app.source.at is not None:
            return "another moment is shown: `:at now` goes back"
        if app.link != "live":
            return f"the data is {app.link}: `r` reads it again"
        return "a change is under way" if app.sending is not None else None

    # asking -------------------------------------------------------------------------------------------

    def action_promote(self) -> None:
        """Ask to bind a semver to the entry."""
        self._ask_for("promote")

    def action_rollback(self) -> None:
        """Ask to give all traffic back to the entry."""
        self._ask_for("rollback")

    def action_route(self) -> None:
        """Ask to give all traffic to the entry."""
        self._ask_for("route")

    def action_canary(self) -> None:
        """Ask to try the entry out on a few learners."""
        self._ask_for("canary")

    def action_shadow(self) -> None:
        """Ask to copy requests to the entry."""
        self._ask_for("shadow")

    def action_abort(self) -> None:
        """Ask to end what is tried out."""
        self._ask_for("abort")

    def action_advance(self) -> None:
        """Ask to take the canary to its next step."""
        self._ask_for("advance")

    def action_weight(self) -> None:
        """Ask to give what is tried out another weight."""
        self._ask_for("weight")

    def action_release(self) -> None:
        """Ask to let the held entry take traffic again."""
        self._ask_for("release")

    def action_tombstone(self) -> None:
        """Ask to bury the entry."""
        self._ask_for("tombstone")

    def action_never_regress(self) -> None:
        """Ask to add the sentence to what may never regress."""
        self._ask_for("never_regress")

    def action_report(self) -> None:
        """Ask to record the day's drift report."""
        self._ask_for("report")

    def _ask_for(self, verb: str) -> None:
        app, view = self._app, self._app.view
        action = BY_ID[verb]
        if view is None or app.changes is None or not app.holds(action):
            return
        reason = app.reason(action)
        if reason is not None:
            toast(app, reason, severity="warning")
            return
        app.planning, app.held = view, ()
        app.jobs.submit("plan", self._planner(verb, view), self._posted("plan"))

    def _planner(self, verb: str, view: View) -> Fetch:
        changes = self._app.changes
        assert changes is not None
        if verb == "never_regress":
            walk = view.walked()
            return lambda: changes.plan_never_regress(walk)
        sha, why = view.goal(verb)
        if verb == "report":
            return lambda: changes.plan_report(sha)
        return lambda: changes.plan(verb, sha, reason=why)

    def _posted(self, slot: str) -> Any:
        return lambda outcome: self._app.post_message(Answer(slot, 0, outcome))

    def hold(self, key: str, character: str | None) -> None:
        """Keep a key for the dialog that is on its way; escape calls it off."""
        app = self._app
        if key == "escape":
            app.planning = None
        else:
            app.held += ((key, character),)

    def planned(self, outcome: Outcome[Plan]) -> None:
        """Show a plan, where it was not called off and the operator still is where it was asked for."""
        app = self._app
        wanted = app.planning is not None and app.planning is app.view and len(app.screen_stack) == 1
        held, app.planning, app.held = app.held, None, ()
        if not wanted:
            return
        if outcome.value is None:
            app.failed(outcome, again=True)
            return
        plan = outcome.value
        dialog = Confirm(plan, app.clock(), confirmed=lambda values: self.send(plan, values))
        app.clear_notifications()  # one that lies over what enter does is a trap
        app.push_screen(dialog)
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
        stack = self._app.screen_stack
        return stack[-1] if stack and isinstance(stack[-1], Confirm) else None

    def _outdated(self, plan: Plan) -> str | None:
        pulse = self._app.pulse
        if not plan.in_file and pulse is not None and pulse.seq > plan.seq:
            return f"the ledger moved from #{plan.seq} to #{pulse.seq} meanwhile; nothing was changed"
        return self.refusal()

    def send(self, plan: Plan, values: Mapping[str, str]) -> str | None:
        """Carry out what the dialog showed; returns why not, where something stands against it."""
        app, changes = self._app, self._app.changes
        why = self._outdated(plan)
        if why is None and (changes is None or unready(plan, values) is not None):
            why = "something is not typed yet"
        if why is not None or changes is None:
            return why
        sent = dict(values)
        app.sending = (plan, sent)
        app.jobs.submit("change", lambda: changes.carry_out(plan, sent), self._posted("change"))
        return None

    def changed(self, outcome: Outcome[str]) -> None:
        """Say what became of a change."""
        from modelspine_console.dialogs.dialogs import Reader

        app = self._app
        sent, app.sending = app.sending, None
        if self._dialog is not None:
            self._dialog.dismiss(None)
        if outcome.value is not None:
            toast(app, outcome.value, title="done", lasting=True)
        elif sent is not None:
            plan, values = sent
            app.failed(outcome, again=True)
            check = command_of(plan, values)
            told = [safe(outcome.error, "bad", limit=4000), safe(outcome.hint), safe("")]
            told += [safe("this learns what stands, or does it where nothing did:", "muted"), safe(check, limit=2000)]
            app.push_screen(Reader(f"{plan.verb}: not done", lambda _width: told, copied=check))
        app.look()

    @property
    def parting(self) -> str:
        """What to say on the terminal when the console was left while something was being changed."""
        if self._app.sending is None:
            return ""
        plan, values = self._app.sending
        if plan.in_file:
            return "a change of the baseline was under way: `git diff` shows what became of it"
        command = visible(command_of(plan, values), 1200)
        return f"{plan.verb} was under way. This tells what became of it, or does it where nothing did:\n  {command}"
