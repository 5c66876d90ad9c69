"""How current the data on screen is: it polls the ledger every few seconds and tracks the age of its last answer.

It decides when data is stale or the connection is lost; it does not know what is shown.
"""

from __future__ import annotations

from typing import Any

from modelspine.settings import masked
from modelspine.text import short
from modelspine_console.app_protocol import Answer, Host
from modelspine_console.data.jobs import Outcome
from modelspine_console.data.source import Pulse
from modelspine_console.draw.format import age
from modelspine_console.draw.sanitize import safe, toast
from modelspine_console.frame import Context, Link
from modelspine_console.widgets.document import Doc

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
        self.servers: int | None = None
        """Servers that are running; None while that is not known."""
        self.paused = False
        self.reread = False
        """True while everything has to be read again when the ledger answers."""
        self.last_error: Outcome[Any] | None = None
        self._lost = ""
        """Why the ledger did not answer last."""

    def begin_again(self) -> None:
        """Forget what is known of a ledger, because another project's is shown from now on."""
        self.pulse, self.answered, self.servers, self.last_error = None, None, None, None
        self.link, self._lost, self.paused, self.reread = "connecting", "", False, False

    def look(self) -> None:
        """Poll the ledger, unless paused."""
        if not self.paused:
            source, now = self._host.source, self._host.clock()
            self._host.jobs.submit("pulse", source.pulse, self._post)
            # By itself, so that a trace store that hangs does not make the ledger look disconnected.
            self._host.jobs.submit("servers", lambda: source.servers(now), self._post_servers)

    def _post_servers(self, outcome: Outcome[Any]) -> None:
        self._host.post_message(Answer("servers", 0, outcome))

    def counted(self, outcome: Outcome[int | None]) -> None:
        """Take the number of running servers; it is unknown where they are not Spine's or the traces cannot be read."""
        if outcome.value != self.servers:
            self.servers = outcome.value
            self._host.header.refresh()

    def _post(self, outcome: Outcome[Any]) -> None:
        self._host.post_message(Answer("pulse", 0, outcome))

    def pulsed(self, outcome: Outcome[Pulse]) -> None:
        """Handle the ledger's answer: reload the open screen if the ledger moved or came back."""
        pulse, view = outcome.value, self._host.view
        if pulse is None:
            if self.link != "disconnected" or outcome.error != self._lost:
                self.failed(outcome)
            self.link, self._lost = "disconnected", outcome.error
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
        """Update the ages that are shown, and mark the data as stale when the ledger has not answered for too long."""
        now = self._host.clock().timestamp()
        stale = self.answered is not None and now - self.answered > _STALE_AFTER * self._host.interval
        if self.paused:
            self.link = "paused"
        elif self.link in ("live", "stale"):
            self.link = "stale" if stale else "live"
        for view in self._host.views.values():
            view.dim(self.link in ("stale", "disconnected") or (self.paused and stale))
        if self._host.view is not None:
            self._host.view.tick()
        for dialog in self._host.screen_stack[1:]:
            for document in dialog.query(Doc):
                document.tick()

    def failed(self, outcome: Outcome[Any], *, again: bool = False) -> None:
        """Show an error as a toast, once; ``again`` repeats it, for an error that answers a key."""
        known, self.last_error = self.last_error, outcome
        if again or known is None or known.error != outcome.error:
            toast(self._host, outcome.error, hint=outcome.hint, severity="error")

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
        """Close the stores, open them again and read everything; what another program wrote over is drawn again."""
        source = self._host.source
        self._host.repaint()

        def reopen() -> Pulse:
            source.reopen()
            return source.pulse()

        self.last_error = None
        self.reread = True
        self._host.jobs.submit("pulse", reopen, self._post)


def context_of(host: Host, freshness: Freshness, writing: float | None, *, demo: bool, project: str = "") -> Context:
    """What the header shows; ``writing`` is how many seconds write mode lasts on, None in read-only mode."""
    now, pulse, at = host.clock(), freshness.pulse, host.source.at
    answered = freshness.answered
    place, mark, query = masked(host.source.settings.ledger).partition("?")
    stable = pulse.production if pulse is not None and at is None else None
    tried = pulse.rollout if pulse is not None and at is None else None
    settings = host.source.settings
    other = pulse.service if pulse is not None and settings.service not in ("", pulse.service) else ""
    read = host.view.read_age(now) if host.view is not None else None
    return Context(
        env=pulse.env if pulse else "",
        service=f"{settings.service} in the ledger of {other}" if other else settings.service_name,
        ledger=place.rsplit("/", 1)[-1] + mark + query,
        production=(stable.semver or short(stable.sha)) if stable is not None else "",
        since=age(stable.since, now).plain if stable is not None else "",
        rollout=f"{tried.strategy} {tried.weight_bp / 100:g} %" if tried is not None else "",
        servers=freshness.servers,
        writing=writing,
        link=freshness.link,
        age=None if answered is None else max(0.0, now.timestamp() - answered),
        read=read if read is not None and read > _STALE_AFTER * host.interval else None,
        now=now,
        at=at,
        demo=demo,
        project=project,
    )
