"""How fresh what is shown is: a look at the ledger every few seconds, and its age in between.

It knows that data older than three looks is stale and that a failed look is a lost connection; it does not know
what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from modelspine_console.app_protocol import Answer
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Pulse
from modelspine_console.draw.sanitize import toast
from modelspine_console.frame import Link

if TYPE_CHECKING:
    from modelspine_console.app import Console


class Freshness:
    """Looking and ageing; mixed into the app."""

    pulse: Pulse | None = None
    link: Link = "connecting"
    answered: float | None = None
    """When the ledger last answered, seconds since 1970."""
    paused = False
    reread = False
    """True while everything is to be read again at the next sign of life."""
    last_error: Outcome[Any] | None = None

    @property
    def _app(self) -> Console:
        return cast("Console", self)

    def look(self) -> None:
        """Ask the ledger for a sign of life."""
        app = self._app
        if not app.paused:
            app.jobs.submit("pulse", app.source.pulse, self._post)

    def _post(self, outcome: Outcome[Any]) -> None:
        self._app.post_message(Answer("pulse", 0, outcome))

    def on_answer(self, answer: Answer) -> None:
        """The ledger answered, or did not; or a change was planned or made."""
        take = {"pulse": self._pulsed, "plan": self._app.planned, "change": self._app.changed}.get(answer.slot)
        if take is not None:
            take(answer.outcome)

    def _pulsed(self, outcome: Outcome[Any]) -> None:
        app = self._app
        pulse = outcome.value
        if pulse is None:
            if app.link != "disconnected":
                app.failed(outcome)
            app.link = "disconnected"
        else:
            came_back = app.link == "disconnected"
            app.answered = app.clock().timestamp()
            moved = app.pulse is not None and pulse != app.pulse
            app.pulse = pulse
            app.link = "live"
            if app.view is not None and (moved or came_back or app.reread or app.view.ALWAYS):
                app.view.reload()
            app.reread = False
        app.tick()

    def tick(self) -> None:
        """Age the data: three intervals without an answer make it stale. Write mode ages too."""
        app = self._app
        now = app.clock().timestamp()
        old = app.answered is not None and now - app.answered > 3 * app.interval
        if app.paused:
            app.link = "paused"
        elif app.link in ("live", "stale"):
            app.link = "stale" if old else "live"
        for view in app.views.values():
            view.dim(app.link in ("stale", "disconnected") or (app.paused and old))
        app.expire()
        app.recheck()
        app.header.refresh()
        app.moved()

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show a failure once, or ``again`` where it answers a key: a toast now, the whole text on demand."""
        app = self._app
        known = app.last_error
        app.last_error = outcome
        if again or known is None or known.error != outcome.error:
            toast(app, outcome.error, severity="error")
