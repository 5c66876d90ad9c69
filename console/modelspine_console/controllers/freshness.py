"""How current the data on screen is: it polls the ledger every few seconds and tracks the age of its last answer.

It decides when data is stale or the connection is lost; it does not know what is shown.
"""

from __future__ import annotations

from typing import Any

from modelspine_console.app_protocol import Answer, Host
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Pulse
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.frame import Link

_STALE_AFTER = 3
"""Poll intervals without an answer after which data counts as stale: one late answer is no alarm."""


class Freshness:
    """Polls the ledger and ages what is shown."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.pulse: Pulse | None = None
        self.link: Link = "connecting"
        self.answered: float | None = None
        """When the ledger last answered, in seconds since 1970."""
        self.paused = False
        self.reread = False
        """True while everything has to be read again when the ledger answers."""
        self.last_error: Outcome[Any] | None = None

    def look(self) -> None:
        """Poll the ledger, unless paused."""
        if not self.paused:
            self._host.jobs.submit("pulse", self._host.source.pulse, self._post)

    def _post(self, outcome: Outcome[Any]) -> None:
        self._host.post_message(Answer("pulse", 0, outcome))

    def pulsed(self, outcome: Outcome[Pulse]) -> None:
        """Handle the ledger's answer: reload the open screen if the ledger moved or came back."""
        pulse, view = outcome.value, self._host.view
        if pulse is None:
            if self.link != "disconnected":
                self.failed(outcome)
            self.link = "disconnected"
        else:
            came_back = self.link == "disconnected"
            moved = self.pulse is not None and pulse != self.pulse
            self.answered = self._host.clock().timestamp()
            self.pulse, self.link = pulse, "live"
            if view is not None and (moved or came_back or self.reread or view.ALWAYS):
                view.reload()
            self.reread = False
        self._host.tick()

    def age(self) -> None:
        """Mark the data as stale when the ledger has not answered for too long."""
        now = self._host.clock().timestamp()
        stale = self.answered is not None and now - self.answered > _STALE_AFTER * self._host.interval
        if self.paused:
            self.link = "paused"
        elif self.link in ("live", "stale"):
            self.link = "stale" if stale else "live"
        for view in self._host.views.values():
            view.dim(self.link in ("stale", "disconnected") or (self.paused and stale))

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show an error as a toast, once; ``again`` repeats it, for an error that answers a key."""
        known, self.last_error = self.last_error, outcome
        if again or known is None or known.error != outcome.error:
            toast(self._host, outcome.error, severity="error")

    def show_error(self) -> None:
        """Show the last error in full."""
        from modelspine_console.dialogs.dialogs import Reader

        error = self.last_error
        if error is None:
            toast(self._host, "no errors so far")
            return
        lines = [safe(error.error, "bad", limit=4000), safe(""), safe(error.hint)]
        self._host.push_screen(Reader("last error", lambda _width: lines, copied=f"{error.error}\n{error.hint}"))

    def pause(self) -> None:
        """Pause automatic refresh, or resume it."""
        self.paused = not self.paused
        if not self.paused:
            self.link = "stale"  # until the poll that starts now is answered
            self.look()
        self._host.tick()

    def restart(self) -> None:
        """Close the stores, open them again and read everything."""
        source = self._host.source

        def reopen() -> Pulse:
            source.reopen()
            return source.pulse()

        self.last_error = None
        self.reread = True
        self._host.jobs.submit("pulse", reopen, self._post)
