"""Another moment in time: going to one that was typed, stepping through the ledger, and comparing two of them.

Reading the ledger is done in the background; what the words mean, core decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelspine_console.app_protocol import Answer, Host
from modelspine_console.data.jobs import Fetch, Outcome
from modelspine_console.data.moment_source import Shown
from modelspine_console.draw.format import headline, pairs
from modelspine_console.draw.sanitize import safe, toast

if TYPE_CHECKING:
    from modelspine.traffic.two_moments import Between

_TO = ".."
"""What stands between two moments that are compared."""


class Moments:
    """Changes the moment that all screens show."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def show(self, text: str) -> None:
        """Show everything as it was at a time, ``now`` for the present; ``A .. B`` compares two times instead."""
        source, now = self._host.source, self._host.clock()
        one, both, other = text.partition(_TO)
        if both:
            self._ask("between", lambda: source.between(one.strip() or "now", other.strip() or "now", now))
        else:
            self._ask("moment", lambda: source.moment(text, now))

    def step(self, by: int) -> None:
        """Show the moment of the event before the one that is shown, or of the one after it."""
        source = self._host.source
        self._ask("moment", lambda: source.neighbour(by))

    def _ask(self, slot: str, fetch: Fetch) -> None:
        def done(outcome: Outcome[Any]) -> None:
            self._host.post_message(Answer(slot, 0, outcome))

        self._host.jobs.submit(slot, fetch, done)

    def came(self, outcome: Outcome[Shown]) -> None:
        """Show the moment that was found."""
        host, found = self._host, outcome.value
        if found is None:
            host.failed(outcome, again=True)
            return
        host.clear_notifications()
        if found.note:
            toast(host, found.note, severity="warning" if found.early else "information")
        if host.source.at != found.at:
            host.source.at = found.at
            host.source.before_start = found.note if found.early else ""
            for view in host.views.values():
                view.reload()
        host.tick()

    def compared(self, outcome: Outcome[Between]) -> None:
        """Show what changed between two moments."""
        from modelspine.traffic.two_moments import between_pairs, between_sentence
        from modelspine_console.dialogs.dialogs import Reader

        host, found = self._host, outcome.value
        if found is None:
            host.failed(outcome, again=True)
            return
        command = f"spine history --since {found.since} --at {found.until}"
        lines = [
            *headline(between_sentence(found)),
            *pairs((name, safe(text)) for name, text in between_pairs(found)),
            safe(""),
            safe(f" {command}", "muted"),
        ]
        host.clear_notifications()  # a toast could hide the end of the answer
        host.push_screen(Reader("two moments", lambda _width: lines, copied=command))
