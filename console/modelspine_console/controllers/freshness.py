"""How fresh what is shown is: a look at the ledger every few seconds, and its age in between.

It knows that data older than three looks is stale and that a failed look is a lost connection; it does not know
what is shown.
"""

from __future__ import annotations

from typing import Any

from modelspine_console.app_protocol import Answer, Host
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Pulse
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.frame import Link


class Freshness:
    """Looking and ageing."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.pulse: Pulse | None = None
        self.link: Link = "connecting"
        self.answered: float | None = None
        """When the ledger last answered, seconds since 1970."""
        self.paused = False
        self.reread = False
        """True while everything is to be read again at the next sign of life."""
        self.last_error: Outcome[Any] | None = None

    def look(self) -> None:
        """Ask the ledger for a sign of life."""
        if not self.paused:
            self._host.jobs.submit("pulse", self._host.source.pulse, self._post)

    def _post(self, outcome: Outcome[Any]) -> None:
        self._host.post_message(Answer("pulse", 0, outcome))

    def pulsed(self, outcome: Outcome[Pulse]) -> None:
        """The ledger answered, or did not."""
        pulse, view = outcome.value, self._host.view
        if pulse is None:
            if self.link != "disconnected":
                self.failed(outcome)
            self.link = "disconnected"
        else:
            came_back = self.link == "disconnected"
            self.answered = self._host.clock().timestamp()
            moved = self.pulse is not None and pulse != self.pulse
            self.pulse = pulse
            self.link = "live"
            if view is not None and (moved or came_back or self.reread or view.ALWAYS):
                view.reload()
            self.reread = False
        self._host.tick()

    def age(self) -> None:
        """Age the data: three intervals without an answer make it stale."""
        now = self._host.clock().timestamp()
        old = self.answered is not None and now - self.answered > 3 * self._host.interval
        if self.paused:
            self.link = "paused"
        elif self.link in ("live", "stale"):
            self.link = "stale" if old else "live"
        for view in self._host.views.values():
            view.dim(self.link in ("stale", "disconnected") or (self.paused and old))

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show a failure once, or ``again`` where it answers a key: a toast now, the whole text on demand."""
        known, self.last_error = self.last_error, outcome
        if again or known is None or known.error != outcome.error:
            toast(self._host, outcome.error, severity="error")

    def show_error(self) -> None:
        """Show the last error in full."""
        from modelspine_console.dialogs.dialogs import Reader

        error = self.last_error
        if error is None:
            toast(self._host, "no error so far")
            return
        told = [safe(error.error, "bad", limit=4000), safe(""), safe(error.hint)]
        self._host.push_screen(Reader("last error", lambda _width: told, copied=f"{error.error}\n{error.hint}"))

    def pause(self) -> None:
        """Stop reading, or go on."""
        self.paused = not self.paused
        if not self.paused:
            self.link = "stale"
            self.look()
        self._host.tick()

    def restart(self) -> None:
        """Close the stores, open them again and read everything."""
        source = self._host.source

        def again() -> Pulse:
            source.reopen()
            return source.pulse()

        self.last_error = None
        self.reread = True
        self._host.jobs.submit("pulse", again, self._post)
